import type { Instant } from "../lib/time.ts";
import { SHARE } from "./turn.ts";

/** setTimeout cannot wait longer than 2^31 ms; looking again every hour costs nothing. */
const WAIT_MAX = 3_600_000;

/** Anything that wants to be called at a time and says when, such as the timer wheel. */
export interface Ticking {
  /** The next time of interest, `NEVER` for none. */
  next(): Instant;
  /** As long as `goOn` says so; the rest is due then. */
  advance(now: Instant, goOn: () => boolean): void;
}

/** Runs the timer wheel in real time with a single timer of the event loop. */
export class Ticker {
  readonly #wheel: Ticking;
  readonly #now: () => Instant;
  #timer: NodeJS.Timeout | undefined = undefined;
  #due = Number.POSITIVE_INFINITY;
  #stopped = false;

  /** `now` is read, and may be noted by its owner, before each advance. */
  constructor(wheel: Ticking, now: () => Instant) {
    this.#wheel = wheel;
    this.#now = now;
  }

  /** A deadline was set: the timer is brought forward if it would come too late. */
  readonly expect = (due: Instant): void => {
    if (due >= this.#due || this.#stopped) return;
    clearTimeout(this.#timer);
    this.#due = due;
    const wait = Math.min(Math.max(Math.ceil(due - this.#now()), 0), WAIT_MAX);
    this.#timer = setTimeout(this.#run, wait);
  };

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  readonly #run = (): void => {
    this.#due = Number.POSITIVE_INFINITY;
    const until = performance.now() + SHARE;
    this.#wheel.advance(this.#now(), () => performance.now() < until);
    this.expect(this.#wheel.next());
  };
}
