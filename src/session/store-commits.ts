import type { Asker, Commits, Committed } from "../bus/commits.ts";
import { CommitWait, type Store } from "./store.ts";

/** Answers what must be kept when the store has committed it, or says that it could not. */
export class StoreCommits implements Commits {
  readonly #store: Store;
  readonly #tick: () => void;

  /** `tick`: called before what waited for a commit goes on, which may read the time. */
  constructor(store: Store, tick: () => void) {
    this.#store = store;
    this.#tick = tick;
  }

  get writes(): number {
    return this.#store.writes;
  }

  get failing(): boolean {
    return this.#store.failure !== undefined;
  }

  await(asker: Asker, ticket: number, accepted: Committed, since: number): void {
    this.#store.wait(new Acknowledgement(this.#tick, asker, ticket, accepted), since);
  }

  whenCommitted(run: (failed: boolean) => void): void {
    this.#store.whenCommitted((failure) => {
      this.#tick();
      run(failure !== undefined);
    });
  }

  whenSafe(run: () => void): void {
    this.#store.whenSafe(() => {
      this.#tick();
      run();
    });
  }
}

/** An answer that a client gets once what must be kept is. */
class Acknowledgement extends CommitWait {
  readonly #tick: () => void;
  readonly #asker: Asker;
  readonly #ticket: number;
  readonly #accepted: Committed;

  constructor(tick: () => void, asker: Asker, ticket: number, accepted: Committed) {
    super();
    this.#tick = tick;
    this.#asker = asker;
    this.#ticket = ticket;
    this.#accepted = accepted;
  }

  settled(failure: Error | undefined): void {
    if (this.#asker.closed) return;
    this.#tick();
    this.#asker.answered(this.#ticket, failure === undefined ? this.#accepted : "unavailable");
  }
}
