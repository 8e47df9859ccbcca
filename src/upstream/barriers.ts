import { earliest, type Instant, NEVER } from "../lib/time.ts";
import type { Unheard } from "./exchange.ts";

interface Barrier extends Unheard {
  /** The last exchange that it waits for. */
  readonly sequence: number;
  readonly since: Instant;
}

/** Acknowledgements of a device that wait until the server has answered all that the device sent before, in order. */
export class Barriers {
  #waiting: Barrier[] | undefined = undefined;

  add(barrier: Barrier): void {
    this.#waiting ??= [];
    this.#waiting.push(barrier);
  }

  /** `oldest`: the first exchange that has no answer; asked only where somebody waits. */
  pass(oldest: () => number): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const first = oldest();
    while (waiting.length > 0 && (waiting[0] as Barrier).sequence < first) {
      const { asker, ticket } = waiting.shift() as Barrier;
      asker.answered(ticket, "accepted");
    }
    if (waiting.length === 0) this.#waiting = undefined;
  }

  /** Whether one has waited since then or longer, and since when the oldest of the others has (`NEVER`: there is none). */
  overdue(until: Instant): { readonly stuck: boolean; readonly oldest: Instant } {
    let oldest = NEVER;
    let stuck = false;
    for (const { since } of this.#waiting ?? []) {
      if (since > until) oldest = earliest(oldest, since);
      else stuck = true;
    }
    return { stuck, oldest };
  }

  /** Nobody waits any more. Returns who did. */
  drop(): readonly Unheard[] {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    return waiting;
  }
}
