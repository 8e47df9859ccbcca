import type { Outgoing } from "./outgoing.ts";
import type { Window } from "./window.ts";

/**
 * What an earlier connection was handed and did not settle: it goes out again before all else, and no faster than this
 * connection's credit allows [MQTT-4.4.0-1] [MQTT-3.3.4-9].
 */
export class Redelivery {
  /** Newest first. */
  readonly #deliveries: Outgoing[];
  #left: number;

  constructor(window: Window) {
    this.#deliveries = window.inOrder().reverse();
    this.#left = this.#deliveries.length;
    for (const delivery of this.#deliveries) delivery.again = true;
  }

  /** How many of the window this connection was not handed yet. */
  get left(): number {
    return this.#left;
  }

  /** The oldest of them. */
  next(): Outgoing | undefined {
    for (let next = this.#deliveries.at(-1); next !== undefined; next = this.#deliveries.at(-1)) {
      if (next.again) return next;
      this.#deliveries.pop();
    }
    return undefined;
  }

  /** This connection has it, or has settled what it had of an earlier one. */
  taken(delivery: Outgoing): void {
    if (!delivery.again) return;
    delivery.again = false;
    this.#left--;
  }

  /** The connection is gone, too. */
  end(): void {
    for (const delivery of this.#deliveries) delivery.again = false;
  }
}
