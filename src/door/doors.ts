import type { Policy } from "../policy/policy.ts";
import type { Core } from "./core.ts";
import { Door } from "./door.ts";

/** The doors of all listeners that are open. */
export class Doors implements Iterable<Door> {
  readonly #core: Core;
  readonly #policy: Policy;
  readonly #open = new Set<Door>();

  constructor(core: Core, policy: Policy) {
    this.#core = core;
    this.#policy = policy;
  }

  /** For a listener of this gateway, on which others may be served under their own rules. */
  open(gateway: string, listener: string): Door {
    const of = (name: string) => this.#policy.listener(name, listener, gateway);
    const door = new Door(this.#core, of(gateway), (sibling) => new Door(this.#core, of(sibling)));
    this.#open.add(door);
    return door;
  }

  close(door: Door): void {
    this.#open.delete(door);
  }

  [Symbol.iterator](): IterableIterator<Door> {
    return this.#open.values();
  }
}
