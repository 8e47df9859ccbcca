import { topicMatches } from "../bus/topic.ts";
import type { SubscribeOptions } from "../contract/client.ts";
import { type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import { after, type Duration, type Instant, milliseconds, minutes } from "../lib/time.ts";

/** A session that a server says it has. */
export interface Listener {
  readonly subscriptions: Iterable<[filter: string, options: SubscribeOptions]>;
  /** A filter as it is at the server. */
  mounted(filter: string): string;
  /** It is connected, and nothing that it has not acknowledged holds back what comes next. */
  readonly listens: boolean;
  /** By each of its filters something has come. */
  hears(): void;
  /** What it should have been sent did not come. */
  deafTo(topic: string, now: Instant): void;
}

interface Suspect {
  /** Nothing has come by these since the session was taken up again. */
  readonly filters: Set<string>;
  readonly until: Instant;
  /** What a server has taken, and owes to this session. */
  expected: { readonly topic: string; readonly alarm: CallbackAlarm } | undefined;
}

/** Suspects at a time; no more are looked after. */
const SUSPECTS_MAX = 1_000;
/** One message in so long a time is looked at. */
const PACE = milliseconds(100);
const SUSPECTED_FOR = minutes(10);

/**
 * Finds sessions that a server says it has and to which it sends nothing any more, as a NATS cluster does with what a dead
 * node was to send. A session that is taken up again behind a broken connection is suspected, also when its device comes back
 * to it later, until something has come by each of its filters. A publish that a server has acknowledged tells: where a filter
 * of the session matches, the message is to come in time, or something before it.
 */
export class Deafness {
  readonly #alarms: Alarms;
  readonly #patience: Duration;
  readonly #suspects = new Map<Listener, Suspect>();
  #nextLook = 0 as Instant;

  /** `patience`: within that a server that is well sends what it has taken. */
  constructor(alarms: Alarms, patience: Duration) {
    this.#alarms = alarms;
    this.#patience = patience;
  }

  /** Nothing is looked at while this is false. */
  get suspects(): boolean {
    return this.#suspects.size > 0;
  }

  /** The server says that it has this session still. */
  suspect(listener: Listener, now: Instant): void {
    this.acquit(listener);
    const filters = new Set<string>();
    for (const [filter, { qos, noLocal }] of listener.subscriptions) {
      // A shared subscription may have gone to another member, and one without its own messages is owed less.
      if (qos > 0 && noLocal !== true && !filter.startsWith("$")) filters.add(listener.mounted(filter));
    }
    if (filters.size === 0 || this.#suspects.size >= SUSPECTS_MAX) return;
    this.#suspects.set(listener, { filters, until: after(now, SUSPECTED_FOR), expected: undefined });
  }

  /** It is gone, or its connection is. */
  acquit(listener: Listener): void {
    const suspect = this.#suspects.get(listener);
    if (suspect === undefined) return;
    this.#suspects.delete(listener);
    if (suspect.expected !== undefined) this.#alarms.disarm(suspect.expected.alarm);
  }

  /** A server has acknowledged a message of this topic. */
  taken(topic: string, now: Instant): void {
    if (now < this.#nextLook) return;
    this.#nextLook = after(now, PACE);
    for (const [listener, suspect] of this.#suspects) {
      if (suspect.until <= now) this.acquit(listener);
      else if (suspect.expected === undefined && listener.listens)
        this.#expect(listener, suspect, topic, now);
    }
  }

  #expect(listener: Listener, suspect: Suspect, topic: string, now: Instant): void {
    if (matching(suspect, topic).length === 0) return;

    const alarm = new CallbackAlarm((due) => this.#judge(listener, suspect, topic, due));
    suspect.expected = { topic, alarm };
    this.#alarms.arm(alarm, after(now, this.#patience));
  }

  #judge(listener: Listener, suspect: Suspect, topic: string, now: Instant): void {
    suspect.expected = undefined;
    if (this.#suspects.get(listener) !== suspect || !listener.listens) return;
    this.#suspects.delete(listener);
    listener.deafTo(topic, now);
  }

  /** It has been sent a message of this topic. */
  heard(listener: Listener, topic: string, now: Instant): void {
    const suspect = this.#suspects.get(listener);
    if (suspect === undefined) return;
    for (const filter of matching(suspect, topic)) suspect.filters.delete(filter);
    const { expected } = suspect;
    if (suspect.filters.size === 0) {
      this.acquit(listener);
      listener.hears();
    } else if (expected !== undefined) {
      this.#alarms.disarm(expected.alarm);
      if (expected.topic === topic) suspect.expected = undefined;
      // What waits before it comes first: made anew, the session would lose that.
      else this.#alarms.arm(expected.alarm, after(now, this.#patience));
    }
  }
}

const matching = ({ filters }: Suspect, topic: string): string[] =>
  [...filters].filter((filter) => topicMatches(filter, topic));
