import { NO_BYTES, utf8 } from "../lib/bytes.ts";
import { after, type Duration, type Instant, minutes } from "../lib/time.ts";
import type { Crypto } from "./crypto.ts";
import type { ClientHello } from "./handshake/client-hello.ts";
import { uint8, uint16 } from "./octets.ts";

/** Short enough that a HelloVerifyRequest is never longer than the shortest ClientHello. */
export const COOKIE_LENGTH = 20;
const SECRET_LENGTH = 32;
const SECRET_LIFETIME: Duration = minutes(5);

/** The cookies of RFC 6347 §4.2.1: nothing is remembered of those to whom one was sent. */
export class Cookies {
  readonly #crypto: Crypto;
  #secret: Uint8Array;
  #former: Uint8Array;
  #changesAt: Instant;

  constructor(crypto: Crypto, now: Instant) {
    this.#crypto = crypto;
    this.#secret = crypto.random(SECRET_LENGTH);
    this.#former = this.#secret;
    this.#changesAt = after(now, SECRET_LIFETIME);
  }

  for(address: string, hello: ClientHello, now: Instant): Uint8Array {
    this.#renew(now);
    return this.#make(this.#secret, address, hello);
  }

  /** The secret may have changed once since. */
  accepts(address: string, hello: ClientHello, now: Instant): boolean {
    this.#renew(now);
    if (hello.cookie.length !== COOKIE_LENGTH) return false;
    return [this.#secret, this.#former].some((secret) =>
      this.#crypto.equal(this.#make(secret, address, hello), hello.cookie),
    );
  }

  /**
   * Binds what must be the same in both messages, and no extension: pion adds some to the second. mbedTLS, with a
   * ticket, makes up another session id for it.
   */
  #make(secret: Uint8Array, address: string, hello: ClientHello): Uint8Array {
    const { version, random, cipherSuites, compressionMethods } = hello;
    const sessionId = hello.withTicket ? NO_BYTES : hello.sessionId;
    const parts = [
      utf8(address),
      uint8(0),
      uint16(version),
      random,
      uint8(sessionId.length),
      sessionId,
      uint16(cipherSuites.length),
      cipherSuites,
      compressionMethods,
    ];
    return this.#crypto.hmac("sha256", secret, parts).subarray(0, COOKIE_LENGTH);
  }

  #renew(now: Instant): void {
    if (now < this.#changesAt) return;
    // Silent for two lifetimes: what was given out before is too old.
    const late = now >= after(this.#changesAt, SECRET_LIFETIME);
    this.#former = late ? this.#crypto.random(SECRET_LENGTH) : this.#secret;
    this.#secret = this.#crypto.random(SECRET_LENGTH);
    this.#changesAt = after(now, SECRET_LIFETIME);
  }
}
