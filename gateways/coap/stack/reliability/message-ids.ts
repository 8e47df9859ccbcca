import { after, type Duration, type Instant } from "#core/lib/time.ts";

const IDS = 0x10000;
/** Ids are followed in chunks: 32 instants instead of 65,536. */
const CHUNK = 2048;

/**
 * Message ids for one peer: counted from a random start, none used again within EXCHANGE_LIFETIME (RFC 7252
 * §4.4), which bounds a peer to 65,536 / 247 s = 265 messages a second.
 */
export class MessageIds {
  readonly #lifetime: Duration;
  #next: number;
  /** When each chunk was last left; made once the first is full, which an ordinary peer never reaches. */
  #leftAt: Float64Array | undefined = undefined;

  constructor(start: number, lifetime: Duration) {
    this.#next = start & (IDS - 1);
    this.#lifetime = lifetime;
  }

  /** When the next id may be used; not after `now` for at once. */
  readyAt(now: Instant): Instant {
    if (this.#leftAt === undefined || this.#next % CHUNK !== 0) return now;
    const left = this.#leftAt[this.#next / CHUNK] as number;
    return left === 0 ? now : after(left as Instant, this.#lifetime);
  }

  next(now: Instant): number {
    const id = this.#next;
    this.#next = (id + 1) & (IDS - 1);
    if (this.#next % CHUNK === 0) {
      this.#leftAt ??= new Float64Array(IDS / CHUNK);
      this.#leftAt[Math.floor(id / CHUNK)] = now;
    }
    return id;
  }
}
