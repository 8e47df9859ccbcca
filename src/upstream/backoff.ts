import { type Duration, milliseconds } from "../lib/time.ts";

/** Enough for any `longest`: 2 to this power is past it. */
const DOUBLINGS_MAX = 30;

/** How long to wait before the next try: full jitter, any time up to a bound that doubles with each. */
export class Backoff {
  #tries = 0;

  /** Nothing has failed since the last good connection. */
  get fresh(): boolean {
    return this.#tries === 0;
  }

  reset(): void {
    this.#tries = 0;
  }

  /** A try has failed that nothing waits for. */
  count(): void {
    this.#tries++;
  }

  /** The next wait is as long as any. */
  exhaust(): void {
    this.#tries = DOUBLINGS_MAX;
  }

  next(
    { first, longest }: { readonly first: Duration; readonly longest: Duration },
    random: number,
  ): Duration {
    const bound = Math.min(longest, first * 2 ** Math.min(this.#tries++, DOUBLINGS_MAX));
    return milliseconds(Math.ceil(random * bound));
  }
}
