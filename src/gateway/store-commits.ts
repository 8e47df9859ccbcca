import type { Store } from "../session/store.ts";
import type { ChannelLoop } from "./channel-loop.ts";
import type { Ticket } from "./contract.ts";
import type { Commits, Core } from "./core.ts";

/** Answers what must be kept when the store has committed it, or says that it could not. */
export class StoreCommits implements Commits {
  readonly #store: Store;
  readonly #core: () => Core;

  constructor(store: Store, core: () => Core) {
    this.#store = store;
    this.#core = core;
  }

  get writes(): number {
    return this.#store.writes;
  }

  get failing(): boolean {
    return this.#store.failure !== undefined;
  }

  await(
    loop: ChannelLoop,
    ticket: Ticket,
    accepted: "accepted" | "no-subscribers" | 0 | 1 | 2,
    since: number,
  ): void {
    this.#store.whenCommitted((failure) => {
      if (loop.closed) return;
      this.#core().tick();
      loop.answered(ticket, failure === undefined ? accepted : "unavailable");
    }, since);
  }

  // biome-ignore lint/suspicious/noThenProperty: nobody awaits it
  then(run: () => void): void {
    this.#store.whenCommitted((failure) => {
      if (failure !== undefined) {
        this.then(run);
        return;
      }
      this.#core().tick();
      run();
    });
  }
}
