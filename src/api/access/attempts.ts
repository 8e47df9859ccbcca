import { addressBlock } from "../../lib/address-block.ts";

const FIRST_WAIT_MS = 1_000;
const WAIT_MAX_MS = 60_000;
/** A name or an address of which nothing wrong was heard for so long starts anew. */
const FORGET_MS = 15 * 60_000;
const REMEMBERED_MAX = 10_000;

interface Failures {
  count: number;
  until: number;
  last: number;
}

/** After each failed attempt the next one waits longer: 1, 2, 4 ... 60 s, by name and by address. */
export class Attempts {
  readonly #failures = new Map<string, Failures>();

  /** Milliseconds until the next attempt is looked at; 0 for now. */
  wait(name: string | undefined, address: string, now: number): number {
    return Math.max(
      0,
      ...this.#keys(name, address).map((key) => (this.#failures.get(key)?.until ?? 0) - now),
    );
  }

  failed(name: string | undefined, address: string, now: number): void {
    for (const key of this.#keys(name, address)) {
      const known = this.#failures.get(key);
      const count = known === undefined || now - known.last > FORGET_MS ? 1 : known.count + 1;
      // The map keeps the order: what failed longest ago goes first.
      this.#failures.delete(key);
      const length = Math.min(WAIT_MAX_MS, FIRST_WAIT_MS * 2 ** Math.min(count - 1, 10));
      this.#failures.set(key, { count, until: now + length, last: now });
      if (this.#failures.size > REMEMBERED_MAX) {
        this.#failures.delete(this.#failures.keys().next().value as string);
      }
    }
  }

  succeeded(name: string | undefined, address: string): void {
    for (const key of this.#keys(name, address)) this.#failures.delete(key);
  }

  #keys(name: string | undefined, address: string): readonly string[] {
    const place = `a ${addressBlock(address, 32)}`;
    return name === undefined ? [place] : [place, `n ${name.slice(0, 128)}`];
  }
}
