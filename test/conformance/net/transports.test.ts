/** MQTT through every stream transport, with clients that are not ours. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect as connectTcp, createServer } from "node:net";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { afterAll, test as anyTest, beforeAll, expect } from "vitest";
import { startSysTopics } from "#core/observation.ts";
import type { SysTopics } from "#core/observe/sys-topics.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { Certificates } from "../../unit/net/certificates.ts";

const test = anyTest.skipIf(lacks("openssl", "mosquitto_pub"));

let files: Certificates;
let gateway: TestGateway;
/** Hears all messages, and of each client that comes. */
let watcher: MqttClient;
let sys: SysTopics;

beforeAll(async () => {
  files = new Certificates();
  files.issue("server", "/CN=localhost");
  files.issue("device", "/O=Acme/CN=dev-1");
  const pskFile = files.write("psk", "sensor:0123456789abcdef\n");
  const [cert, key, ca] = [files.path("server.pem"), files.path("server.key"), files.path("ca.pem")];
  const named = { kind: "transport-identity" };
  gateway = await startGateway({
    tls: { cert, key, ca },
    authentication: { chain: [named] },
    gateways: {
      mqtt: {
        listeners: {
          mutual: { transport: "tls", tls: { clientCertificate: "require", identity: "cn" } },
          psk: { transport: "tls", tls: { pskFile } },
          proxied: { transport: "tcp", tcp: { proxyProtocol: true } },
          proxiedTls: { transport: "tls", tcp: { proxyProtocol: true } },
        },
      },
    },
  });
  sys = startSysTopics(gateway.composition, "test");
  watcher = await connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, { protocolVersion: 5 });
  await watcher.subscribeAsync("#", { qos: 1 });
  await watcher.subscribeAsync("$SYS/brokers/+/clients/#", { qos: 1 });
});

afterAll(async () => {
  sys.stop();
  await watcher.endAsync();
  await gateway.stop();
  files.remove();
});

/** The next message whose topic ends so. */
const heard = (end: string): Promise<string> =>
  new Promise((resolve) => {
    const listen = (topic: string, payload: Buffer): void => {
      if (!topic.endsWith(end)) return;
      watcher.off("message", listen);
      resolve(payload.toString());
    };
    watcher.on("message", listen);
  });

function run(command: string, ...args: string[]): Promise<number | null> {
  const child: ChildProcess = spawn(command, args, { stdio: "ignore" });
  return new Promise((resolve) => child.once("close", resolve));
}

const publish = (listener: string, ...args: string[]): Promise<number | null> =>
  run("mosquitto_pub", "-h", "localhost", "-p", String(gateway.port("mqtt", listener)), ...args);

test.each(["mqttv311", "mqttv5"])("mosquitto_pub publishes over TLS (%s)", async (version) => {
  const message = heard(`tls/${version}`);
  const code = await publish(
    "tls",
    "--cafile",
    files.path("ca.pem"),
    "-V",
    version,
    "-q",
    "1",
    "-t",
    `tls/${version}`,
    "-m",
    "x",
  );
  expect(code).toBe(0);
  expect(await message).toBe("x");
});

test("mosquitto_pub with a client certificate is the user that the certificate names", async () => {
  const [presence, message] = [heard("cert-client/connected"), heard("tls/mutual")];
  const certificate = ["--cert", files.path("device.pem"), "--key", files.path("device.key")];
  const code = await publish(
    "mutual",
    "--cafile",
    files.path("ca.pem"),
    ...certificate,
    "-i",
    "cert-client",
    "-q",
    "1",
    "-t",
    "tls/mutual",
    "-m",
    "y",
  );
  expect(code).toBe(0);
  expect(JSON.parse(await presence)).toMatchObject({ clientid: "cert-client", username: "dev-1" });
  expect(await message).toBe("y");
});

test("mosquitto_pub without the required client certificate is refused", async () => {
  expect(await publish("mutual", "--cafile", files.path("ca.pem"), "-t", "no", "-m", "no")).not.toBe(0);
});

test("mosquitto_pub with a pre-shared key is the user that the key belongs to", async () => {
  const [presence, message] = [heard("psk-client/connected"), heard("tls/psk")];
  const key = ["--psk", "0123456789abcdef", "--psk-identity", "sensor"];
  const code = await publish("psk", ...key, "-i", "psk-client", "-q", "1", "-t", "tls/psk", "-m", "z");
  expect(code).toBe(0);
  expect(JSON.parse(await presence)).toMatchObject({ username: "sensor" });
  expect(await message).toBe("z");
});

test("mosquitto_pub with a wrong pre-shared key is refused", async () => {
  const key = ["--psk", "0123456789abcdee", "--psk-identity", "sensor"];
  expect(await publish("psk", ...key, "-t", "no", "-m", "no")).not.toBe(0);
});

test.each<[string, string, IClientOptions["protocolVersion"]]>([
  ["ws", "ws", 4],
  ["ws", "ws", 5],
  ["wss", "wss", 5],
])("the mqtt package exchanges 1 MB at QoS 2 over %s", async (scheme, listener, protocolVersion) => {
  const url = `${scheme}://localhost:${gateway.port("mqtt", listener)}/mqtt`;
  const client = await connectAsync(url, { protocolVersion, ca: readFileSync(files.path("ca.pem")) });
  await client.subscribeAsync("large/+", { qos: 2 });
  const payload = Buffer.alloc(1_000_000, "abcdefghij");
  const arrived = new Promise<Buffer>((resolve) => client.once("message", (_topic, bytes) => resolve(bytes)));
  await client.publishAsync("large/1", payload, { qos: 2 });
  expect((await arrived).equals(payload)).toBe(true);
  await client.endAsync();
});

/** A load balancer of our own: it says who the client is, then only moves bytes. */
async function throughProxy(listener: string, header: Buffer, options: IClientOptions): Promise<MqttClient> {
  const proxy = createServer((client) => {
    const upstream = connectTcp(gateway.port("mqtt", listener), "127.0.0.1");
    upstream.write(header);
    client.pipe(upstream).pipe(client);
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const { port } = proxy.address() as { port: number };
  const scheme = listener.endsWith("Tls") ? "mqtts" : "mqtt";
  const mqtt = await connectAsync(`${scheme}://localhost:${port}`, {
    family: 4,
    ...options,
  } as IClientOptions);
  proxy.close();
  return mqtt;
}

const V1 = Buffer.from("PROXY TCP4 192.0.2.7 198.51.100.1 4660 1883\r\n");
const V2 = Buffer.from("0d0a0d0a000d0a515549540a2111000cc0000207c63364011234075b", "hex");

test.each<[string, string, Buffer]>([
  ["version 1 before MQTT", "proxied", V1],
  ["version 2 before MQTT", "proxied", V2],
  ["version 2 before TLS", "proxiedTls", V2],
])("behind the PROXY protocol, %s, a client has its own address", async (_name, listener, header) => {
  const presence = heard("behind-proxy/connected");
  const options = { clientId: "behind-proxy", ca: readFileSync(files.path("ca.pem")) };
  const client = await throughProxy(listener, header, options);
  expect(JSON.parse(await presence)).toMatchObject({ ipaddress: "192.0.2.7" });
  await client.endAsync();
});
