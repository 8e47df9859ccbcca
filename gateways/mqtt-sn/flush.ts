import type { Client } from "#core/contract/client.ts";
import { flushTicket } from "./tickets.ts";

/** The flush of a client that is awake: how much it may still be handed, and whether that is all (MQTT-SN 1.2 §6.14). */
export class Flush {
  /** Deliveries that it may still take. */
  #left = 0;
  /** Which flush it is, so that an answer to an earlier one is told apart. */
  #number = 0;
  #handedOut: "unasked" | "asked" | "yes" = "unasked";

  get left(): number {
    return this.#left;
  }

  begin(left: number): void {
    this.#left = left;
    this.#number++;
    this.#handedOut = "unasked";
  }

  /** One more is handed out. True when it is the last that may be. */
  take(): boolean {
    return --this.#left === 0;
  }

  /** All that waited has been handed out, as far as it may be. A queue that is elsewhere has to be asked. */
  isOver(client: Client): boolean {
    if (this.#left <= 0) return true;
    if (client.queued > 0) return false;
    if (this.#handedOut === "unasked") {
      const answer = client.handedOut(flushTicket(this.#number));
      this.#handedOut = answer === "pending" ? "asked" : "yes";
    }
    return this.#handedOut === "yes";
  }

  /** The queue has answered, or cannot. False when it was another flush that asked. */
  answered(ticket: number): boolean {
    if (ticket !== flushTicket(this.#number)) return false;
    this.#handedOut = "yes";
    return true;
  }
}
