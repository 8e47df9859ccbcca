const NOTHING = Symbol("no key");
const EMPTY = new Map<never, never>();

/**
 * A map that is made for one entry and lives with more: a `Map` of one entry takes 230 bytes, this takes 40, and
 * most devices have one subscription on one topic.
 */
export class SmallMap<Key, Value> implements ReadonlyMap<Key, Value> {
  #key: Key | typeof NOTHING = NOTHING;
  #value: Value | undefined = undefined;
  /** Holds everything as soon as there are two. */
  #map: Map<Key, Value> | undefined = undefined;

  get size(): number {
    if (this.#map !== undefined) return this.#map.size;
    return this.#key === NOTHING ? 0 : 1;
  }

  get(key: Key): Value | undefined {
    if (this.#map !== undefined) return this.#map.get(key);
    return this.#key === key ? this.#value : undefined;
  }

  has(key: Key): boolean {
    return this.#map === undefined ? this.#key === key : this.#map.has(key);
  }

  set(key: Key, value: Value): this {
    if (this.#map !== undefined) {
      this.#map.set(key, value);
    } else if (this.#key === NOTHING || this.#key === key) {
      this.#key = key;
      this.#value = value;
    } else {
      this.#map = new Map([
        [this.#key, this.#value as Value],
        [key, value],
      ]);
      this.#key = NOTHING;
      this.#value = undefined;
    }
    return this;
  }

  delete(key: Key): boolean {
    if (this.#map !== undefined) {
      const deleted = this.#map.delete(key);
      if (this.#map.size === 0) this.#map = undefined;
      return deleted;
    }
    if (this.#key !== key) return false;
    this.clear();
    return true;
  }

  clear(): void {
    this.#key = NOTHING;
    this.#value = undefined;
    this.#map = undefined;
  }

  forEach(visit: (value: Value, key: Key, map: ReadonlyMap<Key, Value>) => void): void {
    if (this.#map !== undefined) for (const [key, value] of this.#map) visit(value, key, this);
    else if (this.#key !== NOTHING) visit(this.#value as Value, this.#key, this);
  }

  entries() {
    return (this.#map ?? mapOf(this)).entries();
  }

  keys() {
    return (this.#map ?? mapOf(this)).keys();
  }

  values() {
    return (this.#map ?? mapOf(this)).values();
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

/** For loops over none or one. No private method: a class that has one pays a word for it in each instance. */
function mapOf<Key, Value>(small: SmallMap<Key, Value>): Map<Key, Value> {
  if (small.size === 0) return EMPTY as Map<unknown, unknown> as Map<Key, Value>;
  const map = new Map<Key, Value>();
  small.forEach((value, key) => {
    map.set(key, value);
  });
  return map;
}
