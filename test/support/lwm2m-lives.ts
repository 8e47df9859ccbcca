/** Processes of an LwM2M gateway one after the other, over one store that outlives them. */

import type { Duration } from "#core/lib/time.ts";
import { endsWithTest } from "./endings.ts";
import type { Lwm2mDevice } from "./lwm2m-device.ts";
import { Lwm2mWorld } from "./lwm2m-world.ts";
import { MemoryEngine } from "./memory-engine.ts";
import { VirtualStore } from "./virtual-store.ts";
import type { WorldOptions } from "./world.ts";

export class Lwm2mLives {
  readonly #engine = new MemoryEngine();
  readonly #settings: object;
  #store!: VirtualStore;
  readonly #waits: boolean;
  #lives = 0;
  world: Lwm2mWorld;

  /** `waits`: what must be kept is answered when it is committed, and not before. */
  constructor(settings: object = {}, options: WorldOptions = {}, waits = false) {
    this.#settings = settings;
    this.#waits = waits;
    endsWithTest({ end: () => this.#store.end(this.world) });
    this.world = this.#begin(options);
  }

  /** Everything written is committed; then the process is gone without a word, and the next one begins. */
  async restart(downFor: Duration, options: WorldOptions = {}): Promise<Lwm2mWorld> {
    await this.commit();
    return this.crash(downFor, options);
  }

  /** At most this many commits: what one causes to be written is in the next. */
  async commit(rounds = Number.POSITIVE_INFINITY): Promise<void> {
    await this.#store.commit(rounds);
    this.world.settle();
  }

  /** What was not committed is lost. */
  crash(downFor: Duration, options: WorldOptions = {}): Lwm2mWorld {
    this.world.kill();
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
    const store = new VirtualStore(() => this.world, this.#engine);
    this.#store = store;
    return new Lwm2mWorld(
      this.#settings,
      { ...options, seed: ++this.#lives, ...store.options(this.#waits) },
      (world) => void store.restore(world),
    );
  }
}
