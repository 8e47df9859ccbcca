/** Numbers from a seed, so that a fleet behaves alike each time as far as the network lets it (mulberry32). */
export class Luck {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  chance(share: number): boolean {
    return share > 0 && this.next() < share;
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** About this long, a fifth more or less: devices that were switched on together drift apart. */
  about(length: number): number {
    return this.between(0.8 * length, 1.2 * length);
  }

  /** Until the next of events that come independently of each other, `mean` apart. */
  until(mean: number): number {
    return -Math.log(1 - this.next()) * mean;
  }

  /** From about -1 to 1, mostly small. */
  wobble(): number {
    return (this.next() + this.next() + this.next()) * (2 / 3) - 1;
  }
}
