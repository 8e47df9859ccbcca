/** What may change while a process runs, by SIGHUP: all of it in force afterwards, and nobody dropped who need not be. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { fileURLToPath } from "node:url";
import { Agent } from "coap";
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { askAt, type Reply } from "../support/api.ts";
import { freeTcpPort } from "../support/free-ports.ts";
import { Certificates } from "../unit/net/certificates.ts";

const BIN = fileURLToPath(new URL("../../dist/src/bin.js", import.meta.url));
const XML = fileURLToPath(new URL("../../xml", import.meta.url));
const MINUTES = 90_000;
const OFF = { enable: false };
const certificates = new Certificates();
let folder: string;
let child: ChildProcess;
let log = "";
let ports: Readonly<Record<"plain" | "tls" | "further", number>>;
const clients: MqttClient[] = [];
const dropped: string[] = [];

// biome-ignore lint/suspicious/noExplicitAny: a configuration is written, not read
type Settings = Record<string, any>;
let settings: Settings;

const write = (): void => writeFileSync(join(folder, "isthmus.yaml"), JSON.stringify(settings));
const users = (...names: string[]): void =>
  writeFileSync(
    join(folder, "users.yaml"),
    JSON.stringify({ users: names.map((username) => ({ username, password: "plain:x" })) }),
  );
const certificate = (name: string): void => {
  for (const kind of ["pem", "key"])
    copyFileSync(certificates.path(`${name}.${kind}`), join(folder, `server.${kind}`));
};

function ask(method: string, path: string): Promise<Reply> {
  const { url, key } = JSON.parse(readFileSync(join(folder, "data", "api", "local.json"), "utf8"));
  return askAt(url, method, `/api/v1${path}`, { key });
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`never: ${holds}\n${log.slice(-2_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** One that stays, and tells when it does not. */
async function stays(username: string, url: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync(url, {
    ...{ username, password: "x", reconnectPeriod: 0, protocolVersion: 5 },
    ca: readFileSync(certificates.path("ca.pem")),
  });
  client.on("close", () => dropped.push(`${username} at ${url}`));
  clients.push(client);
  return client;
}

const comes = (username: string, port: number, more = {}): Promise<MqttClient> =>
  mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { username, password: "x", reconnectPeriod: 0, ...more });

/** Reads the configuration again, and waits until that is done. */
async function hangUp(): Promise<void> {
  write();
  const before = log.length;
  child.kill("SIGHUP");
  await until(() => /"configuration-reload(ed|-failed)"/.test(log.slice(before)));
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-hot-"));
  certificates.issue("first", "/CN=first");
  certificates.issue("second", "/CN=second");
  certificate("first");
  users("ann");
  mkdirSync(join(folder, "objects"));
  cpSync(join(XML, "3.xml"), join(folder, "objects", "3.xml"));
  ports = { plain: await freeTcpPort(), tls: await freeTcpPort(), further: await freeTcpPort() };
  const listener = { transport: "tcp", bind: "127.0.0.1", port: ports.plain };
  const tls = { cert: join(folder, "server.pem"), key: join(folder, "server.key") };
  settings = {
    dataFolder: join(folder, "data"),
    ...{ store: { engine: "memory" }, api: { port: 0 }, log: { level: "info", format: "json" } },
    authentication: { anonymous: false, chain: [{ kind: "users-file", file: join(folder, "users.yaml") }] },
    gateways: {
      ...{ "mqtt-sn": OFF, coap: OFF, stomp: OFF },
      lwm2m: {
        // Devices have no user names.
        authentication: { anonymous: true, chain: [] },
        definitions: join(folder, "objects"),
        listeners: { udp: { transport: "udp", bind: "127.0.0.1", port: 0 } },
      },
      mqtt: {
        listeners: {
          ...{ tcp: listener, ws: OFF },
          tls: { ...listener, transport: "tls", port: ports.tls, tls },
        },
      },
    },
  };
  write();
  mkdirSync(join(folder, "data"));
  child = spawn(process.execPath, [BIN, "start"], { cwd: folder });
  for (const stream of [child.stdout, child.stderr])
    stream!.on("data", (chunk) => {
      log += chunk;
    });
  await until(() => log.includes("Stop with Ctrl+C"));
  for (const [name, url] of [
    ["ann", `mqtt://127.0.0.1:${ports.plain}`],
    ["ann", `mqtts://localhost:${ports.tls}`],
  ] as const) {
    const client = await stays(name, url);
    await client.subscribeAsync("to/all", { qos: 1 });
  }
}, MINUTES);

afterAll(async () => {
  for (const client of clients) client.end(true);
  child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
  certificates.remove();
});

describe("a SIGHUP takes", { timeout: MINUTES }, () => {
  it("users of a file", async () => {
    await expect(comes("bob", ports.plain)).rejects.toThrow(/Not authorized|Bad username/i);
    users("ann", "bob");
    await hangUp();
    await (await comes("bob", ports.plain)).endAsync();
  });

  it("access rules, limits and options of a gateway, for who is connected or comes next", async () => {
    settings["authorization"] = {
      rules: [{ permission: "deny", who: "all", action: "publish", topics: ["secret/#"] }],
    };
    settings["gateways"].mqtt.receiveMaximum = 7;
    settings["gateways"].mqtt.listeners.tcp.limits = { packetSize: "1KB" };
    await hangUp();
    const [ann] = clients;
    await expect(ann!.publishAsync("secret/x", "1", { qos: 1 })).rejects.toThrow(/not authorized/i);
    const next = await comes("bob", ports.plain, { protocolVersion: 5 });
    const connack = await new Promise<Settings>((resolve) => {
      const fresh = mqtt.connect(`mqtt://127.0.0.1:${ports.plain}`, {
        ...{ username: "ann", password: "x", reconnectPeriod: 0, protocolVersion: 5 as const },
      });
      fresh.once("connect", (packet) => {
        fresh.end(true);
        resolve(packet as Settings);
      });
    });
    expect(connack["properties"]).toMatchObject({ receiveMaximum: 7, maximumPacketSize: 1024 });
    await next.endAsync();
  });

  it("bans, which end those whom they are for and nobody else", async () => {
    const bad = await comes("bob", ports.plain, { clientId: "bad" });
    const gone = new Promise((resolve) => bad.once("close", () => resolve(undefined)));
    settings["bans"] = { list: [{ clientId: "bad" }] };
    await hangUp();
    await gone;
    await expect(comes("bob", ports.plain, { clientId: "bad" })).rejects.toThrow();
  });

  it("certificates", async () => {
    const shown = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = tlsConnect({ host: "127.0.0.1", port: ports.tls, rejectUnauthorized: false }, () => {
          resolve(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        });
        socket.once("error", reject);
      });
    expect(await shown()).toBe("first");
    certificate("second");
    await hangUp();
    await until(async () => (await shown()) === "second");
  });

  it("definitions of LwM2M's objects", async () => {
    const listeners: { readonly gateway: string; readonly port: number }[] = (await ask("GET", "/listeners"))
      .body;
    const request = new Agent({ type: "udp4" }).request({
      ...{ hostname: "127.0.0.1", port: listeners.find(({ gateway }) => gateway === "lwm2m")!.port },
      ...{ method: "POST", pathname: "/rd", query: "ep=meter&lt=300&lwm2m=1.1&b=U", confirmable: true },
    } as never);
    request.setOption("Content-Format", "application/link-format");
    const registered = once(request, "response");
    request.end("</3/0>,</5/0>");
    expect((await registered)[0].code).toBe("2.01");
    const shown = async (): Promise<string> =>
      JSON.stringify((await ask("GET", "/devices/lwm2m/meter/objects")).body);
    expect(await shown()).toContain('"Device"');
    expect(await shown()).not.toContain('"Firmware Update"');
    cpSync(join(XML, "5.xml"), join(folder, "objects", "5.xml"));
    await hangUp();
    expect(await shown()).toContain('"Firmware Update"');
  });

  it("the level of the log, and listeners that are new, while the others stay open", async () => {
    settings["log"].level = "debug";
    settings["gateways"].mqtt.listeners.further = {
      transport: "tcp",
      bind: "127.0.0.1",
      port: ports.further,
    };
    await hangUp();
    await until(async () => {
      const { items } = (await ask("GET", "/config?key=log.level")).body;
      return items[0].value === "debug" && items[0].pending === false;
    });
    await until(() =>
      comes("ann", ports.further).then(
        (client) => client.endAsync(true).then(() => true),
        () => false,
      ),
    );
  });

  it("a gateway that is switched on; and what cannot be opened leaves all as it was, and is said", async () => {
    const running = async (name: string): Promise<boolean> =>
      (await ask("GET", `/gateways/${name}`)).body.running;
    settings["gateways"].stomp = { listeners: { tcp: { bind: "127.0.0.1", port: 0 }, ws: OFF } };
    await hangUp();
    await until(() => running("stomp"));
    const taken = createServer();
    await once(taken.listen(0, "127.0.0.1"), "listening");
    settings["gateways"].stomp.listeners.tcp.port = (taken.address() as { port: number }).port;
    settings["log"].level = "warn";
    const before = log.length;
    await hangUp();
    await until(() => log.slice(before).includes("configuration-reload-failed"));
    taken.close();
    expect(log.slice(before)).toContain("listener stomp.tcp cannot be opened so");
    expect((await ask("GET", "/config?key=log.level")).body.items[0].value).toBe("debug");
    const { body } = await ask("GET", "/gateways/stomp");
    expect(body.listeners[0]).toMatchObject({ name: "tcp", open: true });
  });

  it("and none of those who were there before was dropped: they still hear what is published", async () => {
    const heard = clients.map((client) => new Promise((resolve) => client.once("message", resolve)));
    await (await comes("bob", ports.plain)).publishAsync("to/all", "still here", { qos: 1 });
    await Promise.all(heard);
    expect(dropped).toEqual([]);
  });
});
