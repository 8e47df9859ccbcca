/** Both sides of a translation in one trace: what follows from what, and how long it waited. */
import { describe, expect, it, vi } from "vitest";
import type { TraceRequest } from "#core/trace/recordings.ts";
import type { TraceRow } from "#core/trace/rows.ts";
import { lineOf, sentenceOf } from "#core/trace/text.ts";
import { type CoapConfig, schema } from "#gateways/coap/config.ts";
import { coap } from "#gateways/coap/index.ts";
import { MqttDissector } from "#gateways/mqtt/dissector.ts";
import { mqttSn } from "#gateways/mqtt-sn/index.ts";
import { CoapDevice } from "../../support/coap-device.ts";
import { parseDefaults } from "../../support/coap-settings.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { SnDevice, snConfig, TRUSTED } from "../../support/mqtt-sn-device.ts";
import { proving } from "../../support/proven.ts";
import { StompClient, stompListener } from "../../support/stomp-client.ts";
import { type DatagramNetwork, World } from "../../support/world.ts";

function record(world: World, request: TraceRequest): { rows: readonly TraceRow[]; stop(): void } {
  const { recordings } = world.tracing;
  const recording = recordings.start(request);
  if (recording === "full") throw new Error("full");
  return { rows: recording.rows, stop: () => recordings.stop(recording.id) };
}

interface Bridge {
  readonly world: World;
  readonly coapNetwork: DatagramNetwork;
  readonly snNetwork: DatagramNetwork;
}

function bridge(): Bridge {
  const world = new World();
  const config = parseDefaults<CoapConfig>(schema, { stack: { amplification: "off" } });
  const coapEndpoint = world.open(coap, config).endpoint({ name: "udp", transport: "udp" });
  const snEndpoint = world.open(mqttSn, snConfig(TRUSTED)).endpoint({ name: "udp", transport: "udp" });
  return {
    world,
    coapNetwork: world.datagrams("coap", coapEndpoint),
    snNetwork: world.datagrams("mqtt-sn", snEndpoint),
  };
}

const kinds = (rows: readonly TraceRow[]): string[] =>
  rows.map((row) => (row.kind === "frame" ? `${row.from} ${row.name}` : row.kind));

describe("a CoAP PUT for a sleeping MQTT-SN node", () => {
  /** Until the node has acknowledged. */
  function told(): readonly TraceRow[] {
    const { world, coapNetwork, snNetwork } = bridge();
    const node = new SnDevice(snNetwork, 40_112, "10.1.4.17").asleep("pump-7", "cmd/pump-7/+");
    const { rows } = record(world, { client: "pump-7", seconds: 3600 });
    const camera = new CoapDevice(coapNetwork);
    camera.send({
      code: "PUT",
      id: 0x41a2,
      token: "t",
      path: "ps/cmd/pump-7/set",
      query: ["qos=1"],
      payload: "{}",
    });
    world.advance(662_000 as never);
    node.ping("pump-7");
    node.regack(1, 1);
    world.advance(5_000 as never);
    node.puback(1, 1);
    return rows;
  }

  it("is one cause from the PUT over its wait to the PUBACK, and the PINGREQ another", () => {
    const rows = told();
    const put = rows.find((row) => row.kind === "frame" && row.name === "CON PUT");
    const cause = put?.cause;
    const of = rows.filter((row) => row.cause === cause);
    expect(kinds(of)).toEqual([
      "device CON PUT",
      "message",
      "delivery",
      "routed",
      "gateway ACK 2.04",
      "delivery",
      "gateway REGISTER",
      "device REGACK",
      "gateway PUBLISH",
      "device PUBACK",
      "delivery",
      "state",
    ]);
    const ping = rows.find((row) => row.kind === "frame" && row.name === "PINGREQ");
    expect(ping?.cause).toBeGreaterThan(cause ?? 0);
  });

  it("says that the message waits for a sleeper, how long it has waited, and what came of it", () => {
    const sentences = told().map(sentenceOf);
    expect(sentences).toContain("mqtt-sn pump-7: cmd/pump-7/set QoS 1 waits: asleep");
    expect(sentences).toContain("mqtt-sn pump-7: cmd/pump-7/set QoS 1 given, waited 11 min 02 s");
    expect(sentences).toContain("mqtt-sn pump-7: cmd/pump-7/set QoS 1 done");
    expect(sentences).toContain("bus cmd/pump-7/set: matched: 1 waits");
    expect(sentences.some((text) => text.includes("bus cmd/pump-7/set QoS 1 by client coap:"))).toBe(true);
  });

  it("decodes each frame of both sides with its ids, and says when the node falls asleep and wakes", () => {
    const lines = told().map(lineOf).join("\n");
    expect(lines).toMatch(/coap \S* ?10\.0\.0\.1:\d+ -> CON PUT \/ps\/cmd\/pump-7\/set\?qos=1, 41a2, 2 B/);
    expect(lines).toContain('<- REGISTER 1 "cmd/pump-7/set"');
    expect(lines).toContain("-> REGACK 1 accepted");
    expect(lines).toContain('<- PUBLISH 1 "cmd/pump-7/set" QoS 1');
    expect(lines).toMatch(/mqtt-sn pump-7 10\.1\.4\.17:40112 is awake, was asleep/);
  });
});

describe("a trace", () => {
  it("of one client holds nothing of others", () => {
    const { world, device } = mqttSite();
    const { rows } = record(world, { client: "a" });
    const a = device();
    a.connect("a");
    const b = device();
    b.connect("b");
    b.subscribe("of/b", 0);
    b.publish("of/b", "x");
    a.publish("of/a", "y");
    const seen = rows.map(sentenceOf).join("\n");
    expect(seen).toContain('"of/a"');
    expect(seen).not.toContain("of/b");
  });

  it("of a topic holds both its publisher's frames and its subscriber's, whoever they are", () => {
    const { world, device } = mqttSite();
    const { rows } = record(world, { topic: "room/+/temp" });
    const a = device(5);
    a.connect("a");
    a.subscribe("room/#", 0);
    const b = device(4);
    b.connect("b");
    b.publish("room/7/temp", "21.5");
    b.publish("room/7/hum", "40");
    const frames = rows.filter((row) => row.kind === "frame").map(sentenceOf);
    expect(frames).toHaveLength(2);
    expect(frames[0]).toMatch(/^mqtt b .* -> PUBLISH "room\/7\/temp" QoS 0, 4 B$/);
    expect(frames[1]).toMatch(/^mqtt a .* <- PUBLISH "room\/7\/temp" QoS 0, 4 B$/);
  });

  it("takes a packet that comes in pieces as one frame, and packets of one chunk as causes of their own", () => {
    const { world, device } = mqttSite();
    const a = device();
    a.connect("a");
    const { rows } = record(world, { gateway: "mqtt" });
    const publish = Buffer.from("3006000174616263", "hex");
    a.stream.send(publish.subarray(0, 3));
    a.stream.send(Buffer.concat([publish.subarray(3), publish]));
    const frames = rows.filter((row) => row.kind === "frame");
    expect(frames.map(sentenceOf)).toEqual([
      expect.stringMatching(/PUBLISH "t" QoS 0, 3 B$/),
      expect.stringMatching(/PUBLISH "t" QoS 0, 3 B$/),
    ]);
    expect(new Set(frames.map(({ cause }) => cause)).size).toBe(2);
  });

  it("holds a refusal with what decided, and the login that was refused by the name that was claimed", () => {
    const denied = {
      ...proving("mqtt"),
      mayPublish: () => false,
      decidedBy: () => "rule 4: deny publish secret/#",
    };
    const { world, device } = mqttSite({}, {}, denied);
    const { rows } = record(world, { client: "a" });
    const a = device(5);
    a.connect("a", { username: "ana", password: Buffer.from("p") });
    a.publish("secret/x", "1");
    expect(rows.map(sentenceOf)).toContainEqual(
      expect.stringMatching(
        /^mqtt a 127\.0\.0\.1:\d+: publish secret\/x refused, forbidden: rule 4: deny publish secret\/#$/,
      ),
    );
  });

  it("never holds a password, in fields or in octets", () => {
    const world = new World();
    const { rows } = record(world, { gateway: "stomp" });
    new StompClient(stompListener(world)).login({ login: "ana", passcode: "hunter2" });
    const site = mqttSite();
    const { rows: mqttRows } = record(site.world, { gateway: "mqtt" });
    site.device(5).connect("a", { username: "ana", password: Buffer.from("hunter2") });
    for (const row of [...rows, ...mqttRows]) {
      if (row.kind !== "frame") continue;
      expect(Buffer.from(row.bytes).includes("hunter2")).toBe(false);
      expect(JSON.stringify(row.fields)).not.toContain("hunter2");
      expect(sentenceOf(row)).not.toContain("hunter2");
    }
    expect([...rows, ...mqttRows].some((row) => row.kind === "frame" && row.masked)).toBe(true);
  });

  it("ends when its time is over or it holds as many rows as it may, and then nothing is attached", () => {
    const { world, device } = mqttSite();
    const { recordings } = world.tracing;
    const timed = recordings.start({ gateway: "mqtt", seconds: 10 });
    const counted = recordings.start({ gateway: "mqtt", rows: 3 });
    if (timed === "full" || counted === "full") throw new Error("full");
    const a = device();
    a.connect("a");
    a.publish("t", "x");
    expect(counted.ended).toBe("rows");
    expect(counted.rows).toHaveLength(3);
    expect(world.core.trace).toBeDefined();
    world.advance(11_000 as never);
    expect(timed.ended).toBe("time");
    expect([world.core.trace, world.gate.inspection, world.sessions.context.watch]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("what a trace costs those whom it does not follow", () => {
  it("no frame of theirs is read, and none of their rows counts against what may be made in a second", () => {
    const { world, device } = mqttSite();
    const a = device();
    a.connect("a");
    const b = device();
    b.connect("b");
    b.subscribe("of/b", 0);
    const { rows } = record(world, { client: "a" });
    const read = vi.spyOn(MqttDissector.prototype, "dissect");
    for (let count = 0; count < 25_000; count++) b.publish("of/b", "x");
    expect(read).not.toHaveBeenCalled();
    a.publish("of/a", "y");
    read.mockRestore();
    expect(rows.map(sentenceOf)).toContainEqual(expect.stringMatching(/-> PUBLISH "of\/a"/));
    expect(rows.some(({ kind }) => kind === "skipped")).toBe(false);
  });

  it("but the frame of another that brings a message to whom it follows is there, octet by octet", () => {
    const { world, device } = mqttSite();
    const a = device();
    a.connect("a");
    a.subscribe("to/a", 0);
    const b = device(5);
    b.connect("b");
    const { rows } = record(world, { client: "a" });
    const publish = (topic: string): string => `300a0004${Buffer.from(topic).toString("hex")}00616263`;
    b.stream.send(Buffer.from(publish("to/b") + publish("to/a") + publish("to/b"), "hex"));
    const all = ["delivery", "device PUBLISH", "gateway PUBLISH", "message", "routed"];
    expect(kinds(rows).sort()).toEqual(all);
    const [frame] = rows;
    expect(frame?.kind === "frame" && Buffer.from(frame.bytes).toString("hex")).toBe(publish("to/a"));
    expect(new Set(rows.map(({ cause }) => cause)).size).toBe(1);
  });

  it("and so is what had waited, when only its last frame shows whom it was for", () => {
    const { world, coapNetwork, snNetwork } = bridge();
    const node = new SnDevice(snNetwork, 40_112, "10.1.4.17").asleep("pump-7", "cmd/pump-7/+");
    const { rows } = record(world, { address: "10.1.4.17", topic: "cmd/#", seconds: 3600 });
    const camera = new CoapDevice(coapNetwork);
    for (const name of ["pump-7", "pump-8"]) {
      const request = { code: "PUT", id: name === "pump-7" ? 1 : 2, token: "t", payload: "{}" } as const;
      camera.send({ ...request, path: `ps/cmd/${name}/set`, query: ["qos=1"] });
    }
    world.advance(60_000 as never);
    node.ping("pump-7");
    const frames = kinds(rows).filter((kind) => kind.includes(" "));
    expect(frames.slice(0, 2)).toEqual(["device CON PUT", "gateway REGISTER"]);
    expect(rows.map(sentenceOf).join("\n")).not.toContain("pump-8");
  });

  it("and so is the frame of a delayed message, when its time has come", () => {
    const { world, device } = mqttSite();
    const a = device();
    a.connect("a");
    a.subscribe("to/a", 0);
    const b = device();
    b.connect("b");
    const { rows } = record(world, { client: "a" });
    b.publish("$delayed/5/to/a", "late");
    expect(rows).toEqual([]);
    world.advance(6_000 as never);
    expect(rows.map(sentenceOf)[0]).toMatch(/^mqtt b .* -> PUBLISH "\$delayed\/5\/to\/a" QoS 0, 4 B$/);
  });
});
