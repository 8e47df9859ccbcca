import { utf8 } from "#core/lib/bytes.ts";

/** Tag of a time in seconds since the epoch (RFC 8949 §3.4.2). */
export const TAG_EPOCH_TIME = 1;

/** Writes CBOR (RFC 8949) in its shortest form, item by item. */
export class CborWriter {
  #bytes = new Uint8Array(64);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** What was written so far. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  array(length: number): this {
    return this.#head(4, BigInt(length));
  }

  map(length: number): this {
    return this.#head(5, BigInt(length));
  }

  tag(tag: number): this {
    return this.#head(6, BigInt(tag));
  }

  integer(value: number | bigint): this {
    const exact = BigInt(value);
    return exact >= 0n ? this.#head(0, exact) : this.#head(1, -1n - exact);
  }

  /** An integer where the number is one, else the shortest float that holds it. */
  number(value: number | bigint): this {
    return typeof value === "bigint" || Number.isInteger(value) ? this.integer(value) : this.float(value);
  }

  float(value: number): this {
    if (Math.fround(value) === value || Number.isNaN(value)) {
      this.#reserve(5);
      this.#view.setUint8(this.#length, 0xfa);
      this.#view.setFloat32(this.#length + 1, value);
      this.#length += 5;
      return this;
    }
    this.#reserve(9);
    this.#view.setUint8(this.#length, 0xfb);
    this.#view.setFloat64(this.#length + 1, value);
    this.#length += 9;
    return this;
  }

  boolean(value: boolean): this {
    return this.#raw(Uint8Array.of(value ? 0xf5 : 0xf4));
  }

  null(): this {
    return this.#raw(Uint8Array.of(0xf6));
  }

  text(value: string): this {
    const bytes = utf8(value);
    return this.#head(3, BigInt(bytes.length)).#raw(bytes);
  }

  data(value: Uint8Array): this {
    return this.#head(2, BigInt(value.length)).#raw(value);
  }

  #head(major: number, argument: bigint): this {
    this.#reserve(9);
    const first = major << 5;
    if (argument < 24n) {
      this.#view.setUint8(this.#length++, first | Number(argument));
    } else if (argument < 0x100n) {
      this.#view.setUint16(this.#length, ((first | 24) << 8) | Number(argument));
      this.#length += 2;
    } else if (argument < 0x10000n) {
      this.#view.setUint8(this.#length, first | 25);
      this.#view.setUint16(this.#length + 1, Number(argument));
      this.#length += 3;
    } else if (argument < 0x1_0000_0000n) {
      this.#view.setUint8(this.#length, first | 26);
      this.#view.setUint32(this.#length + 1, Number(argument));
      this.#length += 5;
    } else {
      this.#view.setUint8(this.#length, first | 27);
      this.#view.setBigUint64(this.#length + 1, argument);
      this.#length += 9;
    }
    return this;
  }

  #raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
