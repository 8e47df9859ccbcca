/** A world over a real store whose commits happen when a test says so. */

import { DurableState } from "#core/session/durable-state.ts";
import { StoreCommits } from "#core/session/store-commits.ts";
import { GroupCommit } from "#core/store/group-commit.ts";
import { MemoryEngine } from "#core/store/memory-engine.ts";
import type { World, WorldOptions } from "./world.ts";

export class KeptWorld {
  readonly engine = new MemoryEngine();
  readonly options: WorldOptions;
  readonly #store: GroupCommit;
  #due: (() => void)[] = [];
  #world: World | undefined = undefined;

  constructor() {
    const now = (): number => this.#world?.now ?? 0;
    const later = (run: () => void) => this.#due.push(run);
    this.#store = new GroupCommit(this.engine, {
      ...{ window: 2, patience: 5, retry: 1000, later, onFailure: () => {}, now },
    });
    const state = new DurableState(this.#store, { now: () => now() as never });
    const commits = new StoreCommits(this.#store, () => this.#world?.core.tick());
    this.options = { journal: state, commits };
  }

  /** To be called with the world that was made with `options`. */
  of<T extends World>(world: T): T {
    this.#world = world;
    return world;
  }

  /** Everything written is committed, and what comes of it has happened. */
  async commit(): Promise<void> {
    for (let round = 0; round < 10 && this.#store.waiting > 0; round++) {
      for (const run of this.#due.splice(0)) run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#world?.settle();
  }
}
