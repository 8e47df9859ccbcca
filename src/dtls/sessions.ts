import { concat, text, utf8 } from "../lib/bytes.ts";
import { after, type Duration, hours, type Instant } from "../lib/time.ts";
import type { Crypto } from "./crypto.ts";
import { putNumber, Reader, uint8, uint16 } from "./octets.ts";
import { MASTER_SECRET_LENGTH } from "./prf.ts";
import { type Suite, suiteById } from "./suites.ts";

/** What a handshake can be shortened with (RFC 5246 §7.3, RFC 5077). */
export interface Session {
  readonly suite: Suite;
  readonly masterSecret: Uint8Array;
  readonly extendedMasterSecret: boolean;
  readonly identity: string | undefined;
  /** The credentials that it was made with. */
  readonly stamp: string;
  readonly expiresAt: Instant;
}

const SESSION_ID_LENGTH = 16;

/** Sessions by id; beyond the limit the oldest goes. */
export class SessionCache {
  readonly #byId = new Map<string, Session>();
  readonly #crypto: Crypto;
  readonly #max: number;

  constructor(crypto: Crypto, max: number) {
    this.#crypto = crypto;
    this.#max = max;
  }

  get size(): number {
    return this.#byId.size;
  }

  newId(): Uint8Array {
    return this.#crypto.random(SESSION_ID_LENGTH);
  }

  put(id: Uint8Array, session: Session): void {
    if (this.#byId.size >= this.#max) {
      for (const oldest of this.#byId.keys()) {
        this.#byId.delete(oldest);
        break;
      }
    }
    this.#byId.set(keyOf(id), session);
  }

  get(id: Uint8Array, now: Instant): Session | undefined {
    const session = this.#byId.get(keyOf(id));
    if (session === undefined || session.expiresAt > now) return session;
    this.#byId.delete(keyOf(id));
    return undefined;
  }
}

export const keyOf = (id: Uint8Array): string => String.fromCharCode(...id);

const TICKET_KEY_LIFETIME: Duration = hours(24);
const NAME_LENGTH = 4;
const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
const KEY_LENGTH = 32;

/** Sessions that the client keeps for us, sealed. Their keys follow from a secret and the day. */
export class Tickets {
  readonly #crypto: Crypto;
  readonly #secret: Uint8Array;

  /** With a secret that outlives the process, tickets do. */
  constructor(crypto: Crypto, secret: Uint8Array) {
    this.#crypto = crypto;
    this.#secret = secret;
  }

  seal(session: Session, now: Instant): Uint8Array {
    const { suite, masterSecret, extendedMasterSecret, identity, stamp, expiresAt } = session;
    const expiry = new Uint8Array(6);
    putNumber(expiry, 0, expiresAt, 6);
    const [name, holder] = [utf8(stamp), identity === undefined ? undefined : utf8(identity)];
    const plaintext = concat(
      uint16(suite.id),
      uint8((extendedMasterSecret ? 1 : 0) | (holder === undefined ? 0 : 2)),
      expiry,
      masterSecret,
      uint8(name.length),
      name,
      holder ?? new Uint8Array(0),
    );
    const day = dayOf(now);
    const head = concat(uint16(day >>> 16), uint16(day & 0xffff), this.#crypto.random(NONCE_LENGTH));
    const ticket = new Uint8Array(head.length + plaintext.length + TAG_LENGTH);
    ticket.set(head);
    const aead = this.#crypto.aead("aes-256-gcm", this.#key(day));
    aead.seal(head.subarray(NAME_LENGTH), head.subarray(0, NAME_LENGTH), plaintext, ticket, head.length);
    return ticket;
  }

  open(ticket: Uint8Array, now: Instant): Session | undefined {
    if (ticket.length < NAME_LENGTH + NONCE_LENGTH + TAG_LENGTH) return undefined;
    const reader = new Reader(ticket);
    const day = reader.uint16() * 0x10000 + reader.uint16();
    const today = dayOf(now);
    if (day > today || today - day > DAYS_MAX) return undefined;
    const nonce = ticket.subarray(NAME_LENGTH, NAME_LENGTH + NONCE_LENGTH);
    const aead = this.#crypto.aead("aes-256-gcm", this.#key(day));
    const plaintext = aead.open(
      nonce,
      ticket.subarray(0, NAME_LENGTH),
      ticket.subarray(NAME_LENGTH + NONCE_LENGTH),
    );
    const session = plaintext === undefined ? undefined : decode(plaintext);
    return session !== undefined && session.expiresAt > now ? session : undefined;
  }

  #key(day: number): Uint8Array {
    const label = [utf8("dtls session ticket"), uint16(day >>> 16), uint16(day & 0xffff)];
    return this.#crypto.hmac("sha256", this.#secret, label).subarray(0, KEY_LENGTH);
  }
}

/** Longer lifetimes than this are cut (RFC 5246 §F.1.4 and RFC 5077 §5.6 leave it to the server). */
const DAYS_MAX = 7;
const dayOf = (now: Instant): number => Math.floor(now / TICKET_KEY_LIFETIME);

function decode(plaintext: Uint8Array): Session | undefined {
  const reader = new Reader(plaintext);
  const suite = suiteById(reader.uint16());
  const flags = reader.uint8();
  const expiresAt = (reader.uint24() * 0x1000000 + reader.uint24()) as Instant;
  const masterSecret = reader.octets(MASTER_SECRET_LENGTH);
  const stamp = text(reader.vector(1));
  const identity = text(reader.octets(reader.left));
  if (!reader.ok || suite === undefined || stamp === undefined) return undefined;
  return {
    suite,
    masterSecret,
    extendedMasterSecret: (flags & 1) !== 0,
    identity: (flags & 2) === 0 ? undefined : identity,
    stamp,
    expiresAt,
  };
}

export const expiryOf = (now: Instant, lifetime: Duration): Instant => after(now, lifetime);
