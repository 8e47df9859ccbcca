import { after, type Duration, type Instant, NEVER } from "#core/lib/time.ts";
import type { Events } from "./operator/events.ts";

/** Whose window it is. */
interface Sleeper {
  readonly ep: string;
  /** Without queue mode a device never sleeps. */
  readonly sleeps: boolean;
  readonly waiting: number;
}

/**
 * For how long a device in queue mode listens after it was heard (LwM2M 1.1 §6.5). Operators who look on are told when it
 * falls asleep and when it wakes; while nobody does, no timer runs for that.
 */
export class AwakeWindow {
  readonly #of: Sleeper;
  readonly #events: Events;
  readonly #length: Duration;
  until: Instant;
  /** It is known to be asleep: nothing of it is to be told until it is heard. */
  #asleep = false;

  constructor(of: Sleeper, events: Events, length: Duration, now: Instant) {
    this.#of = of;
    this.#events = events;
    this.#length = length;
    this.until = after(now, length);
  }

  heard(now: Instant): void {
    const wakes = this.#of.sleeps && now >= this.until;
    this.until = after(now, this.#length);
    this.#asleep = false;
    if (wakes) this.#tell("awake", now);
  }

  /** It did not answer: it is asleep until it is heard again. */
  silent(now: Instant): void {
    this.until = now;
    this.look(now);
  }

  /** When `look` has something to tell. */
  get deadline(): Instant {
    return this.#events.watched && this.#of.sleeps && !this.#asleep ? this.until : NEVER;
  }

  look(now: Instant): void {
    if (this.#asleep || !this.#of.sleeps || now < this.until) return;
    this.#asleep = true;
    this.#tell("sleeping", now);
  }

  /** Somebody begins to look on: that it sleeps already is no news. True when it may fall asleep from now on. */
  beginsToBeWatched(now: Instant): boolean {
    if (!this.#of.sleeps) return false;
    this.#asleep = now >= this.until;
    return !this.#asleep;
  }

  #tell(kind: "awake" | "sleeping", at: Instant): void {
    const { ep: endpoint, waiting } = this.#of;
    if (this.#events.watched) this.#events.tell({ endpoint, kind, report: { waiting }, at });
  }
}
