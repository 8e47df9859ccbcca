import { Ring } from "../lib/ring.ts";

/** What a crowd of logins costs the loop comes in two parts: to ask, and to let in. */
export interface PaceOfLogins {
  readonly questions: Pace;
  readonly answers: Pace;
}

/**
 * Lets one of a crowd through each turn of the event loop, in the order in which they came: a question costs up to a
 * millisecond, and so does what follows its answer; and a slow source gives hundreds of answers in one packet.
 */
export class Pace {
  readonly #line = new Ring<() => void>();
  #taken = false;

  /** Undefined: it is one's turn at once. */
  turn(): Promise<void> | undefined {
    if (this.#taken) return new Promise((resolve) => this.#line.push(resolve));
    this.#take();
    return undefined;
  }

  #take(): void {
    this.#taken = true;
    setImmediate(() => {
      this.#taken = false;
      const next = this.#line.shift();
      if (next === undefined) return;
      this.#take();
      next();
    });
  }
}
