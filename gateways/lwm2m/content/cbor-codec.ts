/**
 * CBOR (RFC 8949) as far as LwM2M uses it, with 64-bit integers as `bigint` and errors that name their byte.
 * Tags are read over but for epoch times; simple values other than false, true, null and undefined are refused.
 */
import { text } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import { narrow } from "./value.ts";

export type Cbor =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Cbor[]
  | ReadonlyMap<Cbor, Cbor>;

const CLAUSE = "RFC 8949 §3";
const DEPTH_MAX = 16;
const BREAK = Symbol("break");

export function decodeCbor(bytes: Uint8Array): Result<Cbor, DecodeError> {
  const reader = new Reader(bytes);
  try {
    const value = reader.value(0);
    if (reader.at !== bytes.length) return decodeError(CLAUSE, reader.at, "bytes after the value");
    return ok(value);
  } catch (error) {
    if (!(error instanceof NotCbor)) throw error;
    return decodeError(CLAUSE, reader.at, error.message);
  }
}

class NotCbor extends Error {}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  value(depth: number): Cbor {
    const value = this.#item(depth);
    if (value === BREAK) throw new NotCbor("a break outside an indefinite item");
    return value;
  }

  #item(depth: number): Cbor | typeof BREAK {
    if (depth > DEPTH_MAX) throw new NotCbor("nested too deeply");
    const head = this.#byte();
    const major = head >> 5;
    const detail = head & 31;
    if (major === 7) return this.#simple(detail);
    const length = detail === 31 ? undefined : this.#argument(detail);
    if (major === 0 || major === 1) return integer(major, length);
    if (major === 2) return this.#bytesOf(length, 2);
    if (major === 3) return decodedText(this.#bytesOf(length, 3));
    if (major === 4) return this.#array(length, depth);
    if (major === 5) return this.#map(length, depth);
    if (length === undefined) throw new NotCbor("a tag without a number");
    return this.value(depth + 1);
  }

  #simple(detail: number): Cbor | typeof BREAK {
    switch (detail) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
      case 23:
        return null;
      case 25:
        return halfFloat(this.#view.getUint16(this.#take(2)));
      case 26:
        return this.#view.getFloat32(this.#take(4));
      case 27:
        return this.#view.getFloat64(this.#take(8));
      case 31:
        return BREAK;
      default:
        throw new NotCbor("an unknown simple value");
    }
  }

  #argument(detail: number): bigint {
    if (detail < 24) return BigInt(detail);
    switch (detail) {
      case 24:
        return BigInt(this.#byte());
      case 25:
        return BigInt(this.#view.getUint16(this.#take(2)));
      case 26:
        return BigInt(this.#view.getUint32(this.#take(4)));
      case 27:
        return this.#view.getBigUint64(this.#take(8));
      default:
        throw new NotCbor("a reserved length");
    }
  }

  #bytesOf(length: bigint | undefined, major: number): Uint8Array {
    if (length !== undefined) return this.#slice(length);
    const parts: Uint8Array[] = [];
    for (;;) {
      const head = this.#byte();
      if (head === 0xff) return Uint8Array.from(parts.flatMap((part) => [...part]));
      if (head >> 5 !== major || (head & 31) === 31) throw new NotCbor("a chunk of another kind");
      parts.push(this.#slice(this.#argument(head & 31)));
    }
  }

  #array(length: bigint | undefined, depth: number): Cbor[] {
    const items: Cbor[] = [];
    for (let left = this.#bounded(length); left !== 0; left--) {
      const item = this.#item(depth + 1);
      if (item === BREAK) {
        if (length === undefined) return items;
        throw new NotCbor("a break inside a definite item");
      }
      items.push(item);
    }
    return items;
  }

  #map(length: bigint | undefined, depth: number): Map<Cbor, Cbor> {
    const members = new Map<Cbor, Cbor>();
    for (let left = this.#bounded(length); left !== 0; left--) {
      const key = this.#item(depth + 1);
      if (key === BREAK) {
        if (length === undefined) return members;
        throw new NotCbor("a break inside a definite item");
      }
      members.set(key, this.value(depth + 1));
    }
    return members;
  }

  /** How many items to read; -1 until a break. An item has at least one byte, so no length can be longer. */
  #bounded(length: bigint | undefined): number {
    if (length === undefined) return -1;
    if (length > BigInt(this.#bytes.length - this.at)) throw new NotCbor("more items than bytes");
    return Number(length);
  }

  #slice(length: bigint): Uint8Array {
    if (length > BigInt(this.#bytes.length - this.at)) throw new NotCbor("a string is cut off");
    const start = this.#take(Number(length));
    return this.#bytes.subarray(start, this.at);
  }

  #byte(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  #take(length: number): number {
    const start = this.at;
    if (start + length > this.#bytes.length) throw new NotCbor("cut off");
    this.at += length;
    return start;
  }
}

function integer(major: number, argument: bigint | undefined): number | bigint {
  if (argument === undefined) throw new NotCbor("an integer without end");
  return narrow(major === 0 ? argument : -1n - argument);
}

function decodedText(bytes: Uint8Array): string {
  const readable = text(bytes);
  if (readable === undefined) throw new NotCbor("a text that is not UTF-8");
  return readable;
}

/** RFC 8949 Appendix D. */
function halfFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (fraction + 1024) * 2 ** (exponent - 25);
}
