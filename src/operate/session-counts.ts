/** What of sessions can only be counted one by one. */
import { Pauses } from "./pauses.ts";

/** What is looked at of a session. */
interface Counted {
  readonly durable: boolean;
  readonly queued: number;
  readonly subscriptions: ReadonlyMap<string, unknown>;
}

export interface SessionCounts {
  readonly persistent: number;
  /** Sessions that have subscriptions. */
  readonly subscribers: number;
  readonly subscriptions: number;
  /** Of those, to shared groups. */
  readonly shared: number;
  /** Messages that wait. */
  readonly queued: number;
}

type Counting = { -readonly [Name in keyof SessionCounts]: number };

const none = (): Counting => ({ persistent: 0, subscribers: 0, subscriptions: 0, shared: 0, queued: 0 });

/** Counts in slices between which others have their turn; who asks while it counts is told the same. */
export class SessionCensus {
  readonly #sessions: () => Iterable<Counted>;
  readonly #isShared: (filter: string) => boolean;
  #running: Promise<SessionCounts> | undefined;
  /** Of the last time that all were counted. */
  counts: SessionCounts = none();

  constructor(sessions: () => Iterable<Counted>, isShared: (filter: string) => boolean) {
    this.#sessions = sessions;
    this.#isShared = isShared;
  }

  /** Of few sessions `counts` is new as soon as this returns. */
  count(): Promise<SessionCounts> {
    if (this.#running !== undefined) return this.#running;
    const running = this.#count().finally(() => {
      this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #count(): Promise<SessionCounts> {
    const pause = new Pauses();
    const counting = none();
    for (const { durable, queued, subscriptions } of this.#sessions()) {
      if (durable) counting.persistent++;
      counting.queued += queued;
      counting.subscriptions += subscriptions.size;
      if (subscriptions.size > 0) counting.subscribers++;
      for (const filter of subscriptions.keys()) {
        if (this.#isShared(filter)) counting.shared++;
        if (pause.due) await pause.take();
      }
      if (pause.due) await pause.take();
    }
    this.counts = counting;
    return counting;
  }
}
