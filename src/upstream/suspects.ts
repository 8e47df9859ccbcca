import type { Exchange } from "./exchange.ts";

const CLOSES_MAX = 3;

/**
 * Finds out over which PUBLISH a server closes the connection without a word. That is how MQTT 3.1.1 refuses one, and what
 * is sent again is refused again: from the first close on they go one at a time, and which is alone at the third close was
 * the reason.
 */
export class Suspects {
  #count = 0;

  /** Those that are sent go one at a time. */
  get any(): boolean {
    return this.#count > 0;
  }

  /** The connection was closed while these were under way. Returns the one over which. */
  closedOver(sent: readonly Exchange[]): Exchange | undefined {
    for (const exchange of sent) {
      if (!exchange.suspect) this.#count++;
      exchange.suspect = true;
    }
    const [only] = sent;
    return only !== undefined && sent.length === 1 && ++only.closes >= CLOSES_MAX ? only : undefined;
  }

  /** The server has answered it, or nobody wants to know any more. */
  acquit(exchange: Exchange): void {
    if (exchange.suspect) this.#count--;
    exchange.suspect = false;
  }

  clear(): void {
    this.#count = 0;
  }
}
