/** Processes one after the other over one store that outlives them, whichever gateways they open. */
import type { Duration } from "#core/lib/time.ts";
import { endsWithTest } from "./endings.ts";
import { MemoryEngine } from "./memory-engine.ts";
import { VirtualStore } from "./virtual-store.ts";
import { World, type WorldOptions } from "./world.ts";

export class Lives {
  readonly engine = new MemoryEngine();
  #store!: VirtualStore;
  readonly #waits: boolean;
  readonly #options: WorldOptions;
  world: World;

  /** `waits`: what must be kept is answered when it is committed, and not before. */
  constructor(options: WorldOptions = {}, waits = false) {
    this.#options = options;
    this.#waits = waits;
    endsWithTest({ end: () => this.#store.end(this.world) });
    this.world = this.#begin(options);
  }

  async commit(): Promise<void> {
    await this.#store.commit();
    this.world.settle();
  }

  /** The process is gone without a word, and what was not committed with it; the next one begins. */
  kill(downFor: number): World {
    const start = this.world.now + (downFor as Duration);
    this.world.kill();
    this.world = this.#begin({ ...this.#options, start });
    return this.world;
  }

  #begin(options: WorldOptions): World {
    this.#store = new VirtualStore(() => this.world, this.engine);
    // Wills of those whose time is over come at once: their publication reads the time.
    const { store } = this.#store;
    this.world = new World({ ...options, store, ...this.#store.options(this.#waits) });
    return this.world;
  }

  /** What a process says every few seconds. */
  alive(): void {
    this.#store.state.alive();
  }

  /** Reads back what was kept; before that a test may listen to what the reading causes. */
  restore(): void {
    this.#store.restore(this.world);
    this.world.settle();
  }
}
