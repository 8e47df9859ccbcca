import type { Shown } from "../contract/peer.ts";
import type { Session } from "./session.ts";

const STRENGTH: Readonly<Record<Shown, number>> = { nothing: 0, talk: 1, proof: 2 };

export const stronger = (one: Shown, other: Shown): Shown => (STRENGTH[one] > STRENGTH[other] ? one : other);

/**
 * Sessions that have outlived clients whose address was never proven: a forged CONNECT costs its sender nothing, and would
 * leave one behind for days. They have a bound of their own, at which the oldest goes; those whose clients have shown
 * nothing go before those whose clients have talked.
 */
export class UnprovenSessions {
  readonly #max: number;
  readonly #silent = new Set<Session>();
  readonly #talked = new Set<Session>();

  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#silent.size + this.#talked.size;
  }

  /** Its client is away. */
  add(session: Session): void {
    if (session.shown === "proof") return;
    (session.shown === "nothing" ? this.#silent : this.#talked).add(session);
  }

  /** Its client is back, or it has ended. */
  delete(session: Session): void {
    if (!this.#silent.delete(session)) this.#talked.delete(session);
  }

  /** Which has to go, where there are too many. */
  get excess(): Session | undefined {
    return this.count > this.#max ? this.first : undefined;
  }

  /** Which goes first. */
  get first(): Session | undefined {
    return (this.#silent.size > 0 ? this.#silent : this.#talked).values().next().value;
  }
}
