/**
 * Several devices, connections cut at any moment, slow readers, sleepers and restarts of clients, from a seed. What must
 * hold whatever happens: QoS 1 at least once, QoS 2 exactly once, order per publisher and topic, no delivery without a
 * subscription, queues within their limit. A failure names its seed.
 */
import { describe, expect, it } from "vitest";
import type { Client } from "#core/contract/client.ts";
import { days, milliseconds, seconds } from "#core/lib/time.ts";
import { messageOf, type Puppet, Puppets } from "../support/puppet.ts";
import { mulberry32 } from "../support/random.ts";
import { type StreamListener, type VirtualStream, World } from "../support/world.ts";

const TOPICS = ["a", "b/1", "b/2"];
const FILTERS = ["a", "b/+", "#"];
const STEPS = 400;
const QUEUE_MAX = 10_000;

/** A device that acknowledges late, loses its connection, sleeps and comes back; it counts what it has got. */
class Device {
  readonly name: string;
  readonly filter: string;
  readonly #listener: StreamListener;
  readonly #puppets: Puppets;
  readonly #random: () => number;
  #stream: VirtualStream | undefined;
  #client: Client | undefined;
  #unanswered: (() => void)[] = [];
  /** By QoS 2 delivery id: had before, PUBREL not seen. Forgotten by nobody, as a real client would. */
  readonly #had = new Set<number>();
  readonly got: { topic: string; text: string; qos: number; duplicate: boolean }[] = [];

  constructor(
    name: string,
    filter: string,
    listener: StreamListener,
    puppets: Puppets,
    random: () => number,
  ) {
    this.name = name;
    this.filter = filter;
    this.#listener = listener;
    this.#puppets = puppets;
    this.#random = random;
    this.connect();
  }

  get queued(): number {
    return this.#client?.queued ?? 0;
  }

  connect(): void {
    if (this.#stream !== undefined) return;
    this.#stream = this.#listener.connect();
    this.#stream.capacity = this.#random() < 0.3 ? 500 : Number.POSITIVE_INFINITY;
    const puppet = this.#puppets.last;
    puppet.onDeliver = (client, delivery) => this.#hear(puppet, client, delivery);
    const credit = this.#random() < 0.2 ? 0 : 1 + Math.floor(this.#random() * 5);
    this.#client = puppet.connect(this.name, { sessionExpiry: days(1), credit });
    if (this.#client.subscriptions().size === 0) this.#client.subscribe(this.filter, { qos: 2 }, 1);
  }

  #hear(
    puppet: Puppet,
    client: Client,
    { id, message, qos, stage, duplicate }: Parameters<Puppet["deliver"]>[1],
  ): void {
    puppet.host.send(message.payload);
    if (stage === "release") {
      this.#unanswered.push(() => this.#complete(client, id));
      return;
    }
    const known = qos === 2 && this.#had.has(id);
    if (!known)
      this.got.push({ topic: message.topic, text: Buffer.from(message.payload).toString(), qos, duplicate });
    if (qos === 1) this.#unanswered.push(() => client.settle(id, "done"));
    if (qos !== 2) return;
    this.#had.add(id);
    this.#unanswered.push(() => {
      if (client.received(id) === "accepted") this.#unanswered.push(() => this.#complete(client, id));
    });
  }

  #complete(client: Client, id: Parameters<Client["settle"]>[0]): void {
    this.#had.delete(id);
    client.settle(id, "done");
  }

  /** Answers some of what is due, in order. */
  answer(count: number): void {
    for (let answered = 0; answered < count; answered++) this.#unanswered.shift()?.();
  }

  drop(): void {
    this.#stream?.drop();
    this.#stream = undefined;
    this.#unanswered = [];
  }

  read(): void {
    this.#stream?.takeBytes();
  }

  sleep(credit: number): void {
    this.#client?.credit(credit);
  }
}

function simulate(seed: number) {
  const random = mulberry32(seed);
  const world = new World({ seed, session: { queue: { messages: QUEUE_MAX, bytes: 1e9, drop: "oldest" } } });
  const puppets = new Puppets();
  const listener = world.streams("puppet", puppets);
  const devices = FILTERS.map((filter, index) => new Device(`d${index}`, filter, listener, puppets, random));
  listener.connect();
  const publisher = puppets.last.connect("publisher");
  const sent: { topic: string; text: string; qos: 0 | 1 | 2 }[] = [];
  for (let step = 0; step < STEPS; step++) {
    const device = devices[Math.floor(random() * devices.length)]!;
    const choice = random();
    if (choice < 0.4) {
      const topic = TOPICS[Math.floor(random() * TOPICS.length)]!;
      const qos = Math.floor(random() * 3) as 0 | 1 | 2;
      sent.push({ topic, text: String(sent.length), qos });
      publisher.publish(messageOf(topic, String(sent.length - 1), qos), 1);
      world.settle();
    } else if (choice < 0.65) device.answer(1 + Math.floor(random() * 4));
    else if (choice < 0.75) device.read();
    else if (choice < 0.82) device.drop();
    else if (choice < 0.9) device.connect();
    else if (choice < 0.95) device.sleep(Math.floor(random() * 4));
    else world.advance(milliseconds(random() * 5000));
    for (const each of devices) expect(each.queued).toBeLessThanOrEqual(QUEUE_MAX);
  }
  // At the end everybody comes back and takes what is due.
  for (const device of devices) {
    device.drop();
    device.connect();
    device.sleep(10);
    for (let round = 0; round < 2 * STEPS; round++) {
      device.read();
      device.answer(10);
    }
  }
  world.advance(seconds(1));
  return { sent, devices, world };
}

const matches = (filter: string, topic: string): boolean =>
  filter === "#" || filter === topic || (filter === "b/+" && topic.startsWith("b/"));

describe("whatever happens to its connections, a device", () => {
  it.each(Array.from({ length: 60 }, (_, seed) => seed + 1))("gets what is due to it (seed %i)", (seed) => {
    const { sent, devices, world } = simulate(seed);
    expect(world.sessionCounters.droppedFull.value).toBe(0);
    for (const { filter, got } of devices) {
      const due = sent.filter(({ topic }) => matches(filter, topic));
      const counts = new Map<string, number>();
      for (const { text } of got) counts.set(text, (counts.get(text) ?? 0) + 1);
      for (const { text, qos } of due) {
        const count = counts.get(text) ?? 0;
        if (qos === 1) expect(count, `QoS 1 message ${text}`).toBeGreaterThanOrEqual(1);
        if (qos === 2) expect(count, `QoS 2 message ${text}`).toBe(1);
        if (qos === 0) expect(count, `QoS 0 message ${text}`).toBeLessThanOrEqual(1);
      }
      expect(got.every(({ topic }) => matches(filter, topic))).toBe(true);
      for (const topic of TOPICS) {
        const first = got
          .filter((each) => each.topic === topic && !each.duplicate)
          .map(({ text }) => Number(text));
        expect(first, `order of ${topic}`).toEqual([...first].sort((a, b) => a - b));
      }
    }
  });

  it("is put to the test: connections are cut in the middle of deliveries", () => {
    const { devices, sent } = simulate(1);
    const repeated = devices.flatMap(({ got }) => got.filter(({ duplicate }) => duplicate));
    expect(sent.length).toBeGreaterThan(100);
    expect(repeated.length).toBeGreaterThan(5);
  });
});
