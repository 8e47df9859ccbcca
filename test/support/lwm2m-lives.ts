/** Processes of an LwM2M gateway one after the other, over one store that outlives them. */

import type { Duration } from "#core/lib/time.ts";
import { DurableState } from "#core/session/durable-state.ts";
import { Restoration } from "#core/session/restore.ts";
import { StoreCommits } from "#core/session/store-commits.ts";
import { GroupCommit } from "#core/store/group-commit.ts";
import { MemoryEngine } from "#core/store/memory-engine.ts";
import type { Lwm2mDevice } from "./lwm2m-device.ts";
import { Lwm2mWorld } from "./lwm2m-world.ts";
import type { WorldOptions } from "./world.ts";

export class Lwm2mLives {
  readonly #engine = new MemoryEngine();
  readonly #settings: object;
  #due: (() => void)[] = [];
  #store!: GroupCommit;
  readonly #waits: boolean;
  #lives = 0;
  world: Lwm2mWorld;

  /** `waits`: what must be kept is answered when it is committed, and not before. */
  constructor(settings: object = {}, options: WorldOptions = {}, waits = false) {
    this.#settings = settings;
    this.#waits = waits;
    this.world = this.#begin(options);
  }

  /** Everything written is committed; then the process is gone without a word, and the next one begins. */
  async restart(downFor: Duration, options: WorldOptions = {}): Promise<Lwm2mWorld> {
    await this.commit();
    return this.crash(downFor, options);
  }

  /** At most this many commits: what one causes to be written is in the next. */
  async commit(rounds = Number.POSITIVE_INFINITY): Promise<void> {
    for (let round = 0; round < rounds && this.#store.waiting > 0; round++) {
      for (const run of this.#due.splice(0)) run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.world.settle();
  }

  /** What was not committed is lost. */
  crash(downFor: Duration, options: WorldOptions = {}): Lwm2mWorld {
    this.world = this.#begin({ ...options, start: this.world.now + downFor });
    return this.world;
  }

  /** The device of the process before: it knows nothing of the restart. */
  again(before: Lwm2mDevice, port = before.wire.port): Lwm2mDevice {
    const device = this.world.device(before.ep, port);
    device.location = before.location;
    device.script = before.script;
    return device;
  }

  #begin(options: WorldOptions): Lwm2mWorld {
    this.#due = [];
    const later = (run: () => void) => this.#due.push(run);
    this.#store = new GroupCommit(this.#engine, {
      ...{ window: 2, patience: 5, retry: 1000 },
      ...{ later, onFailure: () => {}, now: () => 0 },
    });
    const store = this.#store;
    const state = new DurableState(store, { now: () => this.world.core.now });
    const commits = new StoreCommits(store, () => this.world.core.tick());
    return new Lwm2mWorld(
      this.#settings,
      { ...options, seed: ++this.#lives, journal: state, ...(this.#waits ? { commits } : {}) },
      ({ sessions, bus, now }) => {
        new Restoration(store, state, sessions, bus, { now: () => now }, sessions.context).run();
      },
    );
  }
}
