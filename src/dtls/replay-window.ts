/** RFC 6347 §4.1.2.6 recommends 64 and asks for at least 32. */
const WINDOW = 64;

/** Which sequence numbers of an epoch have been seen. It takes any start: peers begin at 0, at 1 or elsewhere. */
export class ReplayWindow {
  /** The newest that was verified; -1 before the first. */
  newest: number;
  /** Bit n of the two halves: newest - n was seen. */
  #low = 0;
  #high = 0;

  /** All before `first` counts as seen. */
  constructor(first = 0) {
    this.newest = first - 1;
    if (first > 0) {
      this.#low = -1;
      this.#high = -1;
    }
  }

  /** Neither seen nor too old to tell. */
  isFresh(sequence: number): boolean {
    const age = this.newest - sequence;
    if (age < 0) return true;
    if (age >= WINDOW) return false;
    return ((age < 32 ? this.#low >>> age : this.#high >>> (age - 32)) & 1) === 0;
  }

  /** To be called only for a record that was verified. Tells whether it is the newest. */
  accept(sequence: number): boolean {
    const ahead = sequence - this.newest;
    if (ahead > 0) {
      this.#shift(ahead);
      this.#low |= 1;
      this.newest = sequence;
      return true;
    }
    const age = -ahead;
    if (age < 32) this.#low |= 1 << age;
    else this.#high |= 1 << (age - 32);
    return false;
  }

  #shift(by: number): void {
    if (by >= WINDOW) {
      this.#low = 0;
      this.#high = 0;
    } else if (by >= 32) {
      this.#high = by === 32 ? this.#low : this.#low << (by - 32);
      this.#low = 0;
    } else {
      this.#high = (this.#high << by) | (this.#low >>> (32 - by));
      this.#low <<= by;
    }
  }
}
