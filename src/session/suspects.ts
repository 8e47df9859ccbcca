import type { DeliveryId } from "../contract/delivery.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Window } from "./window.ts";

/**
 * Deliveries that a channel had when it failed, which is our bug and may be met again at every attempt. Until all of
 * them are settled they are handed out one by one, so that a failure tells which of them it is.
 */
export class Suspects {
  #out: Outgoing | undefined = undefined;

  /** Another client has the session, and nothing is out yet. */
  begin(): void {
    this.#out = undefined;
  }

  /**
   * The channel failed at one delivery, or at something else while it had some. Returns the one that has made channels
   * fail `max` times, which is in the window no more.
   */
  failed(window: Window, at: DeliveryId | undefined, max: number): Outgoing | undefined {
    const only = window.size === 1 ? window.inOrder()[0] : undefined;
    const culprit = (at === undefined ? undefined : window.get(at)) ?? this.#out ?? only;
    if (culprit === undefined || window.get(culprit.id) !== culprit) return undefined;
    if (++culprit.failures < max) return undefined;
    return window.remove(culprit.id);
  }

  /** The oldest that is unsettled, when none of them is out. */
  next(window: Window): Outgoing | undefined {
    if (this.#out !== undefined && window.get(this.#out.id) === this.#out) return undefined;
    this.#out = window.inOrder().find((delivery) => !delivery.held);
    return this.#out;
  }
}
