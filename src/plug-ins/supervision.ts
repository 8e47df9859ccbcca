import type { Counter, Note } from "../contract/note.ts";
import { stackOf } from "../lib/thrown.ts";
import type { Duration } from "../lib/time.ts";

/** Time that other people's code takes. Entered and left in pairs, also within each other. */
export interface Stopwatch {
  enter(gateway: string): void;
  /** Milliseconds since it was entered, without what was entered within. */
  leave(): number;
}

/** What the log says of something that a plug-in has thrown, and where. */
export const plugInFailure = (input: string, error: unknown): Note => ({
  level: "warn",
  event: "plug-in-failure",
  detail: { input, error: stackOf(error) },
});

/** How long one input of a plug-in may take; `FOREVER` for as long as it likes. */
export interface Patience {
  /** Longer ones are noted. */
  readonly slowAfter: Duration;
  /** Longer ones cost the channel. */
  readonly closeAfter: Duration;
}

/** What is known of one plug-in's conduct: what it throws, and how long it takes. */
export class Supervision {
  readonly gateway: string;
  readonly #stopwatch: Stopwatch;
  readonly #patience: Patience;
  readonly #note: (note: Note) => void;
  readonly #slow: Counter;

  constructor(
    gateway: string,
    stopwatch: Stopwatch,
    patience: Patience,
    host: { note(note: Note): void; counter(name: string, help: string): Counter },
  ) {
    this.gateway = gateway;
    this.#stopwatch = stopwatch;
    this.#patience = patience;
    this.#note = (note) => host.note(note);
    this.#slow = host.counter("slow_inputs", "Inputs that the plug-in took too long for");
  }

  enter(): void {
    this.#stopwatch.enter(this.gateway);
  }

  /** Returns whether it took so long that the channel shall pay for it. */
  leave(input: string): boolean {
    const took = this.#stopwatch.leave();
    if (took < this.#patience.slowAfter) return false;
    this.#slow.value++;
    this.#note({ level: "warn", event: "plug-in-slow", detail: { input, milliseconds: Math.round(took) } });
    return took >= this.#patience.closeAfter;
  }

  /** Runs something of the plug-in that stands by itself: what it throws is noted, and `otherwise` is its result. */
  run<Result>(input: string, code: () => Result, otherwise: Result): Result {
    this.enter();
    try {
      return code();
    } catch (error) {
      this.failed(input, error);
      return otherwise;
    } finally {
      this.leave(input);
    }
  }

  failed(input: string, error: unknown): void {
    this.#note(plugInFailure(input, error));
  }
}
