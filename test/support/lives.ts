/** Processes one after the other over one store that outlives them, whichever gateways they open. */
import type { Duration } from "#core/lib/time.ts";
import { DurableState } from "#core/session/durable-state.ts";
import { Restoration } from "#core/session/restore.ts";
import { StoreCommits } from "#core/session/store-commits.ts";
import { GroupCommit } from "#core/store/group-commit.ts";
import { MemoryEngine } from "#core/store/memory-engine.ts";
import { World, type WorldOptions } from "./world.ts";

export class Lives {
  readonly engine = new MemoryEngine();
  #due: (() => void)[] = [];
  #store!: GroupCommit;
  readonly #waits: boolean;
  readonly #options: WorldOptions;
  world: World;

  /** `waits`: what must be kept is answered when it is committed, and not before. */
  constructor(options: WorldOptions = {}, waits = false) {
    this.#options = options;
    this.#waits = waits;
    this.world = this.#begin(options);
  }

  async commit(): Promise<void> {
    for (let round = 0; round < 20 && this.#store.waiting > 0; round++) {
      for (const run of this.#due.splice(0)) run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.world.settle();
  }

  /** The process is gone without a word, and what was not committed with it; the next one begins. */
  kill(downFor: number): World {
    const start = this.world.now + (downFor as Duration);
    this.world = this.#begin({ ...this.#options, start });
    return this.world;
  }

  #begin(options: WorldOptions): World {
    this.#due = [];
    const now = () => this.world?.now ?? 0;
    const later = (run: () => void) => this.#due.push(run);
    const store = new GroupCommit(this.engine, {
      ...{ window: 2, patience: 5, retry: 1000, later, onFailure: () => {}, now },
    });
    this.#store = store;
    const state = new DurableState(store, { now: () => now() as never });
    const commits = new StoreCommits(store, () => this.world.core);
    const world = new World({ ...options, journal: state, store, ...(this.#waits ? { commits } : {}) });
    this.alive = () => state.alive();
    const clock = { now: () => world.now };
    // Wills of those whose time is over come at once: their publication reads the time.
    this.world = world;
    this.#put = () =>
      new Restoration(store, state, world.sessions, world.bus, clock, world.sessions.context).run();
    return world;
  }

  #put: () => void = () => {};

  /** What a process says every few seconds. */
  alive: () => void = () => {};

  /** Reads back what was kept; before that a test may listen to what the reading causes. */
  restore(): void {
    this.#put();
    this.world.settle();
  }
}
