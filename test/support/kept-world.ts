/** A world over a real store whose commits happen when a test says so. */
import { endsWithTest } from "./endings.ts";
import { VirtualStore } from "./virtual-store.ts";
import type { World, WorldOptions } from "./world.ts";

export class KeptWorld {
  readonly options: WorldOptions;
  readonly #store: VirtualStore;
  #world: World | undefined = undefined;

  constructor() {
    this.#store = new VirtualStore(() => this.#world);
    this.options = this.#store.options();
    endsWithTest({ end: () => (this.#world === undefined ? [] : this.#store.end(this.#world)) });
  }

  get engine() {
    return this.#store.engine;
  }

  /** To be called with the world that was made with `options`. */
  of<T extends World>(world: T): T {
    this.#world = world;
    return world;
  }

  /** Everything written is committed, and what comes of it has happened. */
  async commit(): Promise<void> {
    await this.#store.commit(10);
    this.#world?.settle();
  }
}
