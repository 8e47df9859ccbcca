/** Gateways from outside in a real process: what the configuration names is imported, watched, and costs itself. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connectAsync } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ConfigSources } from "#core/config/file.ts";
import { readConfigFile } from "#core/config/file.ts";
import { loadConfig } from "#core/config/load.ts";
import { namedPlugIns } from "#core/config/plug-ins.ts";
import type { Config } from "#core/config/schema.ts";
import { MODULES } from "#core/modules.ts";
import { openPlugIns } from "#core/open-plug-ins.ts";
import { ConfigError } from "#core/settings/problem.ts";
import { stepsOf } from "../guide/page.mjs";
import { freeTcpPort, freeUdpPort } from "../support/free-ports.ts";

let folder: string;
let running: ChildProcess | undefined;
let said = "";
const sockets: Socket[] = [];
const udpSockets: UdpSocket[] = [];
const BIN = resolve("dist/src/bin.js");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-plug-in-"));
  said = "";
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const socket of udpSockets.splice(0)) socket.close();
  const child = running;
  running = undefined;
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    const gone = new Promise((done) => child.once("exit", done));
    child.kill("SIGKILL");
    await gone;
  }
  rmSync(folder, { recursive: true, force: true });
});

/** Says who it is talking to, and does what a line asks for. */
const PLUG_IN = `
import { fillTopic, Message, NEVER, text, utf8 } from "isthmus-iot/gateway";
export default {
  contract: 1,
  open: () => ({
    endpoint: () => ({
      open: (peer, host, now) => ({
        receive(bytes) {
          const word = text(bytes).trim();
          if (word === "throw") throw new Error("asked to throw");
          if (word === "timer") setTimeout(() => { throw new Error("from a timer"); });
          if (word === "rejection") void Promise.reject(new Error("from a promise"));
          if (word === "slow") for (const end = Date.now() + 300; Date.now() < end; );
          if (word === "stuck") (function spinning() { for (;;); })();
          host.send(utf8("echo " + word));
        },
        deliver() {}, answered() {}, connected() {}, wake() {}, stop() {}, closed() {},
        deadline: () => NEVER, status: () => "there", describe: () => ({}),
      }),
    }),
  }),
};`;

function write(listener: string, settings = ""): void {
  writeFileSync(join(folder, "mine.mjs"), PLUG_IN);
  writeFileSync(
    join(folder, "isthmus.yaml"),
    `store: { engine: memory }
api: { enable: false }
gateways:
  mqtt: { enable: false }
  mqtt-sn: { enable: false }
  coap: { enable: false }
  lwm2m: { enable: false }
  stomp: { enable: false }
  mine:
    module: ./mine.mjs
    listeners:
      tcp: { transport: tcp, bind: 127.0.0.1, port: 0${listener} }
${settings}`,
  );
}

async function start(): Promise<number> {
  await begin();
  return Number(/mine +tcp +127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
}

async function begin(): Promise<void> {
  said = "";
  const child = spawn(process.execPath, [BIN, "start", "--log-format", "json"], {
    cwd: folder,
  });
  running = child;
  const listen = (chunk: Buffer): void => {
    said += chunk.toString();
  };
  child.stdout!.on("data", listen);
  child.stderr!.on("data", listen);
  await until("Stop with Ctrl+C");
}

/** Datagrams as lines; what has not been asked for yet waits. */
async function lineDevice(port: number) {
  const socket = createSocket("udp4");
  udpSockets.push(socket);
  const lines: string[] = [];
  let wanting: ((line: string) => void) | undefined;
  socket.on("message", (bytes) => {
    lines.push(bytes.toString().trimEnd());
    if (wanting !== undefined) wanting(lines.shift()!);
    wanting = undefined;
  });
  await new Promise<void>((done) => socket.connect(port, "127.0.0.1", done));
  const next = (): Promise<string> =>
    new Promise((done) => {
      const line = lines.shift();
      if (line === undefined) wanting = done;
      else done(line);
    });
  return {
    next,
    ask(line: string): Promise<string> {
      socket.send(line);
      return next();
    },
  };
}

async function until(words: string | RegExp): Promise<void> {
  const there = (): boolean => (typeof words === "string" ? said.includes(words) : words.test(said));
  while (!there()) {
    if (running?.exitCode !== null && running?.signalCode !== null) throw new Error(said);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** A device that keeps what it hears; \`undefined\` once it is closed. */
async function device(port: number) {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => {});
  let closed = false;
  socket.on("close", () => {
    closed = true;
  });
  await new Promise((done) => socket.once("connect", done));
  return {
    ask: (word: string): Promise<string | undefined> =>
      new Promise((done) => {
        if (closed) done(undefined);
        socket.once("data", (bytes) => done(bytes.toString()));
        socket.once("close", () => done(undefined));
        socket.write(word);
      }),
  };
}

describe("a gateway that gateways.<name>.module names", () => {
  it("costs itself, named in the log, when it throws, also from a timer or a promise of its own, or is slow", async () => {
    write("", "    closeAfter: 1m\n");
    const port = await start();
    const good = await device(port);
    expect(await good.ask("hello")).toBe("echo hello");
    expect(await (await device(port)).ask("throw")).toBeUndefined();
    await until("asked to throw");
    expect(await good.ask("timer")).toBe("echo timer");
    await until("from a timer");
    expect(await good.ask("rejection")).toBe("echo rejection");
    await until("from a promise");
    expect(await good.ask("slow")).toBe("echo slow");
    await until("plug-in-slow");
    expect(said).toContain('"gateway":"mine"');
    expect(await good.ask("still here")).toBe("echo still here");
  });

  it("that does not return ends the process, which says where", async () => {
    write("", "    stuckAfter: 1s\n");
    const port = await start();
    const gone = new Promise((done) => running!.once("exit", (_code, signal) => done(signal)));
    void (await device(port)).ask("stuck");
    expect(await gone).toBe("SIGKILL");
    expect(said).toMatch(
      /gateway mine \(\.\/mine\.mjs\) has not returned for \d+ s, in spinning at .*mine\.mjs:\d+/,
    );
    expect(said).toContain("gateways.mine.stuckAfter");
  });

  it("that lets channels pile up has its own listener's limit", async () => {
    write(", limits: { connections: 2 }");
    const port = await start();
    expect(await (await device(port)).ask("a")).toBe("echo a");
    expect(await (await device(port)).ask("b")).toBe("echo b");
    expect(await (await device(port)).ask("c")).toBeUndefined();
  });

  it("gets logins, rules, a mountpoint, metrics and durable sessions as those that come along", async () => {
    const page = stepsOf(readFileSync("docs/plug-ins.md", "utf8"));
    const lines = page.find((step) => step.kind === "file" && step.name === "lines.mjs");
    writeFileSync(join(folder, "lines.mjs"), lines!.text);
    const hash = (password: string): string =>
      execFileSync(process.execPath, [BIN, "hash-password", "--kind", "sha256"], { input: password })
        .toString()
        .trim();
    const users = ["meter-1", "backend"].map((name) => ({
      username: name,
      password: hash(`${name}-secret`),
    }));
    writeFileSync(join(folder, "users.yaml"), JSON.stringify({ users }));
    const [udp, mqtt, api] = await Promise.all([freeUdpPort(), freeTcpPort(), freeTcpPort()]);
    writeFileSync(
      join(folder, "isthmus.yaml"),
      `dataFolder: ./data
api: { port: ${api} }
authentication: { anonymous: false, chain: [{ kind: users-file, file: users.yaml }] }
authorization:
  noMatch: deny
  rules:
    - { permission: allow, who: { user: backend }, topics: ["#"] }
    - { permission: allow, who: { user: meter-1 }, topics: ["lines/meter-1/down", "lines/meter-1/level"] }
gateways:
  mqtt: { listeners: { tcp: { bind: 127.0.0.1, port: ${mqtt} }, ws: { enable: false } } }
  mqtt-sn: { enable: false }
  coap: { enable: false }
  lwm2m: { enable: false }
  stomp: { enable: false }
  lines:
    module: ./lines.mjs
    mountpoint: site-7/
    listeners:
      udp: { transport: udp, bind: 127.0.0.1, port: ${udp} }
`,
    );
    await begin();
    const login = { username: "backend", password: "backend-secret" };
    const backend = await connectAsync(`mqtt://127.0.0.1:${mqtt}`, { ...login, clientId: "backend" });
    await backend.subscribeAsync("site-7/#", { qos: 1 });
    const heard = new Promise<string>((done) => {
      backend.on("message", (topic, payload) => done(`${topic} ${payload}`));
    });
    const meter = await lineDevice(udp);
    expect(await meter.ask("HELLO meter-1 wrong")).toBe("REFUSED unauthenticated");
    const proven = await lineDevice(udp);
    expect(await proven.ask("HELLO meter-1 meter-1-secret")).toBe("WELCOME");
    expect(await proven.ask("SAY secret 1")).toBe("REFUSED forbidden");
    expect(await proven.ask("SAY level 42")).toBe("OK");
    expect(await heard).toBe("site-7/lines/meter-1/level 42");
    const metrics = await (await fetch(`http://127.0.0.1:${api}/metrics`)).text();
    expect(metrics).toMatch(/isthmus_refusals_total\{.*gateway="lines".*\} [1-9]/);
    expect(await proven.ask("SLEEP 3600")).toBe("GOODNIGHT");
    await backend.publishAsync("site-7/lines/meter-1/down", "open", { qos: 1 });
    await backend.endAsync();

    // What was acknowledged to the backend waits for the device over the end of the process.
    const gone = new Promise((done) => running!.once("exit", done));
    running!.kill("SIGKILL");
    await gone;
    await begin();
    const later = await lineDevice(udp);
    expect(await later.ask("HELLO meter-1 meter-1-secret")).toBe("WELCOME back");
    expect(await later.next()).toMatch(/^MSG \d+ lines\/meter-1\/down open$/);
  });

  /** As a start does, in this process. */
  async function load(text: string, sources: Partial<ConfigSources> = {}): Promise<Config> {
    const file = join(folder, "isthmus.yaml");
    writeFileSync(file, text);
    const given = { modules: MODULES, file, ...sources };
    const modules = [...MODULES, ...(await openPlugIns(namedPlugIns(given, readConfigFile(given))))];
    return loadConfig({ ...given, modules }).config;
  }

  let count = 0;
  /** A module is imported once: each test writes another. */
  function moduleOf(code: string): string {
    const path = join(folder, `m${count++}.mjs`);
    writeFileSync(path, code);
    return path;
  }

  it.each([
    [
      "is written for another contract, with both named",
      "export default { contract: 7, open() {} };",
      "it was written for contract 7, and this Isthmus has contract 1",
    ],
    ["says no contract", "export default { open() {} };", "does not say for which contract"],
    ["opens nothing", "export default { contract: 1 };", "it has no function open"],
    ["has no default export", "export const contract = 1;", "it has no object as its default export"],
    ["does not parse", "export default {", "of which no gateway was made"],
    [
      "knows a transport that there is not",
      "export default { contract: 1, open() {}, transports: ['sms'] };",
      "its transports are",
    ],
  ])("is refused where it %s", async (_what, code, says) => {
    const error: Error = await load(`gateways: { mine: { module: "${moduleOf(code)}" } }`).then(
      fail,
      (error) => error,
    );
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain(says);
    expect(error.message).toContain("gateways.mine.module");
  });

  it("has its own settings checked by its own schema, and its defaults filled in", async () => {
    const module = moduleOf(
      `export default { contract: 1, open() {}, schema: { type: "object", properties: { colour: { type: "string", enum: ["red", "blue"], default: "red" } } } };`,
    );
    const { gateways } = await load(`gateways: { mine: { module: "${module}" } }`);
    expect(gateways["mine"]).toMatchObject({
      colour: "red",
      slowAfter: 100,
      closeAfter: 1000,
      stuckAfter: 30_000,
    });
    const wrong = load(`gateways: { mine: { module: "${module}", colour: 7 } }`);
    await expect(wrong).rejects.toThrow(/gateways\.mine\.colour.*(red|blue)/);
  });

  it("may come from the environment and from --set, and not under the name of one that comes along", async () => {
    const module = moduleOf("export default { contract: 1, open() {} };");
    const set = [
      "gateways.mine.listeners.tcp={transport: tcp, port: 7071}",
      `gateways.mine.module=${module}`,
    ];
    expect((await load("", { set })).gateways["mine"]?.listeners["tcp"]?.port).toBe(7071);
    const environment = { ISTHMUS_GATEWAYS__MINE__MODULE: module };
    expect((await load("", { environment })).gateways["mine"]?.enable).toBe(true);
    await expect(load("gateways: { mqtt: { module: ./x.mjs } }")).rejects.toThrow("gateways.mqtt.module");
    await expect(load("gateways: { http: { module: ./x.mjs } }")).rejects.toThrow("are taken");
    await expect(load("gateways: { mine: { module: nowhere } }")).rejects.toThrow(
      "of which no gateway was made",
    );
  });
});

const fail = (): never => {
  throw new Error("nothing was refused");
};
