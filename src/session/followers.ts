import type { Delivery, Outcome } from "../contract/delivery.ts";
import type { Drop, SessionContext, SessionEnd, SessionFollower } from "./context.ts";
import type { SessionState } from "./session-state.ts";

type Some = Partial<SessionFollower>;

/** Whoever follows sessions, by name, as the one that they know. While nobody does it costs a look at a field. */
export class Followers {
  readonly #context: Pick<SessionContext, "follower">;
  readonly #all = new Map<string, Some>();

  constructor(context: Pick<SessionContext, "follower">) {
    this.#context = context;
  }

  /** Undefined: no more. */
  set(name: string, follower: Some | undefined): void {
    if (follower === undefined) this.#all.delete(name);
    else this.#all.set(name, follower);
    this.#context.follower = this.#all.size === 0 ? undefined : new Several([...this.#all.values()]);
  }
}

class Several implements SessionFollower {
  readonly #all: readonly Some[];

  constructor(all: readonly Some[]) {
    this.#all = all;
  }

  opened(session: SessionState, present: boolean): void {
    for (const one of this.#all) one.opened?.(session, present);
  }

  ended(session: SessionState, why: SessionEnd): void {
    for (const one of this.#all) one.ended?.(session, why);
  }

  subscribed(...of: Parameters<SessionFollower["subscribed"]>): void {
    for (const one of this.#all) one.subscribed?.(...of);
  }

  unsubscribed(session: SessionState, filter: string): void {
    for (const one of this.#all) one.unsubscribed?.(session, filter);
  }

  handed(session: SessionState, delivery: Delivery): void {
    for (const one of this.#all) one.handed?.(session, delivery);
  }

  settled(session: SessionState, delivery: Delivery, outcome: Outcome): void {
    for (const one of this.#all) one.settled?.(session, delivery, outcome);
  }

  dropped(session: SessionState, delivery: Delivery, why: Drop): void {
    for (const one of this.#all) one.dropped?.(session, delivery, why);
  }
}
