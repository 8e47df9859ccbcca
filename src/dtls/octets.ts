import { NO_BYTES } from "../lib/bytes.ts";

/**
 * Reads the vectors of RFC 5246 §4. Reading past the end yields zeros and nothing, and marks the whole as failed, so
 * that a decoder looks once, at its end.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  #at: number;
  #failed = false;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** Everything that was asked for was there. */
  get ok(): boolean {
    return !this.#failed;
  }

  /** Everything was there, and nothing more. */
  get complete(): boolean {
    return !this.#failed && this.#at === this.#bytes.length;
  }

  uint8(): number {
    return this.#number(1);
  }

  uint16(): number {
    return this.#number(2);
  }

  uint24(): number {
    return this.#number(3);
  }

  /** A view of the next octets. */
  octets(length: number): Uint8Array {
    if (this.left < length) {
      this.#failed = true;
      return NO_BYTES;
    }
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** A vector with a length of so many octets in front. */
  vector(lengthOctets: 1 | 2 | 3): Uint8Array {
    return this.octets(this.#number(lengthOctets));
  }

  /** Marks the whole as failed: what was read makes no sense. */
  fail(): void {
    this.#failed = true;
  }

  #number(octets: number): number {
    if (this.left < octets) {
      this.#failed = true;
      this.#at = this.#bytes.length;
      return 0;
    }
    let value = 0;
    for (let index = 0; index < octets; index++) value = value * 256 + (this.#bytes[this.#at++] as number);
    return value;
  }
}

/** Numbers of a vector of two octets each. */
export function uint16s(bytes: Uint8Array): readonly number[] | undefined {
  if (bytes.length % 2 !== 0) return undefined;
  const values: number[] = [];
  for (let index = 0; index < bytes.length; index += 2) {
    values.push(((bytes[index] as number) << 8) | (bytes[index + 1] as number));
  }
  return values;
}

export const uint8 = (value: number): Uint8Array => Uint8Array.of(value);
export const uint16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
export const uint24 = (value: number): Uint8Array =>
  Uint8Array.of(value >> 16, (value >> 8) & 255, value & 255);

/** Writes a number of up to 48 bits, the most significant octet first. */
export function putNumber(target: Uint8Array, at: number, value: number, octets: number): void {
  let rest = value;
  for (let index = at + octets - 1; index >= at; index--) {
    target[index] = rest & 255;
    rest = Math.floor(rest / 256);
  }
}
