import type { PeerObservation } from "./observation.ts";

/**
 * Observations of addresses that have proven nothing, over all peers of a listener, oldest first. They have a budget
 * of their own and are the first to go, so that spoofed registrations shut nobody out.
 */
export class UnprovenObservations {
  readonly #limit: number;
  readonly #inOrder = new Set<PeerObservation>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#inOrder.size;
  }

  get full(): boolean {
    return this.#inOrder.size >= this.#limit;
  }

  add(observation: PeerObservation): void {
    this.#inOrder.add(observation);
  }

  delete(observation: PeerObservation): void {
    this.#inOrder.delete(observation);
  }

  /** Ends the oldest one; false when there is none. */
  evict(): boolean {
    for (const oldest of this.#inOrder) {
      this.#inOrder.delete(oldest);
      oldest.giveWay();
      return true;
    }
    return false;
  }
}
