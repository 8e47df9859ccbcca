import type { Delivery, Outcome } from "../contract/delivery.ts";
import type { Duration, Instant } from "../lib/time.ts";
import type { SessionFollower } from "../session/context.ts";
import type { SessionState } from "../session/session-state.ts";

/**
 * whole: from the publish until the client has the message. internal: until it is handed to the client. response: from then on until
 * it is acknowledged.
 */
const MEASURES = ["whole", "internal", "response"] as const;
export type Measure = (typeof MEASURES)[number];

export interface SlowSettings {
  readonly enable: boolean;
  readonly measure: Measure;
  readonly threshold: Duration;
  readonly rows: number;
  readonly forgetAfter: Duration;
}

/** A client that gets the messages of a topic late. */
export interface SlowSubscription {
  readonly gateway: string;
  readonly clientId: string;
  readonly topic: string;
  /** The longest delay since it is in the list, and the last one, in milliseconds. */
  readonly longest: number;
  readonly last: number;
  /** Deliveries over the threshold. */
  readonly times: number;
  readonly at: Instant;
}

type Followers = { set(name: string, follower: Partial<SessionFollower> | undefined): void };

/** So many times the rows are held before all but the slowest go: sorting is rare. */
const SLACK = 2;

/** The slowest deliveries by client and topic. It is attached while it is wanted. */
export class SlowSubscriptions {
  readonly #followers: Followers;
  readonly #now: () => Instant;
  readonly #rows = new Map<string, SlowSubscription>();
  #settings: SlowSettings | undefined = undefined;
  #enabledAt = 0;
  /** What was published before a client came says nothing of how slow it is. */
  #openedAt = new WeakMap<SessionState, Instant>();
  #handedAt = new WeakMap<Delivery, Instant>();

  constructor(followers: Followers, now: () => Instant) {
    this.#followers = followers;
    this.#now = now;
  }

  take(settings: SlowSettings): void {
    const former = this.#settings;
    this.#settings = settings.enable ? settings : undefined;
    if (former?.measure !== this.#settings?.measure) this.#begin();
    this.#cut(settings.rows);
  }

  /** The slowest first. */
  get rows(): readonly SlowSubscription[] {
    const { rows = 0, forgetAfter = 0 } = this.#settings ?? {};
    const oldest = this.#now() - forgetAfter;
    for (const [key, { at }] of this.#rows) if (at < oldest) this.#rows.delete(key);
    this.#cut(rows);
    return this.#sorted().map(([, row]) => row);
  }

  clear(): void {
    this.#rows.clear();
  }

  #begin(): void {
    this.#rows.clear();
    this.#openedAt = new WeakMap();
    this.#handedAt = new WeakMap();
    this.#enabledAt = this.#now();
    this.#followers.set("slow-subscriptions", this.#follower());
  }

  #follower(): Partial<SessionFollower> | undefined {
    const measure = this.#settings?.measure;
    if (measure === undefined) return undefined;
    return {
      opened: (session) => void this.#openedAt.set(session, this.#now()),
      handed: (session, delivery) => {
        if (measure === "response") {
          if (delivery.qos > 0) this.#handedAt.set(delivery, this.#now());
        } else if (measure === "internal" || delivery.qos === 0)
          this.#took(session, delivery, delivery.message.publishedAt);
      },
      ...(measure === "internal"
        ? {}
        : {
            settled: (session: SessionState, delivery: Delivery, outcome: Outcome) => {
              const from = measure === "whole" ? delivery.message.publishedAt : this.#handedAt.get(delivery);
              if (outcome === "done" && from !== undefined) this.#took(session, delivery, from);
            },
          }),
    };
  }

  #took(session: SessionState, { message, retain }: Delivery, from: Instant): void {
    const now = this.#now();
    const { threshold, rows } = this.#settings!;
    const delay = now - from;
    // A retained message is as old as it is.
    if (delay < threshold || retain || from < (this.#openedAt.get(session) ?? this.#enabledAt)) return;
    const { gateway, clientId } = session;
    const { topic } = message;
    const key = JSON.stringify([gateway, clientId, topic]);
    const known = this.#rows.get(key);
    const longest = Math.max(known?.longest ?? 0, delay);
    const times = (known?.times ?? 0) + 1;
    this.#rows.set(key, { gateway, clientId, topic, longest, last: delay, times, at: now });
    if (this.#rows.size > rows * SLACK) this.#cut(rows);
  }

  #sorted(): [string, SlowSubscription][] {
    return [...this.#rows].sort(([, a], [, b]) => b.longest - a.longest);
  }

  #cut(rows: number): void {
    if (this.#rows.size <= rows) return;
    for (const [key] of this.#sorted().slice(rows)) this.#rows.delete(key);
  }
}
