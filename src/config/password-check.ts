import { createHmac, randomBytes } from "node:crypto";
import { after, type Duration, type Instant } from "../lib/time.ts";
import { isSlow, type PasswordHash, verifyFast, verifyPassword } from "./password-hash.ts";

/** Bounds of the work that logins may cause. */
export interface HashingLimits {
  readonly concurrent: number;
  readonly waiting: number;
  readonly cacheEntries: number;
  readonly cacheTtl: Duration;
}

/**
 * Checks passwords, a few at a time. What was right a while ago is remembered as a digest under a key that only
 * this process knows, so that a storm of reconnects does not hash everything again.
 */
export class PasswordCheck {
  readonly #limits: HashingLimits;
  readonly #key = randomBytes(32);
  /** By hash object: a users file that is read again brings new objects, and so forgets. */
  #known = new Map<string, { readonly hash: PasswordHash; readonly until: Instant }>();
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(limits: HashingLimits) {
    this.#limits = limits;
  }

  /** At once for cheap hashes and remembered passwords. */
  verify(hash: PasswordHash, password: Uint8Array, now: Instant): boolean | "busy" | Promise<boolean> {
    if (!isSlow(hash)) return verifyFast(hash, password);
    const digest = this.#digest(password, hash);
    const known = this.#known.get(digest);
    if (known !== undefined && known.hash === hash && known.until > now) return true;
    if (this.#running >= this.#limits.concurrent && this.#queue.length >= this.#limits.waiting) return "busy";
    return this.#check(hash, password.slice(), digest, now);
  }

  async #check(hash: PasswordHash, password: Uint8Array, digest: string, now: Instant): Promise<boolean> {
    if (this.#running >= this.#limits.concurrent) {
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    } else {
      this.#running++;
    }
    try {
      const right = await verifyPassword(hash, password);
      if (right) this.#remember(digest, hash, now);
      return right;
    } finally {
      // The place goes to the next in line, or becomes free.
      const next = this.#queue.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #digest(password: Uint8Array, hash: PasswordHash): string {
    const salt = hash.kind === "scrypt" ? hash.key : hash.kind === "bcrypt" ? hash.text : "";
    return createHmac("sha256", this.#key).update(salt).update("\0").update(password).digest("base64");
  }

  #remember(digest: string, hash: PasswordHash, now: Instant): void {
    const { cacheEntries, cacheTtl } = this.#limits;
    if (cacheEntries === 0) return;
    this.#known.delete(digest);
    if (this.#known.size >= cacheEntries) {
      const oldest = this.#known.keys().next();
      if (oldest.done !== true) this.#known.delete(oldest.value);
    }
    this.#known.set(digest, { hash, until: after(now, cacheTtl) });
  }
}
