const SLOT_MS = 10_000;
const SLOTS = 30;

/** How often something happens: a second now, at most so far, and in the last five minutes. */
export class Rates {
  readonly #slots = new Float64Array(SLOTS);
  /** The number of the slot that is counted in, since the epoch. */
  #slot = 0;
  #max = 0;

  add(now: number): void {
    const slot = Math.floor(now / SLOT_MS);
    if (slot !== this.#slot) this.#turn(slot);
    this.#slots[slot % SLOTS]!++;
  }

  /** A second. `current` is of the last ten seconds that are over. */
  read(now: number): { readonly current: number; readonly max: number; readonly last5m: number } {
    this.#turn(Math.floor(now / SLOT_MS));
    const current = this.#slots[(this.#slot + SLOTS - 1) % SLOTS]! / (SLOT_MS / 1000);
    const sum = this.#slots.reduce((all, each) => all + each, 0);
    return { current, max: this.#max, last5m: sum / ((SLOTS * SLOT_MS) / 1000) };
  }

  #turn(slot: number): void {
    if (slot <= this.#slot) return;
    this.#max = Math.max(this.#max, this.#slots[this.#slot % SLOTS]! / (SLOT_MS / 1000));
    const first = Math.max(this.#slot + 1, slot - SLOTS + 1);
    for (let each = first; each <= slot; each++) this.#slots[each % SLOTS] = 0;
    this.#slot = slot;
  }
}
