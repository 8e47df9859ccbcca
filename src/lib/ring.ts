/** What all empty rings share; the first item makes them an array of their own. */
const NO_ITEMS: never[] = [];

/** A first-in first-out queue on a growing circular array: no shifting, no node per item. */
export class Ring<Item> {
  #items: (Item | undefined)[] = NO_ITEMS;
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: Item): void {
    if (this.#length === this.#items.length) this.#grow();
    this.#items[(this.#head + this.#length) & (this.#items.length - 1)] = item;
    this.#length++;
  }

  /** Puts an item back in front of all others. */
  unshift(item: Item): void {
    if (this.#length === this.#items.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#items.length - 1);
    this.#items[this.#head] = item;
    this.#length++;
  }

  peek(): Item | undefined {
    return this.#length === 0 ? undefined : this.#items[this.#head];
  }

  at(index: number): Item | undefined {
    if (index < 0 || index >= this.#length) return undefined;
    return this.#items[(this.#head + index) & (this.#items.length - 1)];
  }

  shift(): Item | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.#length--;
    if (this.#length === 0 && this.#items.length > 64) this.clear();
    return item;
  }

  /** Takes out the last item. */
  pop(): Item | undefined {
    if (this.#length === 0) return undefined;
    const last = (this.#head + this.#length - 1) & (this.#items.length - 1);
    const item = this.#items[last];
    this.#items[last] = undefined;
    this.#length--;
    return item;
  }

  /** Keeps only what `keep` approves, in order; O(n). */
  filter(keep: (item: Item) => boolean): void {
    const kept = [...this].filter(keep);
    this.clear();
    for (const item of kept) this.push(item);
  }

  clear(): void {
    this.#items = NO_ITEMS;
    this.#head = 0;
    this.#length = 0;
  }

  *[Symbol.iterator](): Generator<Item> {
    for (let index = 0; index < this.#length; index++) {
      yield this.#items[(this.#head + index) & (this.#items.length - 1)] as Item;
    }
  }

  #grow(): void {
    const grown: (Item | undefined)[] = new Array(Math.max(4, this.#items.length * 2));
    for (let index = 0; index < this.#length; index++) {
      grown[index] = this.#items[(this.#head + index) & (this.#items.length - 1)];
    }
    this.#items = grown;
    this.#head = 0;
  }
}
