import { decodeText } from "./text.ts";

/** Longer topics are decoded each time, so that a cache stays small; in bytes. */
const CACHED_LENGTH_MAX = 255;

/**
 * The last topic of one publisher, as octets and as string. Devices repeat themselves, and comparing octets is
 * several times cheaper than making a string, checking it, and hashing it again in the route lookup.
 */
export class TopicCache {
  #octets: Uint8Array | undefined = undefined;
  #length = 0;
  #topic = "";

  /** The topic in `bytes[start, end)`; `undefined` when it is not well-formed UTF-8 or holds a wildcard. */
  read(bytes: Uint8Array, start: number, end: number): string | undefined {
    const length = end - start;
    if (length === this.#length && this.#isSame(bytes, start)) return this.#topic;
    for (let at = start; at < end; at++) {
      const octet = bytes[at];
      if (octet === 0x23 || octet === 0x2b) return undefined;
    }
    const topic = decodeText(bytes, start, end);
    if (topic !== undefined && length <= CACHED_LENGTH_MAX) this.#keep(bytes, start, length, topic);
    return topic;
  }

  #isSame(bytes: Uint8Array, start: number): boolean {
    const octets = this.#octets as Uint8Array;
    for (let index = 0; index < this.#length; index++) {
      if (octets[index] !== bytes[start + index]) return false;
    }
    return this.#length > 0;
  }

  #keep(bytes: Uint8Array, start: number, length: number, topic: string): void {
    if (this.#octets === undefined || this.#octets.length < length) {
      this.#octets = new Uint8Array((length + 31) & ~31);
    }
    for (let index = 0; index < length; index++) this.#octets[index] = bytes[start + index] as number;
    this.#length = length;
    this.#topic = topic;
  }
}
