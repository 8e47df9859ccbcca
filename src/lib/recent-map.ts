/** A map that remembers so many at most: the oldest goes, and first those of which nobody waits for more. */
export class RecentMap<Key, Value> {
  readonly #entries = new Map<Key, Value>();
  readonly #limit: () => number;
  readonly #waits: (value: Value) => boolean;

  /** `waits`: it is worth more than one that does not, up to twice the limit. */
  constructor(limit: () => number, waits: (value: Value) => boolean) {
    this.#limit = limit;
    this.#waits = waits;
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key);
  }

  values(): IterableIterator<Value> {
    return this.#entries.values();
  }

  set(key: Key, value: Value): void {
    this.#entries.set(key, value);
    const limit = this.#limit();
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= limit) return;
      if (!this.#waits(entry) || this.#entries.size > 2 * limit) this.#entries.delete(oldest);
    }
  }
}
