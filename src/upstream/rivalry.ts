import { type Duration, seconds } from "../lib/time.ts";
import type { Exchanges } from "./exchanges.ts";

/** A takeover so soon after CONNACK may have been meant for the other side: servers of a cluster disagree for a moment. */
const CONTESTED = seconds(2);
/** So many closes without a word, each soon after the last: somebody else has this client id, and comes back too. */
const STRIKES_MAX = 3;

/**
 * Judges by how a server ends connections whether another connection has the session, so that two that both come back
 * do not take it from each other for ever.
 */
export class Rivalry {
  #strikes = 0;
  #contested = false;

  /** A connection has lasted. */
  settled(): void {
    this.#contested = false;
  }

  /** Somebody who takes a session is let in: where nobody is, it was not taken. */
  forgive(): void {
    this.#strikes = 0;
  }

  /** DISCONNECT 0x8E, so long after CONNACK. True: it is tried once more, for it may not have been meant for this one. */
  mayBeMistaken(up: Duration): boolean {
    if (this.#contested || up >= CONTESTED) return false;
    this.#contested = true;
    return true;
  }

  /**
   * An end without a word, which is how MQTT 3.1.1 says that somebody else has the session, among other things: what was
   * published may be why, and is found out by further closes. True: somebody else has it.
   */
  closed(exchanges: Pick<Exchanges, "closed" | "underWay"> | undefined): boolean {
    const publishing = exchanges?.underWay === true;
    if (exchanges?.closed() === true) this.#strikes = 0;
    else this.#strikes += publishing ? 0.5 : 1;
    return this.#strikes >= STRIKES_MAX;
  }
}
