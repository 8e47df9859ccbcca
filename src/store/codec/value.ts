/** Values as bytes: what JSON can say, plus bytes, numbers of every kind and `undefined`. Compact, and of one form. */

/** Kinds of values. Above them a byte is a short value itself. */
const Kind = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  double: 4,
  /** Whole numbers, and those below zero as -1 - n. */
  integer: 5,
  negative: 6,
  text: 7,
  /** Text that is not well-formed Unicode: two bytes a unit. */
  units: 8,
  bytes: 9,
  list: 10,
  object: 11,
} as const;
/** A list of up to 31 values: this and its length. */
const SHORT_LIST = 0x20;
const SHORT_LIST_MAX = 0x1f;
/** A number up to 63. */
const SMALL = 0x40;
const SMALL_MAX = 0x3f;
/** A text of up to 127 bytes: this and its length. */
const SHORT_TEXT = 0x80;
const SHORT_TEXT_MAX = 0x7f;
/** What is nested deeper is no record of ours. */
const DEPTH_MAX = 64;
/** Up to this length a text, or bytes, are copied one at a time, which is quicker than a call. */
const CHARACTERS_MAX = 32;

/** Bytes that grow: what is written goes behind what is there. */
export class ByteSink {
  bytes: Buffer;
  length = 0;

  constructor(size = 16_384) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** Makes room for as many bytes. */
  need(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow((this.length + count) * 2);
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  byte(value: number): void {
    this.need(1);
    this.bytes[this.length++] = value;
  }

  /** Seven bits a byte, the lowest first; the last byte is below 128. */
  varint(value: number): void {
    this.need(8);
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.length++] = rest;
  }

  raw(bytes: Uint8Array): void {
    const { length } = bytes;
    this.need(length);
    if (length > CHARACTERS_MAX) this.bytes.set(bytes, this.length);
    else for (let index = 0; index < length; index++) this.bytes[this.length + index] = bytes[index]!;
    this.length += length;
  }
}

/** Writes a value; throws `TypeError` at what is none, and then the sink is to be cut back by the caller. */
export function encodeValue(sink: ByteSink, value: unknown, depth = 0): void {
  switch (typeof value) {
    case "number":
      writeNumber(sink, value);
      return;
    case "string":
      writeText(sink, value);
      return;
    case "boolean":
      sink.byte(value ? Kind.true : Kind.false);
      return;
    case "undefined":
      sink.byte(Kind.undefined);
      return;
    case "object":
      writeObject(sink, value, depth);
      return;
    default:
      throw new TypeError(`a store keeps no ${typeof value}`);
  }
}

function writeNumber(sink: ByteSink, value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    if (value >= 0 && value <= SMALL_MAX) sink.byte(SMALL | value);
    else {
      sink.byte(value >= 0 ? Kind.integer : Kind.negative);
      sink.varint(value >= 0 ? value : -1 - value);
    }
    return;
  }
  sink.byte(Kind.double);
  sink.need(8);
  sink.length = sink.bytes.writeDoubleLE(value, sink.length);
}

function writeText(sink: ByteSink, text: string): void {
  const { length } = text;
  if (length <= CHARACTERS_MAX && writeAscii(sink, text)) return;
  const wellFormed = text.isWellFormed();
  const size = wellFormed ? Buffer.byteLength(text) : length * 2;
  if (wellFormed && size <= SHORT_TEXT_MAX) sink.byte(SHORT_TEXT | size);
  else {
    sink.byte(wellFormed ? Kind.text : Kind.units);
    sink.varint(size);
  }
  sink.need(size);
  sink.length += sink.bytes.write(text, sink.length, wellFormed ? "utf8" : "utf16le");
}

function writeAscii(sink: ByteSink, text: string): boolean {
  const { length } = text;
  sink.need(length + 1);
  const { bytes } = sink;
  const start = sink.length + 1;
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return false;
    bytes[start + index] = code;
  }
  bytes[start - 1] = SHORT_TEXT | length;
  sink.length = start + length;
  return true;
}

function writeObject(sink: ByteSink, value: object | null, depth: number): void {
  if (value === null) sink.byte(Kind.null);
  else if (depth > DEPTH_MAX) throw new TypeError("a store keeps nothing that is nested so deep");
  else if (value instanceof Uint8Array) {
    sink.byte(Kind.bytes);
    sink.varint(value.length);
    sink.raw(value);
  } else if (Array.isArray(value)) writeList(sink, value, depth);
  else {
    const names = Object.keys(value);
    sink.byte(Kind.object);
    sink.varint(names.length);
    for (const name of names) {
      writeText(sink, name);
      encodeValue(sink, (value as Record<string, unknown>)[name], depth + 1);
    }
  }
}

function writeList(sink: ByteSink, list: readonly unknown[], depth: number): void {
  if (list.length <= SHORT_LIST_MAX) sink.byte(SHORT_LIST | list.length);
  else {
    sink.byte(Kind.list);
    sink.varint(list.length);
  }
  for (const each of list) encodeValue(sink, each, depth + 1);
}

/** Reads the value that these bytes are, all of them. Bytes within it are views. Throws where they are none. */
export function decodeValue(bytes: Buffer, from = 0, end = bytes.length): unknown {
  const source = new Source(bytes, from, end);
  const value = source.value(0);
  if (source.at !== end) throw new Error("not a value: bytes are left over");
  return value;
}

/** Reads a `varint` at a place in bytes: the value, and where it ends in `varintEnd`. */
export let varintEnd = 0;
export function readVarint(bytes: Uint8Array, from: number): number {
  let value = 0;
  let factor = 1;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]!;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) {
      varintEnd = at + 1;
      return value;
    }
    factor *= 0x80;
    if (factor > Number.MAX_SAFE_INTEGER) break;
  }
  throw new Error("not a value: a number without end");
}

class Source {
  at: number;
  readonly #bytes: Buffer;
  readonly #end: number;

  constructor(bytes: Buffer, from: number, end: number) {
    this.#bytes = bytes;
    this.at = from;
    this.#end = end;
  }

  value(depth: number): unknown {
    const kind = this.#take(1);
    const byte = this.#bytes[kind]!;
    if (byte >= SHORT_TEXT) return this.#text(byte & SHORT_TEXT_MAX);
    if (byte >= SMALL) return byte & SMALL_MAX;
    if (depth > DEPTH_MAX) throw new Error("not a value: nested too deep");
    if (byte >= SHORT_LIST) return this.#list(byte & SHORT_LIST_MAX, depth);
    return this.#long(byte, depth);
  }

  #long(kind: number, depth: number): unknown {
    switch (kind) {
      case Kind.undefined:
        return undefined;
      case Kind.null:
        return null;
      case Kind.false:
        return false;
      case Kind.true:
        return true;
      case Kind.double:
        return this.#bytes.readDoubleLE(this.#take(8));
      case Kind.integer:
        return this.#varint();
      case Kind.negative:
        return -1 - this.#varint();
      case Kind.text:
        return this.#text(this.#varint());
      case Kind.units: {
        const length = this.#varint();
        const start = this.#take(length);
        return this.#bytes.toString("utf16le", start, start + length);
      }
      case Kind.bytes: {
        const length = this.#varint();
        const start = this.#take(length);
        return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, length);
      }
      case Kind.list:
        return this.#list(this.#varint(), depth);
      case Kind.object:
        return this.#object(depth);
      default:
        throw new Error(`not a value: kind ${kind}`);
    }
  }

  #list(length: number, depth: number): unknown[] {
    // Each takes a byte at least: a length that cannot be is found before memory is taken for it.
    if (length > this.#end - this.at) throw new Error("not a value: it is cut off");
    const list: unknown[] = [];
    for (let index = 0; index < length; index++) list.push(this.value(depth + 1));
    return list;
  }

  #object(depth: number): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    for (let left = this.#varint(); left > 0; left--) {
      const name = this.value(DEPTH_MAX);
      if (typeof name !== "string") throw new Error("not a value: a name is no text");
      entries.push([name, this.value(depth + 1)]);
    }
    return Object.fromEntries(entries);
  }

  #text(length: number): string {
    const start = this.#take(length);
    return this.#bytes.toString("utf8", start, start + length);
  }

  #varint(): number {
    const value = readVarint(this.#bytes, this.at);
    this.at = varintEnd;
    if (this.at > this.#end) throw new Error("not a value: it is cut off");
    return value;
  }

  /** Where as many bytes begin. */
  #take(count: number): number {
    const start = this.at;
    if (start + count > this.#end) throw new Error("not a value: it is cut off");
    this.at = start + count;
    return start;
  }
}
