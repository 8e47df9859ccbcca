import type { Message, QoS } from "../bus/message.ts";
import { topicMatches } from "../bus/topic.ts";
import type { Delivery } from "../contract/delivery.ts";
import type { SessionState } from "../session/session-state.ts";
import type { Passage } from "./topic-directory.ts";

/** in: came to the bus, whoever published it. out: handed to a client. dropped: by a client's queue. */
export const WAYS = ["in", "out", "dropped"] as const;
export type Way = (typeof WAYS)[number];
const QOS = [0, 1, 2] as const;

/** Seconds that a rate is the mean of. */
export const RATE_SECONDS = 10;

/** Where messages pass by, and sessions. */
export interface Passages extends Passage {
  readonly followers: {
    set(
      name: string,
      follower:
        | undefined
        | {
            handed(session: SessionState, delivery: Delivery): void;
            dropped(session: SessionState, delivery: Delivery): void;
          },
    ): void;
  };
}

/** By QoS. */
type ByQos = readonly [number, number, number];

export interface TopicMetric {
  readonly filter: string;
  readonly since: number;
  readonly messages: Readonly<Record<Way, ByQos>>;
  /** A second. */
  readonly rates: Readonly<Record<Way, ByQos>>;
}

const zero = (): number[] => new Array(WAYS.length * QOS.length).fill(0);
const place = (way: Way, qos: QoS): number => WAYS.indexOf(way) * QOS.length + qos;
const [IN, OUT, DROPPED] = [place("in", 0), place("out", 0), place("dropped", 0)];

const byWay = (of: (place: number) => number): Readonly<Record<Way, ByQos>> =>
  Object.fromEntries(
    WAYS.map((way) => [way, QOS.map((qos) => of(place(way, qos)))] as const),
  ) as unknown as Readonly<Record<Way, ByQos>>;

class Counts {
  since: number;
  totals = zero();
  /** As they were at each of the last looks, the latest last. */
  #seen: { readonly at: number; readonly totals: readonly number[] }[];

  constructor(now: number) {
    this.since = now;
    this.#seen = [{ at: now, totals: zero() }];
  }

  look(now: number): void {
    this.#seen.push({ at: now, totals: [...this.totals] });
    if (this.#seen.length > RATE_SECONDS + 1) this.#seen.shift();
  }

  rate(place: number): number {
    const [first, last] = [this.#seen[0]!, this.#seen.at(-1)!];
    const seconds = (last.at - first.at) / 1000;
    return seconds <= 0 ? 0 : (last.totals[place]! - first.totals[place]!) / seconds;
  }
}

/** Messages of topic filters that somebody wants counted, by QoS. It is attached while there are any. */
export class TopicMetrics {
  readonly #passages: Passages;
  #filters = new Map<string, Counts>();
  #stop: (() => void) | undefined = undefined;
  /** A message is asked for once as it comes, and once for each who gets it. */
  #topic: string | undefined = undefined;
  #found: Counts[] = [];

  constructor(passages: Passages) {
    this.#passages = passages;
  }

  /** From now on these; those that were counted before go on. */
  take(filters: readonly string[], now: number): void {
    const former = this.#filters;
    this.#filters = new Map(filters.map((filter) => [filter, former.get(filter) ?? new Counts(now)]));
    this.#topic = undefined;
    if (filters.length > 0) this.#attach();
    else this.#detach();
  }

  /** Called each second. */
  look(now: number): void {
    for (const counts of this.#filters.values()) counts.look(now);
  }

  /** Begins anew. False where it is not counted. */
  reset(filter: string, now: number): boolean {
    if (!this.#filters.has(filter)) return false;
    this.#filters.set(filter, new Counts(now));
    this.#topic = undefined;
    return true;
  }

  get(filter: string): TopicMetric | undefined {
    const counts = this.#filters.get(filter);
    if (counts === undefined) return undefined;
    const { since, totals } = counts;
    const [messages, rates] = [byWay((place) => totals[place]!), byWay((place) => counts.rate(place))];
    return { filter, since, messages, rates };
  }

  get all(): readonly TopicMetric[] {
    return [...this.#filters.keys()].map((filter) => this.get(filter)!);
  }

  #attach(): void {
    if (this.#stop !== undefined) return;
    const { followers } = this.#passages;
    const stop = this.#passages.look({ saw: (message) => this.#count(message, IN + message.qos) });
    followers.set("topic-metrics", {
      handed: (_, { message, qos }) => this.#count(message, OUT + qos),
      dropped: (_, { message, qos }) => this.#count(message, DROPPED + qos),
    });
    this.#stop = () => {
      stop();
      followers.set("topic-metrics", undefined);
    };
  }

  #detach(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #count({ topic }: Message, place: number): void {
    if (topic !== this.#topic) {
      this.#topic = topic;
      this.#found = [];
      for (const [filter, counts] of this.#filters) if (topicMatches(filter, topic)) this.#found.push(counts);
    }
    for (const { totals } of this.#found) totals[place]!++;
  }
}
