import { addressBlock } from "../lib/address-block.ts";
import { after, type Duration, type Instant } from "../lib/time.ts";

export interface AttemptLimits {
  /** Failed logins within `window`, of one address (or /64 of IPv6) and under one name; then nobody is asked. */
  readonly ofAddress: number;
  readonly ofName: number;
  readonly window: Duration;
}

interface Failures {
  count: number;
  readonly until: Instant;
}

/** So many addresses and names are watched; beyond it those watched for longest are forgotten. */
const WATCHED_MAX = 100_000;

/** Failed logins by address and by name: guessing passwords becomes slow, and costs sources nothing. */
export class LoginAttempts {
  readonly #failures = new Map<string, Failures>();

  /** Whether this login is not even looked at, because too many have failed. */
  refuses(
    limits: AttemptLimits | undefined,
    address: string,
    name: string | undefined,
    now: Instant,
  ): boolean {
    if (limits === undefined || this.#failures.size === 0) return false;
    const { ofAddress, ofName } = limits;
    return (
      this.#count(placeOf(address), now) >= ofAddress ||
      (name !== undefined && this.#count(nameOf(name), now) >= ofName)
    );
  }

  failed(limits: AttemptLimits | undefined, address: string, name: string | undefined, now: Instant): void {
    if (limits === undefined) return;
    for (const key of name === undefined ? [placeOf(address)] : [placeOf(address), nameOf(name)]) {
      const known = this.#failures.get(key);
      if (known !== undefined && known.until > now) {
        known.count++;
        continue;
      }
      this.#failures.delete(key);
      this.#failures.set(key, { count: 1, until: after(now, limits.window) });
      if (this.#failures.size > WATCHED_MAX) {
        this.#failures.delete(this.#failures.keys().next().value as string);
      }
    }
  }

  #count(key: string, now: Instant): number {
    const known = this.#failures.get(key);
    return known === undefined || known.until <= now ? 0 : known.count;
  }
}

const NAME_LENGTH = 128;
const placeOf = (address: string): string => `a ${addressBlock(address, 32)}`;
const nameOf = (name: string): string => `n ${name.slice(0, NAME_LENGTH)}`;
