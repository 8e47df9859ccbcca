import { type Cipher, createCipheriv, timingSafeEqual } from "node:crypto";
import type { Aead } from "../dtls/crypto.ts";

const BLOCK = 16;
const NO_IV = new Uint8Array(BLOCK);

/** What is put together for one call; grows, and is the same for all keys. */
let scratch = new Uint8Array(4096);
function room(length: number): Uint8Array {
  if (scratch.length < length) scratch = new Uint8Array(2 * length);
  return scratch.fill(0, 0, length);
}

const padded = (length: number): number => Math.ceil(length / BLOCK) * BLOCK;

/**
 * CCM of RFC 3610 with two contexts of AES that are made once a key: a context of Node's own CCM serves one message,
 * and making it costs more than the message. CBC makes the MAC, its chain undone by XOR with the block before; ECB the
 * key stream. Compared with OpenSSL's CCM in test/vectors/dtls.
 */
export class CcmAead implements Aead {
  readonly #tagLength: number;
  readonly #cbc: Cipher;
  readonly #ecb: Cipher;
  /** The last block that CBC has made: what the next is chained to. */
  #chain: Uint8Array = NO_IV;

  constructor(key: Uint8Array, tagLength: 8 | 16) {
    const bits = key.length * 8;
    this.#tagLength = tagLength;
    this.#cbc = createCipheriv(`aes-${bits}-cbc`, key, NO_IV).setAutoPadding(false);
    this.#ecb = createCipheriv(`aes-${bits}-ecb`, key, null).setAutoPadding(false);
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, target: Uint8Array, at: number): void {
    const tag = this.#mac(nonce, aad, plaintext);
    const stream = this.#keyStream(nonce, plaintext.length);
    for (let index = 0; index < plaintext.length; index++) {
      target[at + index] = (plaintext[index] as number) ^ (stream[BLOCK + index] as number);
    }
    const tagAt = at + plaintext.length;
    for (let index = 0; index < this.#tagLength; index++) {
      target[tagAt + index] = (tag[index] as number) ^ (stream[index] as number);
    }
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const length = sealed.length - this.#tagLength;
    if (length < 0) return undefined;
    const stream = this.#keyStream(nonce, length);
    const plaintext = new Uint8Array(length);
    for (let index = 0; index < length; index++) {
      plaintext[index] = (sealed[index] as number) ^ (stream[BLOCK + index] as number);
    }
    const tag = this.#mac(nonce, aad, plaintext).subarray(0, this.#tagLength);
    for (let index = 0; index < this.#tagLength; index++) {
      tag[index] = (tag[index] as number) ^ (stream[index] as number);
    }
    return timingSafeEqual(tag, sealed.subarray(length)) ? plaintext : undefined;
  }

  /** RFC 3610 §2.2. */
  #mac(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const aadBlocks = aad.length === 0 ? 0 : padded(2 + aad.length);
    const length = BLOCK + aadBlocks + padded(plaintext.length);
    const blocks = room(length);
    blocks[0] = (aad.length === 0 ? 0 : 64) | (((this.#tagLength - 2) / 2) << 3) | (14 - nonce.length);
    // A nonce of 13 octets leaves two for the length (RFC 3610 §2); those of DTLS have 12.
    blocks[13] = plaintext.length >>> 16;
    blocks.set(nonce, 1);
    blocks[14] = (plaintext.length >>> 8) & 255;
    blocks[15] = plaintext.length & 255;
    if (aad.length > 0) {
      blocks[BLOCK] = aad.length >>> 8;
      blocks[BLOCK + 1] = aad.length & 255;
      blocks.set(aad, BLOCK + 2);
    }
    blocks.set(plaintext, BLOCK + aadBlocks);
    const chain = this.#chain;
    for (let index = 0; index < BLOCK; index++)
      blocks[index] = (blocks[index] as number) ^ (chain[index] as number);
    const made = this.#cbc.update(blocks.subarray(0, length));
    const last = made.subarray(length - BLOCK);
    // A copy: the tag is changed, and the rest of what was made shall not be kept.
    this.#chain = new Uint8Array(last);
    return last;
  }

  /** RFC 3610 §2.3: the block for the tag, then those for the message. */
  #keyStream(nonce: Uint8Array, length: number): Uint8Array {
    const count = 1 + Math.ceil(length / BLOCK);
    const counters = room(count * BLOCK);
    for (let block = 0; block < count; block++) {
      const at = block * BLOCK;
      counters[at] = 14 - nonce.length;
      counters[at + 13] = block >>> 16;
      counters.set(nonce, at + 1);
      counters[at + 14] = (block >>> 8) & 255;
      counters[at + 15] = block & 255;
    }
    return this.#ecb.update(counters.subarray(0, count * BLOCK));
  }
}
