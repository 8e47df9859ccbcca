import { type Duration, type Instant, milliseconds } from "../lib/time.ts";
import type { ListenerLimits } from "../policy/policy.ts";
import { TokenBucket } from "../policy/token-bucket.ts";

/** The message rate and the byte rate of one client. */
export class Rates {
  readonly #messages: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;

  readonly #limits: ListenerLimits;

  private constructor(limits: ListenerLimits) {
    const { messageRate, byteRate } = limits;
    this.#limits = limits;
    this.#messages = messageRate === Number.POSITIVE_INFINITY ? undefined : new TokenBucket(messageRate);
    this.#bytes = byteRate === Number.POSITIVE_INFINITY ? undefined : new TokenBucket(byteRate);
  }

  /** Undefined where nothing is limited. `former`: goes on where its rates are the same. */
  static of(limits: ListenerLimits, former?: Rates): Rates | undefined {
    const { messageRate, byteRate } = limits;
    const same =
      former !== undefined &&
      former.#limits.messageRate === messageRate &&
      former.#limits.byteRate === byteRate;
    if (same) return former;
    const unlimited = messageRate === Number.POSITIVE_INFINITY && byteRate === Number.POSITIVE_INFINITY;
    return unlimited ? undefined : new Rates(limits);
  }

  /** For datagrams: false when one of the buckets is empty. */
  tryTake(bytes: number, now: Instant): boolean {
    return this.#messages?.tryTake(1, now) !== false && this.#bytes?.tryTake(bytes, now) !== false;
  }

  /** For streams, which go into debt: how long to wait until it is paid. */
  take(bytes: number, now: Instant): Duration {
    return milliseconds(Math.max(this.#messages?.take(1, now) ?? 0, this.#bytes?.take(bytes, now) ?? 0));
  }
}
