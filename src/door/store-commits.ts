import type { Ticket } from "../contract/answers.ts";
import { CommitWait, type Store } from "../session/store.ts";
import type { ChannelDriver } from "./channel-driver.ts";
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
    loop: ChannelDriver,
    ticket: Ticket,
    accepted: "accepted" | "no-subscribers" | 0 | 1 | 2,
    since: number,
  ): void {
    this.#store.wait(new Acknowledgement(this.#core(), loop, ticket, accepted), since);
  }

  whenSafe(run: () => void): void {
    this.#store.whenSafe(() => {
      this.#core().tick();
      run();
    });
  }
}

/** An answer that a client gets once what must be kept is. */
class Acknowledgement extends CommitWait {
  readonly #core: Core;
  readonly #loop: ChannelDriver;
  readonly #ticket: Ticket;
  readonly #accepted: "accepted" | "no-subscribers" | 0 | 1 | 2;

  constructor(
    core: Core,
    loop: ChannelDriver,
    ticket: Ticket,
    accepted: "accepted" | "no-subscribers" | 0 | 1 | 2,
  ) {
    super();
    this.#core = core;
    this.#loop = loop;
    this.#ticket = ticket;
    this.#accepted = accepted;
  }

  settled(failure: Error | undefined): void {
    if (this.#loop.closed) return;
    this.#core.tick();
    this.#loop.answered(this.#ticket, failure === undefined ? this.#accepted : "unavailable");
  }
}
