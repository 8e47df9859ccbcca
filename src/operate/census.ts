import type { Instant } from "../lib/time.ts";
import { type ClientState, STATES, stateOf } from "./client-state.ts";
import type { ClientSummary, Page } from "./clients.ts";

/** Where clients are counted. */
export interface Counted {
  page(filter: object, options: { after: number; limit: number; looks: number }): Page<ClientSummary>;
}

/** What is counted: clients by state, and what waits for them. */
export type Counts = Record<ClientState | "waiting" | "waitingBytes", number>;

const none = (): Counts => ({
  ...(Object.fromEntries(STATES.map((state) => [state, 0])) as Record<ClientState, number>),
  waiting: 0,
  waitingBytes: 0,
});

/** Clients looked at in a step: some five milliseconds. */
const STEP = 500;

/** Hears of every client in each round. */
export interface CensusWatcher {
  note(client: ClientSummary, state: ClientState, now: Instant | number, round: number): void;
}

/** Counts all clients again and again, some in each step, so that nobody ever waits for it. */
export class Census {
  readonly #clients: Counted;
  readonly #watcher: CensusWatcher | undefined;
  #after = 0;
  #round = 0;
  #counting = none();
  /** Of the last time that all were counted. */
  counts: Counts = none();

  constructor(clients: Counted, watcher?: CensusWatcher) {
    this.#clients = clients;
    this.#watcher = watcher;
  }

  step(now: Instant | number): void {
    const page = this.#clients.page({}, { after: this.#after, limit: STEP, looks: STEP });
    const counting = this.#counting;
    for (const client of page.items) {
      const state = stateOf(client, now);
      counting[state]++;
      counting.waiting += client.queued;
      counting.waitingBytes += client.queuedBytes;
      this.#watcher?.note(client, state, now, this.#round);
    }
    this.#after = page.next ?? 0;
    if (page.next !== undefined) return;
    this.#round++;
    this.counts = counting;
    this.#counting = none();
  }
}
