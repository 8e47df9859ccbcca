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

describe("what is counted of sessions at a cluster", { timeout: PATIENCE }, () => {
  const script = new ScriptedServer();
  let server: Listening;
  let api: TestApi;
  const devices: Device[] = [];

  beforeAll(async () => {
    server = await listenTo(script);
    const group = { servers: [{ url: `tcp://127.0.0.1:${server.port}` }], health: { failures: 3 } };
    api = await startApi({
      gateways: { mqtt: { fullQueue: "refuse" }, coap: {} },
      bus: {
        engine: "upstream",
        upstream: {
          groups: { default: group, dots: { ...group, profile: "nats" } },
          routes: [{ id: "dots", group: "dots", clientId: "dots" }],
          patience: "2s",
          grace: "1s",
          reconnect: { first: "20ms", longest: "100ms" },
          connects: { parallel: 2 },
          buffer: { messages: 2 },
          redirects: { follow: true },
        },
      },
    });
  }, PATIENCE);
  afterAll(async () => {
    for (const { socket } of devices) socket.destroy();
    await api.stop();
    await server.stop();
  }, PATIENCE);

  /** What the command line says of the node. */
  const status = () =>
    runCommand("status", { environment: { ISTHMUS_URL: api.base, ISTHMUS_KEY: api.keys.viewer } });
  const metrics = async (): Promise<string> => (await fetch(`${api.base}/metrics`)).text();
  async function value(name: string, label = ""): Promise<number> {
    const lines = (await metrics()).split("\n").filter((line) => line.startsWith(`isthmus_upstream_${name}`));
    const line = lines.find((each) => /^[a-z0-9_]+(\{| )/.test(each) && each.includes(label));
    if (line === undefined) throw new Error(`no metric upstream_${name} ${label}`);
    return Number(line.slice(line.lastIndexOf(" ") + 1));
  }
  const counter = (name: string): Promise<number> => value(`${name}_total`);
  const reaches = (what: () => Promise<number>, wanted: (now: number) => boolean, name: string) =>
    until(async () => wanted(await what()), `${name} does not move`);
  /** The counter goes up by what `does`. */
  async function moves(name: string, does: () => unknown): Promise<void> {
    const before = await counter(name);
    await does();
    await reaches(
      () => counter(name),
      (now) => now > before,
      name,
    );
  }
  const gauge = (name: string, wanted: number, label = "") =>
    reaches(
      () => value(name, label),
      (now) => now === wanted,
      `${name} ${label}`,
    );
  function begin(clientId: string, properties: object = {}): Device {
    const device = new Device(api.gateway.port("mqtt", "tcp"), clientId, properties);
    devices.push(device);
    return device;
  }
  async function connected(clientId: string, properties: object = {}): Promise<Device> {
    const device = begin(clientId, properties);
    await device.hears("connack");
    return device;
  }
  const says = (clientId: string, ...packets: object[]): void => {
    for (const packet of packets) script.last(clientId).say(packet);
  };
  const message = (qos: number, messageId: number, more: object = {}) => ({
    ...{ cmd: "publish", topic: "a", payload: "x", qos, ...(qos > 0 ? { messageId } : {}), ...more },
  });

  it("connects, publishes and deliveries of each QoS, sessions and servers", async () => {
    await moves("connects", () => connected("plain"));
    const plain = devices.at(-1) as Device;
    for (const qos of [0, 1, 2]) {
      await moves(`published_qos${qos}`, () => plain.send(message(qos, 10 + qos)));
      await moves(`delivered_qos${qos}`, () => says("plain", message(qos, 20 + qos)));
    }
    await gauge("withheld", 2);
    await gauge("sessions", 1, 'state="up"');
    await gauge("server_sessions", 2, "default tcp");
    await gauge("service", 1, "-1");
    plain.socket.destroy();
    await gauge("sessions", 0, 'state="up"');
  });

  it("what servers refuse, break, take over, name elsewhere and have lost", async () => {
    let first = true;
    script.answer = (line, { cmd }) => {
      const { clientId } = line;
      if (cmd !== "connect") return clientId === "cut" && cmd === "publish" && first;
      if (clientId === "denied") line.say({ cmd: "connack", sessionPresent: false, reasonCode: 0x87 });
      else if (clientId === "silent") line.end();
      else if (clientId === "moved" && first) {
        first = false;
        const properties = { serverReference: `127.0.0.1:${server.port}` };
        line.say({ cmd: "connack", sessionPresent: false, reasonCode: 0x9c, properties });
      } else if (clientId === "taken") {
        line.welcome();
        line.say({ cmd: "disconnect", reasonCode: 0x8e });
      } else return undefined;
      return true;
    };
    await moves("denied", () => begin("denied"));
    await moves("failures", () => begin("silent"));
    await moves("takeovers", () => begin("taken"));
    await moves("redirects", () => begin("moved"));
    first = true;
    const cut = await connected("cut");
    cut.send(message(1, 5));
    await gauge("unanswered", 1);
    await moves("cuts", () => script.last("cut").end());
    await reaches(
      () => counter("resent"),
      (now) => now > 0,
      "resent",
    );
    expect(await counter("sessions_lost")).toBeGreaterThan(0);
    first = false;
    script.last("cut").end();
    await cut.hears("puback");
    script.answer = () => undefined;
  });

  it("what a device does not take in time", async () => {
    const slow = await connected("slow", { receiveMaximum: 1 });
    await moves("overshoots", () => says("slow", message(1, 1), message(1, 2)));
    await gauge("waiting", 1);
    await moves("repeats", () => says("slow", message(1, 1, { dup: true })));
    await moves("dropped_qos0", () => says("slow", message(0, 0), message(0, 0), message(0, 0)));
    const dying = await connected("dying", { receiveMaximum: 1 });
    says("dying", message(1, 1));
    await dying.hears("publish");
    const before = await value("waiting");
    says("dying", message(1, 2, { properties: { messageExpiryInterval: 1 } }));
    await reaches(
      () => value("waiting"),
      (now) => now > before,
      "waiting",
    );
    const since = Date.now();
    await until(() => Date.now() - since > 1_100, "time stands still");
    await moves("expired", () => dying.send({ cmd: "puback", messageId: 1 }));
    slow.socket.destroy();
    // More than it takes in one packet: the server is told that it is done with, and that it was not taken.
    const small = await connected("small", { maximumPacketSize: 40 });
    await moves("dead", () => says("small", message(1, 1, { payload: "x".repeat(100) })));
    await until(() => script.last("small").got("puback").length > 0, "no puback");
    expect(script.last("small").got("puback")[0]).toMatchObject({ messageId: 1, reasonCode: 0x80 });
    small.socket.destroy();
  });

  it("what a server cannot do, and a look-up of what is retained", async () => {
    const dots = await connected("dots");
    await moves("unfit", () => dots.send(message(1, 1, { topic: "a.b" })));
    expect(await dots.hears("puback")).toMatchObject({ reasonCode: 0x87 });
    await moves("lowered", () => dots.send(message(2, 2)));
    await until(() => script.last("dots").got("publish").length > 0, "no publish");
    expect(script.last("dots").got("publish")[0]).toMatchObject({ qos: 1 });
    const socket = createSocket("udp4");
    const options = ["ps", "a"].map((value) => ({ name: "Uri-Path", value: Buffer.from(value) }));
    const asked = generate({ code: "0.01", messageId: 1, token: Buffer.from("t"), options } as never);
    await moves("lookups", () => socket.send(asked, api.gateway.port("coap", "udp"), "127.0.0.1"));
    socket.close();
  });

  it("connections that wait for CONNACK and for their turn; a server that is drained; a cluster that is gone", async () => {
    script.answer = (line, { cmd }) => cmd === "connect" && line.clientId.startsWith("mute");
    for (const id of [1, 2, 3]) begin(`mute-${id}`);
    await gauge("connects_running", 2);
    await gauge("connects_waiting", 1);
    const url = `tcp://127.0.0.1:${server.port}`;
    const drained = { body: { group: "dots", url } };
    expect((await api.ask("PUT", "/api/v1/upstream/servers/drain", drained)).status).toBe(204);
    await gauge("server_draining", 1, "dots tcp");
    const listed = await api.ask("GET", "/api/v1/upstream/servers");
    expect(listed.body.items).toMatchObject([
      { group: "default", draining: false },
      { group: "dots", draining: true },
    ]);
    expect(await value("reachable")).toBe(1);
    // Its exit code speaks for all questions, such as how busy this machine is.
    expect((await status()).out).toMatch(/upstream\s+yes/);
    expect((await fetch(`${api.base}/ready`)).status).toBe(200);
    const last = await connected("last");
    await server.stop();
    // Its buffer takes two.
    await moves("refused", () => last.send(message(1, 1), message(1, 2), message(1, 3)));
    await gauge("server_well", 0, "default tcp");
    await gauge("reachable", 0);
    const ready = await fetch(`${api.base}/ready`);
    expect([ready.status, await ready.text()]).toEqual([
      503,
      expect.stringContaining("no server of the cluster"),
    ]);
    const gone = await status();
    expect([gone.code, gone.out]).toEqual([1, expect.stringContaining("no server of the cluster")]);
  });
});
