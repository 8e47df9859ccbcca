import type { Shelf } from "../contract/gateway.ts";
import type { Store } from "./store.ts";

/** Between the name of a gateway, which has none, and the key. */
const SEPARATOR = "\n";

/**
 * Every gateway's own part of the table; the same one also for a gateway that is closed and opened again. Without a store
 * it lasts as long as the process.
 */
export function shelvesOf(store: Store | undefined): (gateway: string) => Shelf {
  const shelves = new Map<string, Shelf>();
  return (gateway) => {
    const shelf = shelves.get(gateway) ?? new KeptShelf(store, gateway + SEPARATOR);
    shelves.set(gateway, shelf);
    return shelf;
  };
}

class KeptShelf implements Shelf {
  readonly #store: Store | undefined;
  readonly #prefix: string;
  readonly #values = new Map<string, () => unknown>();

  constructor(store: Store | undefined, prefix: string) {
    this.#store = store;
    this.#prefix = prefix;
    for (const [key, value] of store?.entries("shelf") ?? []) {
      if (typeof key === "string" && key.startsWith(prefix)) {
        this.#values.set(key.slice(prefix.length), () => value);
      }
    }
  }

  put(key: string, value: () => unknown): void {
    this.#values.set(key, value);
    this.#store?.put("shelf", this.#prefix + key, value);
  }

  remove(key: string): void {
    this.#values.delete(key);
    this.#store?.remove("shelf", this.#prefix + key);
  }

  *entries(): Generator<readonly [string, unknown]> {
    for (const [key, value] of this.#values) yield [key, value()];
  }
}
