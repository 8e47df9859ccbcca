import { concat, utf8 } from "../lib/bytes.ts";
import type { Crypto, HashName } from "./crypto.ts";
import { uint16 } from "./octets.ts";
import type { SuiteCipher } from "./suites.ts";

/** RFC 5246 §5: PRF(secret, label, seed) = P_hash(secret, label + seed). */
export function prf(
  crypto: Crypto,
  hash: HashName,
  secret: Uint8Array,
  label: string,
  seed: readonly Uint8Array[],
  length: number,
): Uint8Array {
  const labelled = [utf8(label), ...seed];
  const output = new Uint8Array(length);
  let a = crypto.hmac(hash, secret, labelled);
  for (let at = 0; ; ) {
    const part = crypto.hmac(hash, secret, [a, ...labelled]);
    output.set(part.subarray(0, Math.min(part.length, length - at)), at);
    at += part.length;
    if (at >= length) return output;
    a = crypto.hmac(hash, secret, [a]);
  }
}

export const MASTER_SECRET_LENGTH = 48;
export const VERIFY_DATA_LENGTH = 12;

/** RFC 4279 §2 and RFC 5489 §2: the other secret (zeros without one), then the key, each with its length. */
export function pskPremaster(key: Uint8Array, other: Uint8Array = new Uint8Array(key.length)): Uint8Array {
  return concat(uint16(other.length), other, uint16(key.length), key);
}

/** The keys of both directions, in one piece: an idle association is little more than this. */
export interface KeyMaterial {
  readonly block: Uint8Array;
  readonly cipher: SuiteCipher;
}

export interface DirectionKeys {
  readonly mac: Uint8Array;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

const macLength = (cipher: SuiteCipher): number => (cipher.kind === "cbc" ? cipher.macLength : 0);
/** RFC 5288 §3, RFC 6655 §3: the implicit part of the nonce. CBC sends its whole IV (RFC 5246 §6.2.3.2). */
const ivLength = (cipher: SuiteCipher): number => (cipher.kind === "cbc" ? 0 : 4);

/** RFC 5246 §6.3. */
export const keyBlockLength = (cipher: SuiteCipher): number =>
  2 * (macLength(cipher) + cipher.keyLength + ivLength(cipher));

export function directionKeys({ block, cipher }: KeyMaterial, writer: "client" | "server"): DirectionKeys {
  const second = writer === "client" ? 0 : 1;
  const take = (start: number, length: number): Uint8Array =>
    block.subarray(start + second * length, start + (second + 1) * length);
  const mac = macLength(cipher);
  const iv = ivLength(cipher);
  return {
    mac: take(0, mac),
    key: take(2 * mac, cipher.keyLength),
    iv: take(2 * (mac + cipher.keyLength), iv),
  };
}
