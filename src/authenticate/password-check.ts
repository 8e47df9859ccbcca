import { createHmac, randomBytes } from "node:crypto";
import { FairLine } from "../lib/fair-line.ts";
import { after, type Duration, type Instant } from "../lib/time.ts";
import { ANYBODY, type AskedBy } from "./asked-by.ts";
import { isSlow, type PasswordHash, verifyFast, verifyPassword } from "./password-hash.ts";

interface Waiting {
  readonly by: AskedBy;
  /** Whether it is its turn, or has to go. */
  readonly called: (turn: boolean) => void;
}

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
  readonly #line = new FairLine<Waiting>();
  #running = 0;

  constructor(limits: HashingLimits) {
    this.#limits = limits;
  }

  /** At once for cheap hashes and remembered passwords. */
  verify(
    hash: PasswordHash,
    password: Uint8Array,
    now: Instant,
    by: AskedBy = ANYBODY,
  ): boolean | "busy" | Promise<boolean | "busy"> {
    if (!isSlow(hash)) return verifyFast(hash, password);
    const digest = this.#digest(password, hash);
    const known = this.#known.get(digest);
    if (known !== undefined && known.hash === hash && known.until > now) return true;
    if (this.#running < this.#limits.concurrent) {
      this.#running++;
      return this.#check(hash, password.slice(), digest, now);
    }
    if (this.#line.length >= this.#limits.waiting) {
      const other = this.#line.makeRoomFor(by.address);
      if (other === undefined) return "busy";
      other.called(false);
    }
    return this.#waitAndCheck(hash, password.slice(), digest, now, by);
  }

  async #waitAndCheck(
    hash: PasswordHash,
    password: Uint8Array,
    digest: string,
    now: Instant,
    by: AskedBy,
  ): Promise<boolean | "busy"> {
    const turn = await new Promise<boolean>((called) => this.#line.push(by.address, by.name, { by, called }));
    return turn ? this.#check(hash, password, digest, now) : "busy";
  }

  async #check(hash: PasswordHash, password: Uint8Array, digest: string, now: Instant): Promise<boolean> {
    try {
      const right = await verifyPassword(hash, password);
      if (right) this.#remember(digest, hash, now);
      return right;
    } finally {
      this.#callNext();
    }
  }

  /** The place goes to the next in line for whom somebody waits, or becomes free. */
  #callNext(): void {
    for (let next = this.#line.shift(); next !== undefined; next = this.#line.shift()) {
      const gone = next.by.applicant?.closed === true;
      next.called(!gone);
      if (!gone) return;
    }
    this.#running--;
  }

  #digest(password: Uint8Array, hash: PasswordHash): string {
    return createHmac("sha256", this.#key).update(mark(hash)).update("\0").update(password).digest("base64");
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

/** What tells a slow hash from all others. */
function mark(hash: PasswordHash): Uint8Array | string {
  if (hash.kind === "scrypt") return hash.key;
  if (hash.kind === "bcrypt") return hash.text;
  return hash.kind === "stored" ? `${hash.hash} ${hash.salt}` : "";
}
