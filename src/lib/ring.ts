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

  /** Keeps only what `keep` approves, in order; O(n), in place. `keep` changes nothing here. */
  filter(keep: (item: Item) => boolean): void {
    const mask = this.#items.length - 1;
    let kept = 0;
    for (let index = 0; index < this.#length; index++) {
      const item = this.#items[(this.#head + index) & mask] as Item;
      if (keep(item)) this.#items[(this.#head + kept++) & mask] = item;
    }
    for (let index = kept; index < this.#length; index++)
      this.#items[(this.#head + index) & mask] = undefined;
    this.#length = kept;
    if (kept === 0) this.clear();
    else if (kept * 8 < this.#items.length) this.#resize(this.#items.length / 4);
  }

  /** Where the first item stands that matches, from this index on; -1 for none. */
  findIndex(matches: (item: Item) => boolean, from = 0): number {
    const mask = this.#items.length - 1;
    for (let index = from; index < this.#length; index++)
      if (matches(this.#items[(this.#head + index) & mask] as Item)) return index;
    return -1;
  }

  /** Takes out the item at this index; those on its shorter side move up. */
  takeAt(index: number): Item | undefined {
    const item = this.at(index);
    if (item === undefined) return undefined;
    const mask = this.#items.length - 1;
    const place = (at: number) => (this.#head + at) & mask;
    if (index * 2 < this.#length) {
      for (let at = index; at > 0; at--) this.#items[place(at)] = this.#items[place(at - 1)];
      this.shift();
    } else {
      for (let at = index; at < this.#length - 1; at++) this.#items[place(at)] = this.#items[place(at + 1)];
      this.pop();
    }
    return item;
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
    this.#resize(Math.max(4, this.#items.length * 2));
  }

  /** `size`: a power of 2, in which all items have room. */
  #resize(size: number): void {
    const items: (Item | undefined)[] = new Array(size);
    for (let index = 0; index < this.#length; index++) {
      items[index] = this.#items[(this.#head + index) & (this.#items.length - 1)];
    }
    this.#items = items;
    this.#head = 0;
  }
}
