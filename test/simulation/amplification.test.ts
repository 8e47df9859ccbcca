/**
 * No address that has proven nothing is sent more than three times what came from it (RFC 9175 §2.4): over random
 * sequences of what a spoofer can send, for every gateway that speaks datagrams, with retransmissions and timers. A
 * spoofer reads nothing of what we send, so all that it repeats it has guessed.
 */
import { expect, it } from "vitest";
import type { Duration } from "#core/lib/time.ts";
import { packet } from "../support/coap-device.ts";
import { pubsubWorld } from "../support/coap-site.ts";
import { Lwm2mWorld } from "../support/lwm2m-world.ts";
import { snWorld } from "../support/mqtt-sn-device.ts";
import { fc } from "../support/property.ts";
import type { DatagramNetwork, World } from "../support/world.ts";

const FACTOR = 3;
const VICTIMS = 3;

interface Gateway {
  readonly name: string;
  open(seed: number): { readonly world: World; readonly network: DatagramNetwork };
  /** Datagrams that a spoofer may send; a number is drawn for each, to be made ids and the like. */
  readonly datagrams: readonly ((chance: number) => Uint8Array)[];
  readonly runs: number;
  /** Topics on which others publish meanwhile. */
  readonly topics: readonly string[];
}

const STACK = { stack: { amplification: "large-only" } };
const id = (chance: number): number => chance & 0xffff;
const token = (chance: number): string => String.fromCharCode(chance & 3, (chance >> 2) & 3);
const empty = (type: "CON" | "ACK" | "RST") => (chance: number) =>
  packet({ type, code: "0.00", id: id(chance) });
const OBSERVE = 6;

const coapDatagrams: Gateway["datagrams"] = [
  empty("CON"),
  empty("ACK"),
  empty("RST"),
  (chance) => packet({ id: id(chance), path: "ps/a", token: token(chance) }),
  (chance) => packet({ type: "NON", id: id(chance), path: "ps/large", token: token(chance) }),
  (chance) => packet({ id: id(chance), path: "ps/large", options: [[23, chance & 0x36]] }),
  (chance) => packet({ id: id(chance), path: "ps/a", token: token(chance), options: [[OBSERVE, 0]] }),
  (chance) =>
    packet({ id: id(chance), path: "ps/+", query: ["c=k"], token: token(chance), options: [[OBSERVE, 0]] }),
  (chance) => packet({ type: "NON", id: id(chance), path: "ps/large", options: [[OBSERVE, 0]] }),
  (chance) => packet({ code: "PUT", id: id(chance), path: "ps/a", query: ["retain=1"], payload: "x" }),
  (chance) => packet({ code: "POST", id: id(chance), path: "mqtt/connection", query: ["c=k"] }),
  (chance) => packet({ id: id(chance), path: ".well-known/core" }),
  (chance) => packet({ id: id(chance), path: "none", options: [[252, Buffer.alloc(8, chance)]] }),
  (chance) => packet({ type: "ACK", code: "2.05", id: id(chance), token: token(chance) }),
  (chance) => packet({ type: "CON", code: "2.05", id: id(chance), token: "12345678" }),
  (chance) => packet({ id: id(chance), options: [[9, "critical"]] }),
  (chance) => Uint8Array.of(0x40, 1, chance & 1, chance & 1),
  (chance) => Uint8Array.of(0x4f, chance & 0xff),
];

const lwm2mDatagrams: Gateway["datagrams"] = [
  (chance) =>
    packet({
      code: "POST",
      id: id(chance),
      path: "rd",
      query: [`ep=e${chance & 1}`, "lt=300", "lwm2m=1.1", "b=U"],
      options: [[12, 40]],
      payload: "</3/0>,</5/0>,</1/0>",
    }),
  (chance) => packet({ code: "POST", id: id(chance), path: "bs", query: [`ep=e${chance & 1}`] }),
  (chance) => packet({ type: "CON", code: "2.05", id: id(chance), token: "12345678", payload: "x" }),
  ...coapDatagrams.filter((_, index) => [0, 1, 2, 11, 12, 13, 16].includes(index)),
];

const word = (value: number): [number, number] => [(value >> 8) & 0xff, value & 0xff];
const sn = (type: number, ...body: (number | string)[]): Uint8Array => {
  const octets = body.flatMap((part) => (typeof part === "string" ? [...Buffer.from(part)] : [part]));
  return Uint8Array.from([octets.length + 2, type, ...octets]);
};
const client = (chance: number): string => `d${chance & 1}`;

/** MQTT-SN 1.2 §5.4: what a client may say; ids are guesses. */
const mqttSnDatagrams: Gateway["datagrams"] = [
  (chance) => sn(0x04, 0x04 * (chance & 1), 1, 0, 60, client(chance)),
  (chance) => sn(0x04, 0x08, 1, 0, 5, client(chance)),
  () => sn(0x07, 0x00, "w"),
  () => sn(0x09, "x"),
  (chance) => sn(0x12, 0x20 * (chance & 1), ...word(chance), "#"),
  (chance) => sn(0x12, 0x40, ...word(chance), "large"),
  (chance) => sn(0x12, 0x02, ...word(chance), "ab"),
  (chance) => sn(0x0a, 0, 0, ...word(chance), "a"),
  (chance) => sn(0x0b, ...word(chance & 7), ...word(chance >> 3), chance & 3),
  (chance) => sn(0x0b, ...word(chance), ...word(chance ^ 0x5a5a), 0),
  (chance) => sn(0x0c, 0x20, 0, 1, ...word(chance), "up"),
  (chance) => sn(0x0d, 0, 1, ...word(chance & 7), chance & 3),
  (chance) => sn(0x0f, ...word(chance & 7)),
  (chance) => sn(0x0e, ...word(chance & 7)),
  (chance) => sn(0x10, ...word(chance & 7)),
  () => sn(0x16),
  (chance) => sn(0x16, client(chance)),
  () => sn(0x18),
  () => sn(0x18, 0, 30),
  () => sn(0x01, 0),
  (chance) => Uint8Array.of(3, chance & 0x1f, 0),
  (chance) => Uint8Array.of(5, 0xfe, 0, chance & 1, 7, ...sn(0x04, 0, 1, 0, 60, client(chance))),
  (chance) => Uint8Array.of(5, 0xfe, 0, chance & 1, 7, ...sn(0x12, 0x20, 0, 1, "#")),
];

const gateways: readonly Gateway[] = [
  {
    name: "mqtt-sn",
    open: (seed) => snWorld({}, { seed }),
    datagrams: mqttSnDatagrams,
    topics: ["a", "large", "ab"],
    runs: 300,
  },
  {
    name: "coap",
    open: (seed) => pubsubWorld(STACK, { seed }),
    datagrams: coapDatagrams,
    topics: ["a", "large", "b"],
    runs: 150,
  },
  {
    name: "coap, where logins wait for a proof,",
    open: (seed) => pubsubWorld(STACK, { seed, policy: { checks: true } }),
    datagrams: coapDatagrams,
    topics: ["a", "large", "b"],
    runs: 100,
  },
  {
    name: "lwm2m",
    open: (seed) => {
      const world = new Lwm2mWorld(STACK, { seed });
      return { world, network: world.network };
    },
    datagrams: lwm2mDatagrams,
    topics: ["lwm2m/e0/dn/command", "lwm2m/e1/dn/command"],
    runs: 30,
  },
];

const COMMAND = JSON.stringify({ reqID: 1, msgType: "read", data: { path: "/3/0" } });
const LARGE_WRITE = JSON.stringify({
  reqID: 2,
  msgType: "write",
  data: { path: "/1/0/1", type: "Opaque", value: "A".repeat(4000) },
});

type Step =
  | { readonly kind: "send"; readonly victim: number; readonly which: number; readonly chance: number }
  | { readonly kind: "again"; readonly victim: number }
  | { readonly kind: "publish"; readonly topic: number; readonly large: boolean; readonly qos: 0 | 1 | 2 }
  | { readonly kind: "wait"; readonly milliseconds: number };

const victim = fc.nat(VICTIMS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      victim,
      which: fc.nat(99),
      chance: fc.nat(0xffff),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("again" as const), victim }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      topic: fc.nat(9),
      large: fc.boolean(),
      qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      milliseconds: fc.constantFrom(10, 2500, 20_000, 100_000),
    }),
  },
);

it.each(gateways)(
  "$name sends an unproven address no more than three times what came from it, whatever is spoofed (RFC 9175 §2.4)",
  ({ open, datagrams, topics, runs }) => {
    fc.assert(
      fc.property(fc.nat(1000), fc.array(step, { minLength: 5, maxLength: 60 }), (seed, steps) => {
        const { world, network } = open(seed);
        for (const topic of topics)
          world.publish(topic, "retained".repeat(topic === "large" ? 500 : 2), {
            retain: !topic.includes("command"),
          });
        const received = new Array<number>(VICTIMS).fill(0);
        const sent = new Array<number>(VICTIMS).fill(0);
        const last = new Array<Uint8Array | undefined>(VICTIMS).fill(undefined);
        network.toDevice = ({ port, bytes }) => {
          sent[port] = (sent[port] ?? 0) + bytes.length;
        };
        const send = (from: number, bytes: Uint8Array): void => {
          received[from] = (received[from] ?? 0) + bytes.length;
          last[from] = bytes;
          network.deliver(bytes, "192.0.2.1", from);
        };
        const check = (): void => {
          for (const [each, bytes] of sent.entries())
            expect(bytes, `to victim ${each}`).toBeLessThanOrEqual(FACTOR * (received[each] ?? 0));
        };
        for (const each of steps) {
          const topic = each.kind === "publish" ? (topics[each.topic % topics.length] as string) : "";
          if (each.kind === "send")
            send(
              each.victim,
              (datagrams[each.which % datagrams.length] as (chance: number) => Uint8Array)(each.chance),
            );
          else if (each.kind === "again") send(each.victim, last[each.victim] ?? new Uint8Array(4));
          else if (each.kind === "wait") world.advance(each.milliseconds as Duration);
          else if (topic.endsWith("command"))
            world.publish(topic, each.large ? LARGE_WRITE : COMMAND, { qos: each.qos });
          else
            world.publish(topic, "v".repeat(each.large ? 3000 : 3), {
              qos: each.qos,
              retain: each.qos === 0,
            });
          check();
        }
        world.advance(400_000 as Duration);
        check();
      }),
      { numRuns: runs },
    );
  },
);
