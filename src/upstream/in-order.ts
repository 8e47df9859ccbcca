import { after, type Clock, type Instant, seconds } from "../lib/time.ts";
import type { Server, ServerChoice, ServerFailure, SessionInfo } from "./server-choice.ts";

/** How long a server that has failed is left alone while another is there. */
const REST = seconds(10);

/** The first server that has not failed lately; where all have, the one whose failure is longest ago. */
export class InOrder implements ServerChoice {
  readonly servers: readonly Server[];
  readonly #clock: Clock;
  readonly #restUntil = new Map<Server, Instant>();

  constructor(servers: readonly Server[], clock: Clock) {
    this.servers = servers;
    this.#clock = clock;
  }

  choose(_session: SessionInfo): Server | undefined {
    const now = this.#clock.now();
    let best: Server | undefined;
    let bestUntil = Number.POSITIVE_INFINITY;
    for (const server of this.servers) {
      const until = this.#restUntil.get(server) ?? 0;
      if (until <= now) return server;
      if (until < bestUntil) {
        best = server;
        bestUntil = until;
      }
    }
    return best;
  }

  succeeded(server: Server): void {
    this.#restUntil.delete(server);
  }

  failed(server: Server, _failure: ServerFailure): void {
    this.#restUntil.set(server, after(this.#clock.now(), REST));
  }

  left(_server: Server): void {}
}
