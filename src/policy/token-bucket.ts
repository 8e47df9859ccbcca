import { type Duration, FOREVER, type Instant, milliseconds, ZERO } from "../lib/time.ts";

/**
 * A rate limit: `rate` units a second on average, `burst` at once. Time is an argument. It may go into debt, for
 * streams, where what was read is read and the answer is to wait; `tryTake` never does, for datagrams and logins.
 */
export class TokenBucket {
  readonly #perMillisecond: number;
  readonly #burst: number;
  #tokens: number;
  #filledAt = Number.NEGATIVE_INFINITY as Instant;

  /** `rate` in units per second, `Infinity` for no limit, 0 for nothing at all; `burst` at least one unit. */
  constructor(rate: number, burst: number = rate) {
    this.#perMillisecond = rate / 1000;
    this.#burst = rate === 0 ? 0 : Math.max(1, burst);
    this.#tokens = this.#burst;
  }

  get unlimited(): boolean {
    return this.#perMillisecond === Number.POSITIVE_INFINITY;
  }

  /** Takes `amount`, into debt if need be, and says how long to wait until the debt is paid; 0 when there is none. */
  take(amount: number, now: Instant): Duration {
    if (this.unlimited) return ZERO;
    this.#fill(now);
    this.#tokens -= amount;
    return this.#wait(0);
  }

  /** Takes `amount` only if it is there. More than the burst is granted when the bucket is full. */
  tryTake(amount: number, now: Instant): boolean {
    if (this.unlimited) return true;
    this.#fill(now);
    if (this.#tokens < Math.min(amount, this.#burst) || this.#burst === 0) return false;
    this.#tokens -= amount;
    return true;
  }

  /** How long until `amount` can be taken; 0 when it can now. */
  until(amount: number, now: Instant): Duration {
    if (this.unlimited) return ZERO;
    this.#fill(now);
    return this.#wait(Math.min(amount, this.#burst));
  }

  #wait(needed: number): Duration {
    if (this.#tokens >= needed) return ZERO;
    if (this.#perMillisecond === 0) return FOREVER;
    return milliseconds(Math.ceil((needed - this.#tokens) / this.#perMillisecond));
  }

  #fill(now: Instant): void {
    const elapsed = now - this.#filledAt;
    if (elapsed <= 0) return;
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.min(elapsed, 1e15) * this.#perMillisecond);
    this.#filledAt = now;
  }
}
