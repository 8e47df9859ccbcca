/** Where one frame ends and the next begins, in streams that no protocol of ours cuts. */
import { concat } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, type Err } from "#core/lib/result.ts";

/** Finds the ends of frames. */
export interface Framing {
  /**
   * Octets of the frame that begins at `at`, its ending counted; undefined while more is needed. `seen`: how many of
   * its octets a call before has looked at.
   */
  lengthOf(bytes: Uint8Array, at: number, end: number, seen: number): number | undefined | Err<DecodeError>;
}

/** Framing of a raw listener, both ways. */
export interface RawFraming extends Framing {
  /** What of a frame is published; undefined for a frame that says nothing. */
  content(frame: Uint8Array): Uint8Array | undefined;
  /** The frame that carries this content; undefined when no frame can. */
  frame(content: Uint8Array): Uint8Array | undefined;
}

/** As configured; see `config.ts` for the meaning of each. */
export type FramingSettings =
  | { readonly kind: "line" }
  | { readonly kind: "delimiter"; readonly delimiter: string; readonly strip: boolean }
  | { readonly kind: "fixed"; readonly size: number }
  | {
      readonly kind: "length";
      readonly offset: number;
      readonly octets: 1 | 2 | 4;
      readonly order: "big" | "little";
      readonly adjustment: number;
      readonly strip: boolean;
    };

export function rawFraming(settings: FramingSettings): RawFraming {
  switch (settings.kind) {
    case "line":
      return new Lines();
    case "delimiter":
      return new Delimited(Buffer.from(settings.delimiter, "hex"), settings.strip);
    case "fixed":
      return new Fixed(settings.size);
    case "length":
      return new LengthPrefixed(settings);
  }
}

const LF = 0x0a;
const CR = 0x0d;
const LINE_END = Uint8Array.of(LF);

/** Lines end with LF; a CR before it is no part of them. Empty lines say nothing. */
class Lines implements RawFraming {
  lengthOf(bytes: Uint8Array, at: number, end: number, seen: number): number | undefined {
    const found = bytes.indexOf(LF, at + seen);
    return found === -1 || found >= end ? undefined : found + 1 - at;
  }

  content(frame: Uint8Array): Uint8Array | undefined {
    const end = frame.length - 1;
    const line = frame.subarray(0, frame[end - 1] === CR ? end - 1 : end);
    return line.length === 0 ? undefined : line;
  }

  frame(content: Uint8Array): Uint8Array | undefined {
    return content.includes(LF) ? undefined : concat(content, LINE_END);
  }
}

/** Frames end with a delimiter; protocols that also begin with it leave an empty frame before each, which says nothing. */
class Delimited implements RawFraming {
  readonly #delimiter: Buffer;
  readonly #strip: boolean;

  constructor(delimiter: Buffer, strip: boolean) {
    this.#delimiter = delimiter;
    this.#strip = strip;
  }

  lengthOf(bytes: Uint8Array, at: number, end: number, seen: number): number | undefined {
    const from = at + Math.max(0, seen - this.#delimiter.length + 1);
    const found = Buffer.from(bytes.buffer, bytes.byteOffset, end).indexOf(this.#delimiter, from);
    return found === -1 ? undefined : found + this.#delimiter.length - at;
  }

  content(frame: Uint8Array): Uint8Array | undefined {
    const content = frame.subarray(0, frame.length - this.#delimiter.length);
    if (content.length === 0) return undefined;
    return this.#strip ? content : frame;
  }

  frame(content: Uint8Array): Uint8Array | undefined {
    if (!this.#strip) return content;
    return Buffer.from(content).includes(this.#delimiter) ? undefined : concat(content, this.#delimiter);
  }
}

/** All frames are equally long. */
class Fixed implements RawFraming {
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  lengthOf(_bytes: Uint8Array, at: number, end: number): number | undefined {
    return end - at < this.#size ? undefined : this.#size;
  }

  content(frame: Uint8Array): Uint8Array {
    return frame;
  }

  frame(content: Uint8Array): Uint8Array | undefined {
    return content.length === this.#size ? content : undefined;
  }
}

/** A field of the frame says how many octets follow it. */
class LengthPrefixed implements RawFraming {
  readonly #settings: Extract<FramingSettings, { kind: "length" }>;
  /** Octets up to and with the length field. */
  readonly #head: number;

  constructor(settings: Extract<FramingSettings, { kind: "length" }>) {
    this.#settings = settings;
    this.#head = settings.offset + settings.octets;
  }

  lengthOf(bytes: Uint8Array, at: number, end: number): number | undefined | Err<DecodeError> {
    if (end - at < this.#head) return undefined;
    const rest = this.#read(bytes, at + this.#settings.offset) + this.#settings.adjustment;
    if (rest < 0)
      return decodeError("framing.length", this.#settings.offset, "the length is less than nothing");
    return this.#head + rest;
  }

  content(frame: Uint8Array): Uint8Array {
    return this.#settings.strip ? frame.subarray(this.#head) : frame;
  }

  frame(content: Uint8Array): Uint8Array | undefined {
    if (!this.#settings.strip) return content;
    const { octets, adjustment } = this.#settings;
    const length = content.length - adjustment;
    if (length < 0 || length >= 2 ** (8 * octets)) return undefined;
    const bytes = new Uint8Array(this.#head + content.length);
    this.#write(bytes, length);
    bytes.set(content, this.#head);
    return bytes;
  }

  #read(bytes: Uint8Array, at: number): number {
    const { octets, order } = this.#settings;
    let value = 0;
    for (let index = 0; index < octets; index++) {
      value = value * 256 + (bytes[order === "big" ? at + index : at + octets - 1 - index] ?? 0);
    }
    return value;
  }

  #write(bytes: Uint8Array, length: number): void {
    const { octets, order, offset } = this.#settings;
    for (let index = 0, left = length; index < octets; index++, left = Math.floor(left / 256)) {
      bytes[order === "big" ? offset + octets - 1 - index : offset + index] = left % 256;
    }
  }
}
