import { createHmac, randomBytes } from "node:crypto";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { after, type Duration, type Instant } from "../lib/time.ts";
import type { AuthenticatorAnswer } from "../policy/authentication.ts";

type Accepted = AuthenticatorAnswer & { readonly answer: "accepted" };

/** Logins that were right, under a digest of all that they were made of; the key never leaves this process. */
export class KnownLogins {
  readonly #key = randomBytes(32);
  readonly #known = new Map<string, { readonly answer: Accepted; readonly until: Instant }>();
  readonly #limits: { readonly entries: number; readonly ttl: Duration };

  constructor(limits: { readonly entries: number; readonly ttl: Duration }) {
    this.#limits = limits;
  }

  remember(request: Credentials, peer: Peer, answer: Accepted, now: Instant): void {
    const digest = this.#digest(request, peer);
    this.#known.delete(digest);
    if (this.#known.size >= this.#limits.entries) {
      const oldest = this.#known.keys().next();
      if (oldest.done !== true) this.#known.delete(oldest.value);
    }
    this.#known.set(digest, { answer, until: after(now, this.#limits.ttl) });
  }

  forget(request: Credentials, peer: Peer): void {
    this.#known.delete(this.#digest(request, peer));
  }

  /** A login whose own end has come is not known any more. */
  find(request: Credentials, peer: Peer, now: Instant): Accepted | undefined {
    const known = this.#known.get(this.#digest(request, peer));
    if (known === undefined || known.until <= now) return undefined;
    const { expiresAt } = known.answer;
    return expiresAt !== undefined && expiresAt <= now ? undefined : known.answer;
  }

  #digest({ clientId, username, password }: Credentials, { identity }: Peer): string {
    const hmac = createHmac("sha256", this.#key);
    // JSON keeps the parts apart whatever is in them.
    hmac.update(JSON.stringify([clientId, username ?? null, identity ?? null, password === undefined]));
    return hmac.update(password ?? "").digest("base64");
  }
}
