import type { Commits } from "#core/gateway/core.ts";

/** A store that has committed when a test says so, or has failed. */
export class SlowStore {
  /** Answers that are due, oldest first. */
  readonly due: ((failed?: "unavailable") => void)[] = [];
  readonly commits: Commits;
  #writes = 0;

  constructor() {
    const store = this;
    this.commits = {
      get writes() {
        return ++store.#writes;
      },
      await: (loop, ticket, accepted) =>
        store.due.push((failed) => loop.answered(ticket, failed ?? accepted)),
      // biome-ignore lint/suspicious/noThenProperty: the core calls it so.
      then: (run) => run(),
    };
  }

  /** The oldest answer. */
  answer(failed?: "unavailable"): void {
    this.due.shift()?.(failed);
  }
}
