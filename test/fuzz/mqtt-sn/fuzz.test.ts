import { describe, expect, it } from "vitest";
import { decode } from "#gateways/mqtt-sn/codec.ts";
import { encode } from "#gateways/mqtt-sn/encode.ts";
import * as p from "#gateways/mqtt-sn/packets.ts";
import { show, snWorld } from "../../support/mqtt-sn-device.ts";
import * as tables from "../../support/mqtt-sn-wire.ts";
import { fc } from "../../support/property.ts";

const octets = (max: number) => fc.uint8Array({ maxLength: max });
/** Names and ids; the NUL that some clients send behind theirs is no part of them. */
const names = (max: number) => octets(max).filter((name) => name.length < 2 || name.at(-1) !== 0);
const id = fc.integer({ min: 0, max: 0xffff });
const octet = fc.integer({ min: 0, max: 255 });
const qos = fc.constantFrom<p.WireQoS>(-1, 0, 1, 2);
const code = fc.constantFrom(0, 0, 0, 1, 2, 3, 4, 255);
const constant = <const Value>(value: Value) => fc.constant(value);

const subscribe = fc.oneof(
  fc.record({
    topicIdType: fc.constantFrom<p.TopicIdType>(1, 2),
    topic: fc.uint8Array({ minLength: 2, maxLength: 2 }),
  }),
  fc.record({ topicIdType: fc.constantFrom<p.TopicIdType>(0, 3), topic: names(40) }),
);

/** Every message of the specification. */
const packet: fc.Arbitrary<p.Packet> = fc.oneof(
  fc.record({ type: constant(p.ADVERTISE), gatewayId: octet, duration: id }),
  fc.record({ type: constant(p.SEARCHGW), radius: octet }),
  fc.record({ type: constant(p.GWINFO), gatewayId: octet, address: octets(20) }),
  fc.record({
    type: constant(p.CONNECT),
    will: fc.boolean(),
    cleanSession: fc.boolean(),
    protocolId: fc.constantFrom(1, 1, 1, 0, 2, 255),
    duration: id,
    clientId: names(30),
  }),
  fc.record({ type: fc.constantFrom(p.CONNACK, p.WILLTOPICRESP, p.WILLMSGRESP), returnCode: octet }),
  fc.record({ type: fc.constantFrom(p.WILLTOPICREQ, p.WILLMSGREQ, p.PINGRESP) }),
  fc.record({
    type: fc.constantFrom(p.WILLTOPIC, p.WILLTOPICUPD),
    qos,
    retain: fc.boolean(),
    topic: octets(300).filter((name) => !name.includes(0)),
  }),
  fc.record({
    type: fc.constantFrom(p.WILLTOPIC, p.WILLTOPICUPD),
    qos: constant<p.WireQoS>(0),
    retain: constant(false),
    topic: constant(undefined),
  }),
  fc.record({ type: fc.constantFrom(p.WILLMSG, p.WILLMSGUPD), payload: octets(300) }),
  fc.record({ type: constant(p.REGISTER), topicId: id, messageId: id, topic: names(300) }),
  fc.record({ type: fc.constantFrom(p.REGACK, p.PUBACK), topicId: id, messageId: id, returnCode: octet }),
  fc.record({
    type: constant(p.PUBLISH),
    duplicate: fc.boolean(),
    qos,
    retain: fc.boolean(),
    topicIdType: fc.constantFrom<p.TopicIdType>(0, 1, 2, 3),
    topicId: id,
    messageId: id,
    payload: octets(300),
  }),
  fc.record({ type: fc.constantFrom(p.PUBCOMP, p.PUBREC, p.PUBREL, p.UNSUBACK), messageId: id }),
  fc.tuple(subscribe, fc.boolean(), qos, id).map(
    ([topic, duplicate, level, messageId]) =>
      ({
        type: p.SUBSCRIBE,
        duplicate,
        qos: level,
        messageId,
        ...topic,
      }) as const,
  ),
  fc.tuple(subscribe, id).map(
    ([topic, messageId]) =>
      ({
        type: p.UNSUBSCRIBE,
        duplicate: false,
        qos: 0,
        messageId,
        ...topic,
      }) as const,
  ),
  fc.record({ type: constant(p.SUBACK), qos, topicId: id, messageId: id, returnCode: octet }),
  fc.record({ type: constant(p.PINGREQ), clientId: names(40) }),
  fc.record({ type: constant(p.DISCONNECT), duration: fc.option(id, { nil: undefined }) }),
);

describe("MQTT-SN 1.2 codec", () => {
  it("never throws, whatever the octets", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const decoded = decode(bytes);
        if (!decoded.ok) expect(decoded.error.clause).toMatch(/^MQTT-SN 1\.2 §/);
      }),
      { numRuns: 5000 },
    );
  });

  it("never throws when one octet of a message is wrong", () => {
    fc.assert(
      fc.property(packet, fc.nat(), octet, (value, at, wrong) => {
        const bytes = encode(value);
        bytes[at % bytes.length] = wrong;
        decode(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it("reads what it writes", () => {
    fc.assert(
      fc.property(packet, (value) => {
        const decoded = decode(encode(value));
        expect(decoded.ok && show(decoded.value)).toBe(show(value));
        expect(decoded.ok && Buffer.from(encode(decoded.value))).toEqual(Buffer.from(encode(value)));
        // To the octet what the tables of the specification say, which this codec had no part in.
        expect(Buffer.from(encode(value))).toEqual(Buffer.from(tables.encode(value)));
        expect(decode(tables.encode(value))).toEqual(tables.decode(encode(value)));
      }),
      { numRuns: 3000 },
    );
  });
});

type Step =
  | { readonly do: "say"; readonly packet: p.Packet; readonly from: number }
  | {
      readonly do: "likely";
      readonly what: number;
      readonly from: number;
      readonly id: number;
      readonly code: number;
    }
  | { readonly do: "raw"; readonly bytes: Uint8Array; readonly from: number }
  | { readonly do: "publish"; readonly qos: 0 | 1 | 2; readonly topic: number }
  | { readonly do: "wait"; readonly length: number };

const from = fc.integer({ min: 0, max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: constant("say" as const), packet, from }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: constant("likely" as const),
      what: fc.integer({ min: 0, max: 12 }),
      from,
      id: fc.integer({ min: 0, max: 5 }),
      code,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: constant("raw" as const), bytes: octets(40), from }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: constant("publish" as const),
      qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
      topic: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: constant("wait" as const), length: fc.integer({ min: 0, max: 200_000 }) }),
  },
);

describe("MQTT-SN 1.2 gateway under random sequences", () => {
  it("fails nowhere, answers only in the format, and leaves no more behind than its clients", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { world, network, device, wait } = snWorld({ topicIdsMax: 20 });
        const devices = [1, 2, 3, 4].map((port) => device(port));
        for (const each of steps) {
          if (each.do === "wait") wait(each.length);
          else if (each.do === "publish") world.publish(`t/${each.topic}`, "x", { qos: each.qos });
          else {
            const d = devices[each.from]!;
            const name = `d${each.from % 2}`;
            if (each.do === "raw") d.raw(Buffer.from(each.bytes).toString("hex"));
            else if (each.do === "say") d.say(each.packet);
            else {
              const likely = [
                () => d.connect(name, { clean: each.id > 2, will: each.code === 1 }),
                () => d.willTopic("w"),
                () => d.willMessage("x"),
                () => d.subscribe("t/#", 2),
                () => d.subscribe("t/1", 1),
                () => d.regack(each.id, each.id, each.code),
                () => d.puback(each.id, each.id, each.code),
                () => d.pubrec(each.id),
                () => d.pubcomp(each.id),
                () => d.ping(name),
                () => d.disconnect(each.id > 1 ? 100 : undefined),
                () => d.publish(each.id, "x", { qos: 2, id: each.id }),
                () => d.pubrel(each.id),
              ];
              likely[each.what]?.();
            }
          }
          for (const each of devices) for (const line of each.hear()) expect(line).not.toMatch(/^malformed/);
        }
        expect(network.runtime.peers.count).toBeLessThanOrEqual(4);
        // Everything ends: no timer keeps a channel of a silent device for ever.
        wait(200_000_000);
        expect(network.runtime.peers.count).toBe(0);
        expect(world.notes.filter(({ note }) => note.event === "channel-failure")).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
