/** A client certificate that is required and is not valid, through whole gateways and with clients that are not ours. */
import { readFileSync } from "node:fs";
import { type ConnectionOptions, connect } from "node:tls";
import { type ErrorWithReasonCode, type IClientOptions, connect as mqttConnect } from "mqtt";
import { afterAll, describe as anyDescribe, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { Certificates } from "../../unit/net/certificates.ts";

const describe = anyDescribe.skipIf(lacks("openssl"));

let files: Certificates;
let gateway: TestGateway;
const REFUSED = "the client certificate is refused: CERT_HAS_EXPIRED";

beforeAll(async () => {
  files = new Certificates();
  files.issue("server", "/CN=localhost");
  files.issue("device", "/CN=dev-1");
  files.issue("expired", "/CN=dev-1", -1);
  const [cert, key, ca] = [files.path("server.pem"), files.path("server.key"), files.path("ca.pem")];
  const mutual = (transport: "tls" | "wss") => ({
    transport,
    tls: { clientCertificate: "require", identity: "cn" },
  });
  gateway = await startGateway({
    tls: { cert, key, ca },
    authentication: { chain: [{ kind: "transport-identity" }] },
    gateways: {
      mqtt: {
        listeners: { mutual: mutual("tls"), web: { ...mutual("wss"), websocket: { paths: ["/mqtt"] } } },
      },
      stomp: { listeners: { mutual: mutual("tls") } },
      coap: { listeners: { mutual: mutual("tls") } },
      tcp: { enable: true, listeners: { mutual: mutual("tls") } },
    },
  });
});
afterAll(async () => {
  await gateway.stop();
  files.remove();
});

const shown = (name: string): ConnectionOptions => ({
  ca: readFileSync(files.path("ca.pem")),
  cert: readFileSync(files.path(`${name}.pem`)),
  key: readFileSync(files.path(`${name}.key`)),
});

/** What an MQTT client ends with: the code of a refusal and its reason, or `connected`. */
const outcome = (url: string, name: string, protocolVersion: 4 | 5): Promise<string> =>
  new Promise((resolve) => {
    const options = { ...shown(name), protocolVersion, reconnectPeriod: 0, clientId: "c" };
    const client = mqttConnect(url, options as IClientOptions);
    let said = "";
    const done = (how: string): void => {
      resolve(how);
      client.end(true);
    };
    client.on("packetreceive", (packet) => {
      if (packet.cmd === "connack") said = packet.properties?.reasonString ?? "";
    });
    client.once("connect", () => done("connected"));
    client.once("error", (error) => done(`${(error as ErrorWithReasonCode).code ?? error.message} ${said}`));
    client.once("close", () => done("closed"));
  });

/** All that a listener sends to a client with that certificate, which says `first`. */
const answer = (listener: [gateway: string, name: string], name: string, first: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const port = gateway.port(...listener);
    const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ...shown(name) }, () =>
      socket.write(first),
    );
    const said: Buffer[] = [];
    socket.on("data", (bytes: Buffer) => said.push(bytes));
    socket.once("error", reject);
    socket.once("close", () => resolve(Buffer.concat(said)));
  });

describe("a client whose certificate has expired", () => {
  it.each([
    [4, "5 "],
    [5, `135 ${REFUSED}`],
  ] as const)(
    "hears CONNACK not authorized in MQTT %i, while a valid one is let in",
    async (version, said) => {
      const url = `mqtts://localhost:${gateway.port("mqtt", "mutual")}`;
      expect(await outcome(url, "expired", version)).toBe(said);
      expect(await outcome(url, "device", version)).toBe("connected");
    },
  );

  it("hears 403 over WebSocket", async () => {
    const url = `wss://localhost:${gateway.port("mqtt", "web")}/mqtt`;
    const upgraded = (name: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(url, "mqtt", shown(name));
        socket.once("unexpected-response", (_, response) => resolve(response.statusCode));
        socket.once("upgrade", (response) => {
          resolve(response.statusCode);
          socket.terminate();
        });
        socket.once("error", reject);
      });
    expect([await upgraded("expired"), await upgraded("device")]).toEqual([403, 101]);
  });

  it("hears ERROR in STOMP", async () => {
    const connectFrame = Buffer.from("CONNECT\naccept-version:1.2\nhost:x\n\n\0");
    const said = (await answer(["stomp", "mutual"], "expired", connectFrame)).toString();
    expect(said).toMatch(/^ERROR\nmessage:access refused\n/);
    expect(said).toContain(REFUSED);
  });

  it("hears CSM and Abort with a diagnostic in CoAP over TLS (RFC 8323 §5.6)", async () => {
    const said = await answer(["coap", "mutual"], "expired", Buffer.from([0x00, 0xe1]));
    // 7.01 without options, and 7.05 with its payload.
    expect([...said.subarray(0, 2)]).toEqual([0x00, 0xe1]);
    expect(said.includes(0xe5)).toBe(true);
    expect(said.toString("latin1")).toContain(REFUSED);
  });

  it("is ended without a word by a protocol that has none, and is no client anywhere", async () => {
    const before = gateway.composition.core.counters.connectsRefused.value;
    const said = answer(["tcp", "mutual"], "expired", Buffer.from("hello")).catch(() => Buffer.alloc(0));
    expect((await said).length).toBe(0);
    expect(gateway.composition.core.counters.connectsRefused.value).toBe(before + 1);
    const listeners = gateway.composition.lifecycle.listeners.filter(({ name }) => name === "mutual");
    expect(listeners.map(({ door }) => door.loops.size)).toEqual(listeners.map(() => 0));
  });
});
