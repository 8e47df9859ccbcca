/** Counters and gauges of sessions at a cluster, seen to move over `/metrics`; what `/ready` and the API say beside it. */
import { createSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import { generate } from "coap-packet";
import mqttPacket from "mqtt-packet";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";
import { runCommand } from "../../support/command.ts";
import type { AnyPacket } from "../../support/mqtt-device.ts";
import { type Listening, listenTo, ScriptedServer } from "../../support/scripted-server.ts";
import { until } from "../../support/store-process.ts";

const PATIENCE = 120_000;

/** Acknowledges nothing by itself. */
class Device {
  readonly packets: AnyPacket[] = [];
  readonly socket: Socket;

  constructor(port: number, clientId: string, properties: object = {}) {
    this.socket = connect(port, "127.0.0.1").on("error", () => {});
    const parser = mqttPacket.parser({ protocolVersion: 5 } as never);
    parser.on("packet", (packet) => this.packets.push(packet as unknown as AnyPacket));
    this.socket.on("data", (bytes) => void parser.parse(bytes));
    const protocol = { protocolId: "MQTT", protocolVersion: 5, keepalive: 0 };
    this.send({ cmd: "connect", ...protocol, clean: true, clientId, properties });
  }

  send(...packets: object[]): void {
    for (const packet of packets)
      this.socket.write(mqttPacket.generate(packet as never, { protocolVersion: 5 } as never));
  }

  async hears(cmd: string): Promise<AnyPacket> {
    await until(() => this.packets.some((packet) => packet.cmd === cmd), `no ${cmd}`);
    return this.packets.find((packet) => packet.cmd === cmd) as AnyPacket;
  }
}

/** A gateway before a server that does what a test tells it to. */
class Site {
  readonly script = new ScriptedServer();
  server!: Listening;
  api!: TestApi;
  readonly #grace: string;
  readonly #devices: Device[] = [];

  /** Made before the tests that follow, and ended behind them. */
  constructor(grace: string) {
    this.#grace = grace;
    beforeAll(() => this.#start(), PATIENCE);
    afterAll(() => this.#stop(), PATIENCE);
  }

  async #start(): Promise<void> {
    this.server = await listenTo(this.script);
    const group = { servers: [{ url: `tcp://127.0.0.1:${this.server.port}` }], health: { failures: 3 } };
    this.api = await startApi({
      gateways: { mqtt: { fullQueue: "refuse" }, coap: {} },
      bus: {
        engine: "upstream",
        upstream: {
          groups: { default: group, dots: { ...group, profile: "nats" } },
          routes: [{ id: "dots", group: "dots", clientId: "dots" }],
          grace: this.#grace,
          patience: "10m",
          reconnect: { first: "20ms", longest: "100ms" },
          connects: { parallel: 2 },
          buffer: { messages: 2 },
          redirects: { follow: true },
        },
      },
    });
  }

  async #stop(): Promise<void> {
    for (const { socket } of this.#devices) socket.destroy();
    await this.api.stop();
    await this.server.stop();
  }

  /** What the command line says of the node. */
  status() {
    const { base, keys } = this.api;
    return runCommand("status", { environment: { ISTHMUS_URL: base, ISTHMUS_KEY: keys.viewer } });
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.api.base}/metrics`)).text();
  }

  async value(name: string, label = ""): Promise<number> {
    const lines = (await this.metrics())
      .split("\n")
      .filter((line) => line.startsWith(`isthmus_upstream_${name}`));
    const line = lines.find((each) => /^[a-z0-9_]+(\{| )/.test(each) && each.includes(label));
    if (line === undefined) throw new Error(`no metric upstream_${name} ${label}`);
    return Number(line.slice(line.lastIndexOf(" ") + 1));
  }

  counter(name: string): Promise<number> {
    return this.value(`${name}_total`);
  }

  reaches(what: () => Promise<number>, wanted: (now: number) => boolean, name: string): Promise<void> {
    return until(async () => wanted(await what()), `${name} does not move`);
  }

  /** The counter goes up by what `does`. */
  async moves(name: string, does: () => unknown): Promise<void> {
    const before = await this.counter(name);
    await does();
    await this.reaches(
      () => this.counter(name),
      (now) => now > before,
      name,
    );
  }

  gauge(name: string, wanted: number, label = ""): Promise<void> {
    return this.reaches(
      () => this.value(name, label),
      (now) => now === wanted,
      `${name} ${label}`,
    );
  }

  begin(clientId: string, properties: object = {}): Device {
    const device = new Device(this.api.gateway.port("mqtt", "tcp"), clientId, properties);
    this.#devices.push(device);
    return device;
  }

  async connected(clientId: string, properties: object = {}): Promise<Device> {
    const device = this.begin(clientId, properties);
    await device.hears("connack");
    return device;
  }

  says(clientId: string, ...packets: object[]): void {
    for (const packet of packets) this.script.last(clientId).say(packet);
  }
}

const message = (qos: number, messageId: number, more: object = {}) => ({
  ...{ cmd: "publish", topic: "a", payload: "x", qos, ...(qos > 0 ? { messageId } : {}), ...more },
});

describe("what is counted of sessions at a cluster", { timeout: PATIENCE }, () => {
  // However long this machine takes, no connection is given up.
  const site = new Site("10m");
  const { script } = site;

  it("connects, publishes and deliveries of each QoS, sessions and servers", async () => {
    let plain!: Device;
    await site.moves("connects", async () => {
      plain = await site.connected("plain");
    });
    for (const qos of [0, 1, 2]) {
      await site.moves(`published_qos${qos}`, () => plain.send(message(qos, 10 + qos)));
      await site.moves(`delivered_qos${qos}`, () => site.says("plain", message(qos, 20 + qos)));
    }
    await site.gauge("withheld", 2);
    await site.gauge("sessions", 1, 'state="up"');
    await site.gauge("server_sessions", 2, "default tcp");
    await site.gauge("service", 1, "-1");
    plain.socket.destroy();
    await site.gauge("sessions", 0, 'state="up"');
  });

  it("what servers refuse, break, take over, name elsewhere and have lost", async () => {
    let acknowledges = false;
    script.answer = (line, { cmd }) => {
      const { clientId } = line;
      if (cmd !== "connect") return clientId === "cut" && cmd === "publish" && !acknowledges;
      if (clientId === "denied") line.say({ cmd: "connack", sessionPresent: false, reasonCode: 0x87 });
      else if (clientId === "silent") line.end();
      else if (clientId === "moved" && script.of("moved").length === 1) {
        const properties = { serverReference: `127.0.0.1:${site.server.port}` };
        line.say({ cmd: "connack", sessionPresent: false, reasonCode: 0x9c, properties });
      } else if (clientId === "taken") {
        line.welcome();
        line.say({ cmd: "disconnect", reasonCode: 0x8e });
      } else return undefined;
      return true;
    };
    await site.moves("denied", () => site.begin("denied"));
    // Nobody is tried at a server that fails three times in a row.
    let silent!: Device;
    await site.moves("failures", () => {
      silent = site.begin("silent");
    });
    // Without a reset it might still want to read its answer.
    silent.socket.resetAndDestroy();
    await site.gauge("sessions", 0, 'state="connecting"');
    await site.moves("takeovers", () => site.begin("taken"));
    await site.moves("redirects", () => site.begin("moved"));
    const cut = await site.connected("cut");
    cut.send(message(1, 5));
    await site.gauge("unanswered", 1);
    await site.moves("cuts", () => script.last("cut").end());
    await site.reaches(
      () => site.counter("resent"),
      (now) => now > 0,
      "resent",
    );
    expect(await site.counter("sessions_lost")).toBeGreaterThan(0);
    acknowledges = true;
    script.last("cut").end();
    await cut.hears("puback");
    script.answer = () => undefined;
  });

  it("what a device does not take in time", async () => {
    const slow = await site.connected("slow", { receiveMaximum: 1 });
    await site.moves("overshoots", () => site.says("slow", message(1, 1), message(1, 2)));
    await site.gauge("waiting", 1);
    await site.moves("repeats", () => site.says("slow", message(1, 1, { dup: true })));
    await site.moves("dropped_qos0", () => site.says("slow", message(0, 0), message(0, 0), message(0, 0)));
    const dying = await site.connected("dying", { receiveMaximum: 1 });
    site.says("dying", message(1, 1));
    await dying.hears("publish");
    const before = await site.value("waiting");
    site.says("dying", message(1, 2, { properties: { messageExpiryInterval: 1 } }));
    await site.reaches(
      () => site.value("waiting"),
      (now) => now > before,
      "waiting",
    );
    const since = Date.now();
    await until(() => Date.now() - since > 1_100, "time stands still");
    await site.moves("expired", () => dying.send({ cmd: "puback", messageId: 1 }));
    slow.socket.destroy();
    // More than it takes in one packet: the server is told that it is done with, and that it was not taken.
    const small = await site.connected("small", { maximumPacketSize: 40 });
    await site.moves("dead", () => site.says("small", message(1, 1, { payload: "x".repeat(100) })));
    await until(() => script.last("small").got("puback").length > 0, "no puback");
    expect(script.last("small").got("puback")[0]).toMatchObject({ messageId: 1, reasonCode: 0x80 });
    small.socket.destroy();
  });

  it("what a server cannot do, a look-up of what is retained, and how long a server takes to answer", async () => {
    const dots = await site.connected("dots");
    await site.moves("unfit", () => dots.send(message(1, 1, { topic: "a.b" })));
    expect(await dots.hears("puback")).toMatchObject({ reasonCode: 0x87 });
    await site.moves("lowered", () => dots.send(message(2, 2)));
    await until(() => script.last("dots").got("publish").length > 0, "no publish");
    expect(script.last("dots").got("publish")[0]).toMatchObject({ qos: 1 });
    const socket = createSocket("udp4");
    const options = ["ps", "a"].map((value) => ({ name: "Uri-Path", value: Buffer.from(value) }));
    const asked = generate({ code: "0.01", messageId: 1, token: Buffer.from("t"), options } as never);
    await site.moves("lookups", () => socket.send(asked, site.api.gateway.port("coap", "udp"), "127.0.0.1"));
    // Its answer comes behind that to a PINGREQ.
    const took = /isthmus_upstream_server_round_trip_seconds\{server="default tcp[^}]*\} [0-9.]+/;
    await until(async () => took.test(await site.metrics()), "no round trip");
    socket.close();
  });

  it("what is published beyond the buffer while no server lets its device in", async () => {
    const full = await site.connected("full");
    script.answer = (line, { cmd }) => cmd === "connect" && line.clientId === "full";
    await site.moves("cuts", () => script.last("full").end());
    // The buffer takes two.
    await site.moves("refused", () => full.send(message(1, 1), message(1, 2), message(1, 3)));
    full.socket.resetAndDestroy();
    await site.gauge("connects_running", 0);
  });

  it("connections that wait for CONNACK and for their turn; a server that is drained", async () => {
    script.answer = (line, { cmd }) => cmd === "connect" && line.clientId.startsWith("mute");
    for (const id of [1, 2, 3]) site.begin(`mute-${id}`);
    await site.gauge("connects_running", 2);
    await site.gauge("connects_waiting", 1);
    const url = `tcp://127.0.0.1:${site.server.port}`;
    const drained = { body: { group: "dots", url } };
    expect((await site.api.ask("PUT", "/api/v1/upstream/servers/drain", drained)).status).toBe(204);
    await site.gauge("server_draining", 1, "dots tcp");
    const listed = await site.api.ask("GET", "/api/v1/upstream/servers");
    expect(listed.body.items).toMatchObject([
      { group: "default", draining: false },
      { group: "dots", draining: true },
    ]);
    expect(await site.value("reachable")).toBe(1);
    // Its exit code speaks for all questions, such as how busy this machine is.
    expect((await site.status()).out).toMatch(/upstream\s+yes/);
    expect((await fetch(`${site.api.base}/ready`)).status).toBe(200);
  });
});

describe("a cluster that is gone", { timeout: PATIENCE }, () => {
  const site = new Site("1s");

  it("is said in /metrics, /ready and the status", async () => {
    await site.gauge("reachable", 1);
    await site.server.stop();
    await site.gauge("server_well", 0, "default tcp");
    await site.gauge("reachable", 0);
    const ready = await fetch(`${site.api.base}/ready`);
    expect([ready.status, await ready.text()]).toEqual([
      503,
      expect.stringContaining("no server of the cluster"),
    ]);
    const gone = await site.status();
    expect([gone.code, gone.out]).toEqual([1, expect.stringContaining("no server of the cluster")]);
  });
});
