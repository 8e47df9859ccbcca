import { describe, expect, it } from "vitest";
import { topicMatches } from "#core/bus/topic.ts";
import { milliseconds } from "#core/lib/time.ts";
import { mqttSite, type Site } from "../../support/mqtt-device.ts";
import { mulberry32 } from "../../support/random.ts";
import { SimulatedClient } from "./simulated-client.ts";

const TOPICS = ["a/1", "a/2", "b/1"];
const FILTERS = ["a/+", "#", "b/1", "a/1"];

interface Sent {
  readonly by: SimulatedClient;
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
}

class Run {
  readonly site: Site;
  readonly clients: SimulatedClient[] = [];
  readonly sent: Sent[] = [];
  readonly random: () => number;
  readonly queueLimit: number;

  constructor(seed: number, queueLimit = 100_000) {
    this.random = mulberry32(seed);
    this.queueLimit = queueLimit;
    this.site = mqttSite(
      {},
      { seed, session: { queue: { messages: queueLimit, bytes: 1 << 26, drop: "oldest" }, queueQos0: true } },
    );
    for (let index = 0; index < 5; index++) this.clients.push(this.#client(index));
    for (const client of this.clients) {
      client.open(Number.POSITIVE_INFINITY);
      this.settle(client);
    }
  }

  #client(index: number): SimulatedClient {
    const filters = new Map<string, 0 | 1 | 2>();
    // The last one subscribes to nothing.
    for (let count = index === 4 ? 0 : 1 + this.pick(2); count > 0; count--) {
      filters.set(this.one(FILTERS), this.pick(3) as 0 | 1 | 2);
    }
    return new SimulatedClient(this.site.listener, `client-${index}`, this.random() < 0.5 ? 4 : 5, filters);
  }

  pick(below: number): number {
    return Math.floor(this.random() * below);
  }

  one<Item>(items: readonly Item[]): Item {
    return items[this.pick(items.length)] as Item;
  }

  settle(client: SimulatedClient): void {
    for (let round = 0; round < 20; round++) client.pump();
  }

  step(): void {
    const client = this.one(this.clients);
    const what = this.random();
    if (!client.connected) {
      // Sometimes it reads slowly from now on.
      if (what < 0.4) client.open(this.random() < 0.3 ? 50 + this.pick(500) : Number.POSITIVE_INFINITY);
    } else if (what < 0.06) {
      client.lose(this.random);
    } else if (what < 0.6) {
      const [topic, qos] = [this.one(TOPICS), this.pick(3) as 0 | 1 | 2];
      const payload = `${client.id}:${this.sent.length}`;
      if (client.publish(topic, payload, qos)) this.sent.push({ by: client, topic, payload, qos });
    } else {
      client.pump();
    }
    this.site.world.advance(milliseconds(this.pick(50)));
    for (const session of this.site.world.sessions.all()) {
      expect(session.queued).toBeLessThanOrEqual(this.queueLimit);
    }
  }

  /** Everybody comes back and reads until nothing moves any more. */
  heal(): void {
    for (const client of this.clients) if (!client.connected) client.open(Number.POSITIVE_INFINITY);
    for (let round = 0; round < 400; round++) for (const client of this.clients) client.pump();
    for (const client of this.clients) expect([...client.outgoing.keys()]).toEqual([]);
    for (const session of this.site.world.sessions.all()) {
      expect([session.queued, session.unsettled]).toEqual([0, 0]);
    }
  }

  granted(client: SimulatedClient, topic: string): 0 | 1 | 2 | undefined {
    const granted = [...client.filters]
      .filter(([filter]) => topicMatches(filter, topic))
      .map(([, qos]) => qos);
    return granted.length === 0 ? undefined : (Math.max(...granted) as 0 | 1 | 2);
  }

  check(): void {
    for (const client of this.clients) {
      const counts = new Map<string, number>();
      for (const { topic, payload } of client.received) {
        expect(this.granted(client, topic), `${client.id} got ${topic} unasked`).toBeDefined();
        counts.set(payload, (counts.get(payload) ?? 0) + 1);
      }
      for (const sent of this.sent) this.#checkCount(client, sent, counts.get(sent.payload) ?? 0);
      this.#checkOrder(client);
    }
  }

  #checkCount(client: SimulatedClient, sent: Sent, count: number): void {
    const granted = this.granted(client, sent.topic);
    const what = `${sent.payload} on ${sent.topic} at QoS ${sent.qos}, granted ${granted}, for ${client.id}`;
    const qos = granted === undefined ? -1 : Math.min(sent.qos, granted);
    if (qos === -1) expect(count, what).toBe(0);
    if (qos === 2) expect(count, what).toBe(1);
    // A QoS 1 publish that is repeated is a new message for its subscribers.
    if (qos === 1) expect(count, what).toBeGreaterThanOrEqual(1);
    if (qos === 0 && sent.qos !== 1) expect(count, what).toBeLessThanOrEqual(1);
  }

  /** Per publisher, topic and QoS, what is seen for the first time comes in the order of publishing. */
  #checkOrder(client: SimulatedClient): void {
    const seen = new Set<string>();
    const last = new Map<string, number>();
    for (const { topic, payload, qos } of client.received) {
      if (seen.has(payload)) continue;
      seen.add(payload);
      const [by, number] = payload.split(":") as [string, string];
      const published = this.sent[Number(number)]?.qos;
      const lane = `${by} ${topic} ${published} ${qos}`;
      expect(Number(number), `${lane} for ${client.id}`).toBeGreaterThan(last.get(lane) ?? -1);
      last.set(lane, Number(number));
    }
  }
}

const seeds = Array.from({ length: 40 }, (_, index) => index + 1);

describe("clients whose connections break at any octet, who read slowly and come back", () => {
  it.each(seeds)(
    "get QoS 1 at least once and QoS 2 exactly once, in order, and nothing unasked: seed %i",
    (seed) => {
      const run = new Run(seed);
      for (let step = 0; step < 600; step++) run.step();
      run.heal();
      expect(run.sent.length).toBeGreaterThan(100);
      run.check();
    },
  );

  it.each(seeds.slice(0, 10))("never have more queued than their limit: seed %i", (seed) => {
    const run = new Run(seed, 8);
    for (let step = 0; step < 400; step++) run.step();
    expect(run.site.world.sessionCounters.droppedFull.value).toBeGreaterThan(0);
  });
});
