import type { Duration } from "../lib/time.ts";

export interface RoomSettings {
  readonly ofClient: number;
  readonly ofAll: number;
  /** How long what a client sent before it left may still wait. */
  readonly linger: Duration;
}

/** How much may wait for hooks: of one client, and of all together. */
export class Room {
  readonly ofClient: number;
  readonly ofAll: number;
  readonly linger: Duration;
  /** Waits now, of all clients. */
  waiting = 0;
  /** The process stops: nothing goes on that has waited. */
  closed = false;

  constructor({ ofClient, ofAll, linger }: RoomSettings) {
    this.ofClient = ofClient;
    this.ofAll = ofAll;
    this.linger = linger;
  }

  /** One more, for a client of which so many wait already. */
  take(ofThisClient: number): boolean {
    if (ofThisClient >= this.ofClient || this.waiting >= this.ofAll) return false;
    this.waiting++;
    return true;
  }

  free(): void {
    this.waiting--;
  }
}
