/** Retained messages that are handed out in one turn of the event loop, to all sessions together. */
const TURN = 1024;
/** And to one of them at least, when it comes to its turn. */
const SHARE_MIN = 32;

/** What a session has to hand out, whose client takes it. */
export interface Waiting {
  /** Hands out at most so many, and asks for its next turn when there are more. Returns how many it had no use for. */
  takeTurn(share: number): number;
}

/**
 * Sessions take turns at handing out retained messages. A subscribe may ask for all that there are, again and again, and
 * of many sessions at once: between the turns everybody else is read from and written to.
 */
export class Turns {
  readonly #line = new Set<Waiting>();
  readonly #defer: (run: () => void) => void;
  #deferred = false;
  readonly #run = (): void => this.#turn();

  /** `defer` runs a function at the end of this turn of the event loop; what it runs has ticked. */
  constructor(defer: (run: () => void) => void) {
    this.#defer = defer;
  }

  /** Puts it at the end of the line, if it is not in it. */
  wait(waiting: Waiting): void {
    this.#line.add(waiting);
    if (this.#deferred) return;
    this.#deferred = true;
    this.#defer(this.#run);
  }

  /** Who stands in the line now; those who line up meanwhile come in the next turn. */
  #turn(): void {
    const share = Math.max(SHARE_MIN, Math.floor(TURN / this.#line.size));
    let left = TURN;
    for (let count = this.#line.size; count > 0 && left > 0; count--) {
      const waiting = this.#line.values().next().value!;
      this.#line.delete(waiting);
      left -= share - waiting.takeTurn(share);
    }
    this.#deferred = this.#line.size > 0;
    if (this.#deferred) this.#defer(this.#run);
  }
}
