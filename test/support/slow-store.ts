import type { Commits } from "#core/bus/commits.ts";
import type { World } from "./world.ts";

/** A store that has to keep every message, and has committed when a test says so, or has failed. */
export class SlowStore {
  /** Answers that are due, oldest first. */
  readonly due: ((failed?: "unavailable") => void)[] = [];
  readonly commits: Commits;
  #writes = 1;

  constructor() {
    const store = this;
    this.commits = {
      get writes() {
        return store.#writes;
      },
      await: (loop, ticket, accepted) =>
        store.due.push((failed) => loop.answered(ticket, failed ?? accepted)),
      whenCommitted: (run) => run(false),
      whenSafe: (run) => run(),
    };
  }

  /** Every message that is published in this world is written, from now on. */
  keepAllOf(world: World): void {
    world.attach({ key: "slow-store", available: true, deliver: () => this.#writes++ }, "#", 2);
  }

  /** The oldest answer. */
  answer(failed?: "unavailable"): void {
    this.due.shift()?.(failed);
  }
}
