/**
 * An end of stream is an event in order: what a client sent before it has its effect, however long the core takes to
 * answer what came first ([MQTT-3.14.4-3], MQTT 5 §3.1.4; STOMP 1.2 DISCONNECT).
 */
import mqttPacket from "mqtt-packet";
import { describe, expect, it } from "vitest";
import type { ListenerPolicy, Verdict } from "#core/policy/policy.ts";
import { pubsubWorld } from "../../support/coap-site.ts";
import { frame as coapFrame } from "../../support/coap-stream.ts";
import { endEngine } from "../../support/engine-of-run.ts";
import { mqttSite } from "../../support/mqtt-device.ts";
import { fc } from "../../support/property.ts";
import { stompListener } from "../../support/stomp-client.ts";
import { frame as stompFrame } from "../../support/stomp-frames.ts";
import { permissive, type StreamListener, World } from "../../support/world.ts";

/** Logins that take as many turns of the event loop as are asked for. */
const slow = (gateway: string, turns: number): Partial<ListenerPolicy> =>
  turns === 0
    ? {}
    : {
        authenticate: async (request, peer, now): Promise<Verdict> => {
          for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
          return permissive(gateway).authenticate(request, peer, now);
        },
      };

const will = { topic: "will", payload: Buffer.from("w"), qos: 0 as const, retain: false };
const mqtt = (version: 4 | 5, subscribes: boolean) =>
  Buffer.concat(
    [
      { cmd: "connect", protocolId: "MQTT", protocolVersion: version, clientId: "c", clean: false, will },
      ...(subscribes ? [{ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "x/#", qos: 1 }] }] : []),
      { cmd: "publish", topic: "heard", payload: Buffer.from("1"), qos: 0 },
      { cmd: "publish", topic: "heard", payload: Buffer.from("2"), qos: 1, messageId: 2 },
      { cmd: "publish", topic: "heard", payload: Buffer.from("3"), qos: 2, messageId: 3 },
      { cmd: "disconnect" },
    ].map((packet) => mqttPacket.generate(packet as never, { protocolVersion: version } as never)),
  );
const stomp = Buffer.concat([
  stompFrame("CONNECT", { "accept-version": "1.2", host: "x", "client-id": "c" }),
  stompFrame("SUBSCRIBE", { id: "1", destination: "x", ack: "client", "durable-subscription-name": "d" }),
  ...["1", "2", "3"].map((body) => stompFrame("SEND", { destination: "heard" }, body)),
]);
const coap = Buffer.concat([
  coapFrame({ code: "7.01" }),
  ...["1", "2", "3"].map((payload) =>
    coapFrame({
      code: "0.03",
      token: payload,
      options: [
        [11, "ps"],
        [11, "heard"],
        [15, "c=c"],
        [15, "u=u"],
        [15, "p=p"],
      ],
      payload,
    }),
  ),
]);

const GATEWAYS: Record<string, { bytes: Buffer; open: (turns: number) => [World, StreamListener] }> = {
  "MQTT 3.1.1": { bytes: mqtt(4, false), open: (turns) => mqttOpen(turns) },
  "MQTT 5 with SUBSCRIBE in front": { bytes: mqtt(5, true), open: (turns) => mqttOpen(turns) },
  STOMP: {
    bytes: stomp,
    open: (turns) => {
      const world = new World();
      return [world, stompListener(world, {}, slow("stomp", turns))];
    },
  },
  "CoAP over TCP": {
    bytes: coap,
    open: (turns) => {
      const { world, streams } = pubsubWorld({}, { policy: slow("coap", turns) });
      return [world, streams()];
    },
  },
};
function mqttOpen(turns: number): [World, StreamListener] {
  const { world, listener } = mqttSite({}, {}, slow("mqtt", turns));
  return [world, listener];
}

const turnsOf = async (world: World, count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    world.settle();
  }
};

describe.each(Object.keys(GATEWAYS))("%s", (name) => {
  const { bytes, open } = GATEWAYS[name]!;

  it("works on all that came before the end of the stream, wherever it is cut, however slow a login is", async () => {
    const cuts = fc.array(fc.nat(bytes.length), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.nat(3), cuts, fc.constantFrom("finish", "drop"), async (turns, places, how) => {
        const [world, listener] = open(turns);
        const heard = world.listen("heard");
        const wills = world.listen("will");
        const stream = listener.connect();
        let from = 0;
        for (const place of [...places, bytes.length].sort((a, b) => a - b)) {
          if (place > from) stream.send(bytes.subarray(from, place));
          from = Math.max(from, place);
        }
        // A connection that breaks takes along what was not read; all that was read is worked on.
        if (how === "drop" && turns > 0) await turnsOf(world, turns * 8);
        stream[how]();
        await turnsOf(world, turns * 12);
        expect(heard.map(({ payload }) => String(Buffer.from(payload)))).toEqual(["1", "2", "3"]);
        expect(wills).toEqual([]);
        expect([stream.closed || how === "drop", listener.loops().length]).toEqual([true, 0]);
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    ["is gone", undefined],
    ["is reset", "ECONNRESET"],
  ])("also in one write, with a connection that %s before the login is answered", async (_how, error) => {
    const [world, listener] = open(2);
    const heard = world.listen("heard");
    const wills = world.listen("will");
    const stream = listener.connect();
    stream.send(bytes);
    stream.drop(error);
    await turnsOf(world, 20);
    expect(heard.map(({ payload }) => String(Buffer.from(payload)))).toEqual(["1", "2", "3"]);
    expect([wills.length, listener.loops().length]).toEqual([0, 0]);
  });
});

it("a client that only ends its own direction reads the answers", async () => {
  const { world, listener } = mqttSite({}, {}, slow("mqtt", 2));
  const stream = listener.connect();
  // Without a DISCONNECT, which asks for no answers any more.
  stream.send(mqtt(4, true).subarray(0, -2));
  stream.finish();
  await turnsOf(world, 20);
  const types: (string | undefined)[] = [];
  const parser = mqttPacket.parser({ protocolVersion: 4 } as never);
  parser.on("packet", (packet) => types.push(packet.cmd));
  parser.parse(Buffer.from(stream.takeBytes()));
  expect(types).toEqual(["connack", "suback", "puback", "pubrec"]);
  expect(stream.closed).toBe(true);
});

it("who was cut off while it logged in, and had not said goodbye, has its will published; and only where it was let in", async () => {
  const { world, listener } = mqttSite({}, {}, slow("mqtt", 2));
  const [heard, wills] = [world.listen("heard"), world.listen("will")];
  const stream = listener.connect();
  stream.send(mqtt(5, false).subarray(0, -2));
  stream.drop("ECONNRESET");
  await turnsOf(world, 20);
  expect([heard.length, wills.length, listener.loops().length]).toEqual([3, 1, 0]);
  // Behind its CONNECT it has sent nothing: nobody waits for the answer.
  const idle = listener.connect();
  idle.send(
    mqttPacket.generate({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clientId: "d",
      clean: true,
      will,
    } as never),
  );
  idle.drop("ECONNRESET");
  expect(listener.loops().length).toBe(0);
  await turnsOf(world, 20);
  expect([wills.length, world.connects.length]).toEqual([1, 1]);
});

it.each([undefined, "ECONNRESET"])(
  "what a connection has sent counts as held memory until it is worked on, also when it is gone (%s)",
  async (error) => {
    const { world, listener } = mqttSite({}, {}, slow("mqtt", 2));
    const stream = listener.connect();
    const much = { cmd: "publish", topic: "much", payload: Buffer.alloc(50_000), qos: 0 };
    stream.send(Buffer.concat([mqtt(4, false), mqttPacket.generate(much as never)]));
    stream.drop(error);
    expect(world.core.memory.held).toBeGreaterThan(50_000);
    expect(world.core.memory.strangers).toBe(world.core.memory.held);
    await turnsOf(world, 20);
    endEngine(world);
    expect([listener.loops().length, world.core.memory.held, world.core.memory.strangers]).toEqual([0, 0, 0]);
  },
);

it("who is gone while memory for those before login is used up is not waited for", async () => {
  const memory = { total: 1_000_000, beforeLogin: 100_000, connection: 1_000_000 };
  const { world, listener } = mqttSite({}, { memory }, slow("mqtt", 50));
  for (let client = 0; client < 10; client++) {
    const stream = listener.connect();
    const much = { cmd: "publish", topic: "much", payload: Buffer.alloc(30_000), qos: 0 };
    stream.send(Buffer.concat([mqtt(4, false), mqttPacket.generate(much as never)]));
    stream.drop("ECONNRESET");
  }
  expect(listener.loops().length).toBeLessThan(5);
  await turnsOf(world, 200);
  endEngine(world);
  expect([listener.loops().length, world.core.memory.held]).toEqual([0, 0]);
});
