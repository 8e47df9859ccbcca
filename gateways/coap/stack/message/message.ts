import { text as strictText } from "#core/lib/bytes.ts";
import { codeClass, EMPTY } from "./codes.ts";
import { isCritical, Option, optionForm } from "./options.ts";

export const VERSION = 1;
/** RFC 7252 §4.1: the type of a message on a datagram transport. On a stream every message counts as CON. */
export const Type = { CON: 0, NON: 1, ACK: 2, RST: 3 } as const;
export type Type = (typeof Type)[keyof typeof Type];

export const PAYLOAD_MARKER = 0xff;
export const TOKEN_LENGTH_MAX = 8;
export const HEADER_LENGTH = 4;

/** What is wrong with a message, and what to do: `silent` whatever its type, or `format`: RST a CON. */
export interface FormatError {
  readonly reaction: "silent" | "format";
  readonly clause: string;
  readonly at: number;
  readonly problem: string;
}

const silent = (at: number, problem: string): FormatError => ({
  reaction: "silent",
  clause: "RFC 7252 §3",
  at,
  problem,
});
const format = (clause: string, at: number, problem: string): FormatError => ({
  reaction: "format",
  clause,
  at,
  problem,
});

/** Made once: a flood of broken datagrams allocates nothing. */
const PROBLEM = {
  short: silent(0, "shorter than a header"),
  version: silent(0, "version is not 1"),
  tokenLength: format("RFC 7252 §3", 0, "token length 9 to 15"),
  tokenCut: format("RFC 7252 §3", 4, "token past the end"),
  emptyWithData: format("RFC 7252 §4.1", 1, "empty message with data"),
  reservedClass: format("RFC 7252 §4.2", 1, "code of a reserved class"),
  nibble: format("RFC 7252 §3.1", 4, "option nibble 15"),
  optionCut: format("RFC 7252 §3.1", 4, "option past the end"),
  optionNumber: format("RFC 7252 §3.1", 4, "option number over 65535"),
  markerAlone: format("RFC 7252 §3", 4, "payload marker without payload"),
} as const;

const scratch = Buffer.alloc(4096);

/**
 * A message as a view on received bytes: offsets only, values are decoded when asked for. One object is
 * decoded into again and again, so nothing of it may be kept beyond the call that hands it out; copy bytes.
 */
export class CoapMessage {
  bytes: Uint8Array = scratch;
  type: Type = Type.CON;
  code = 0;
  messageId = 0;
  tokenStart = 0;
  tokenLength = 0;
  /** First byte of the payload; equals `end` when there is none. */
  payloadStart = 0;
  end = 0;
  optionCount = 0;
  /** Length of the whole message on the wire, in bytes. */
  size = 0;
  /** Number, start and length of each option, in the order of the message. */
  #options = new Int32Array(3 * 32);

  get token(): Uint8Array {
    return this.bytes.subarray(this.tokenStart, this.tokenStart + this.tokenLength);
  }

  /** Payload of this message alone; a body put together of blocks is `CoapRequest.payload`. */
  get payload(): Uint8Array {
    return this.bytes.subarray(this.payloadStart, this.end);
  }

  get confirmable(): boolean {
    return this.type === Type.CON;
  }

  numberAt(index: number): number {
    return this.#options[3 * index] as number;
  }

  startAt(index: number): number {
    return this.#options[3 * index + 1] as number;
  }

  lengthAt(index: number): number {
    return this.#options[3 * index + 2] as number;
  }

  valueAt(index: number): Uint8Array {
    const start = this.startAt(index);
    return this.bytes.subarray(start, start + this.lengthAt(index));
  }

  uintAt(index: number): number {
    let value = 0;
    const start = this.startAt(index);
    const end = start + this.lengthAt(index);
    for (let at = start; at < end; at++) value = value * 256 + (this.bytes[at] as number);
    return value;
  }

  /** Index of the first option of this number with a legal length, or -1. */
  find(number: number): number {
    for (let index = 0; index < this.optionCount; index++) {
      const found = this.numberAt(index);
      if (found > number) return -1;
      if (found === number && this.#wellFormed(index)) return index;
    }
    return -1;
  }

  has(number: number): boolean {
    return this.find(number) >= 0;
  }

  /** An unsigned integer option; undefined when absent or, being elective, of a wrong length. */
  uint(number: number): number | undefined {
    const index = this.find(number);
    return index < 0 ? undefined : this.uintAt(index);
  }

  opaque(number: number): Uint8Array | undefined {
    const index = this.find(number);
    return index < 0 ? undefined : this.valueAt(index);
  }

  /** Every value of a text option in order; undefined when one is not UTF-8. */
  strings(number: number): string[] | undefined {
    const values: string[] = [];
    for (let index = 0; index < this.optionCount; index++) {
      const found = this.numberAt(index);
      if (found > number) break;
      if (found !== number) continue;
      const value = strictText(this.valueAt(index));
      if (value === undefined) return undefined;
      values.push(value);
    }
    return values;
  }

  /** The segments of Uri-Path; undefined when one is not UTF-8. */
  path(): string[] | undefined {
    return this.strings(Option.UriPath);
  }

  /** Whether the path starts with this ASCII segment; no string is made. */
  pathStartsWith(segment: string): boolean {
    const index = this.find(Option.UriPath);
    if (index < 0) return false;
    const length = this.lengthAt(index);
    if (length !== segment.length) return false;
    const start = this.startAt(index);
    for (let at = 0; at < length; at++) if (this.bytes[start + at] !== segment.charCodeAt(at)) return false;
    return true;
  }

  pathLength(): number {
    let count = 0;
    for (let index = 0; index < this.optionCount; index++) {
      if (this.numberAt(index) === Option.UriPath) count++;
    }
    return count;
  }

  /** Path segments from `skip` on, joined by slashes: one decode in all. Undefined when not UTF-8. */
  joinedPath(skip: number): string | undefined {
    let at = 0;
    let high = 0;
    for (let index = 0, segment = 0; index < this.optionCount; index++) {
      if (this.numberAt(index) !== Option.UriPath || segment++ < skip) continue;
      const start = this.startAt(index);
      const length = this.lengthAt(index);
      if (at + length + 1 > scratch.length) return this.path()?.slice(skip).join("/");
      if (segment > skip + 1) scratch[at++] = 0x2f;
      for (let offset = 0; offset < length; offset++) {
        const byte = this.bytes[start + offset] as number;
        high |= byte;
        scratch[at++] = byte;
      }
    }
    return high < 0x80 ? scratch.toString("latin1", 0, at) : strictText(scratch.subarray(0, at));
  }

  /**
   * Index of the first critical option that must be refused: unknown, of a wrong length, or repeated where it
   * may not be (RFC 7252 §5.4.1, §5.4.3, §5.4.5). -1 when there is none.
   */
  badCriticalOption(): number {
    let previous = -1;
    for (let index = 0; index < this.optionCount; index++) {
      const number = this.numberAt(index);
      const again = number === previous;
      previous = number;
      if (!isCritical(number)) continue;
      if (!this.#wellFormed(index)) return index;
      if (again && optionForm(number)?.repeatable !== true) return index;
    }
    return -1;
  }

  #wellFormed(index: number): boolean {
    const known = optionForm(this.numberAt(index));
    if (known === undefined) return false;
    const length = this.lengthAt(index);
    if (length < known.shortest || length > known.longest) return false;
    return length > 2 || this.numberAt(index) !== Option.UriPath || !this.#isDotSegment(index);
  }

  /** RFC 7252 §5.10.1: a segment must not be "." or ".."; a client resolves them before it sends. */
  #isDotSegment(index: number): boolean {
    const length = this.lengthAt(index);
    const start = this.startAt(index);
    return length > 0 && this.bytes[start] === 0x2e && (length === 1 || this.bytes[start + 1] === 0x2e);
  }

  /**
   * Reads options and payload between `start` and `end`, which datagrams and streams have in common.
   * Undefined when all is well.
   */
  decodeBody(start: number, end: number): FormatError | undefined {
    const { bytes } = this;
    let at = start;
    let number = 0;
    let count = 0;
    this.end = end;
    this.payloadStart = end;
    this.optionCount = 0;
    while (at < end) {
      const head = bytes[at++] as number;
      if (head === PAYLOAD_MARKER) {
        if (at === end) return PROBLEM.markerAlone;
        this.payloadStart = at;
        break;
      }
      let delta = head >> 4;
      let length = head & 0x0f;
      if (delta === 15 || length === 15) return PROBLEM.nibble;
      if (delta >= 13) {
        if (at + (delta - 12) > end) return PROBLEM.optionCut;
        const wide = delta === 14;
        delta = wide ? 269 + word(bytes, at) : 13 + (bytes[at] as number);
        at += wide ? 2 : 1;
      }
      if (length >= 13) {
        if (at + (length - 12) > end) return PROBLEM.optionCut;
        const wide = length === 14;
        length = wide ? 269 + word(bytes, at) : 13 + (bytes[at] as number);
        at += wide ? 2 : 1;
      }
      number += delta;
      if (number > 0xffff) return PROBLEM.optionNumber;
      if (at + length > end) return PROBLEM.optionCut;
      if (3 * count === this.#options.length) this.#grow();
      this.#options[3 * count] = number;
      this.#options[3 * count + 1] = at;
      this.#options[3 * count + 2] = length;
      count++;
      at += length;
    }
    this.optionCount = count;
    return undefined;
  }

  /** A copy that outlives the call in which this one was received. */
  copy(): CoapMessage {
    const twin = new CoapMessage();
    const base = this.tokenStart;
    twin.bytes = Uint8Array.prototype.slice.call(this.bytes, base, this.end);
    twin.type = this.type;
    twin.code = this.code;
    twin.messageId = this.messageId;
    twin.size = this.size;
    twin.tokenLength = this.tokenLength;
    twin.payloadStart = this.payloadStart - base;
    twin.end = this.end - base;
    twin.optionCount = this.optionCount;
    twin.#options = this.#options.slice(0, 3 * this.optionCount);
    for (let index = 0; index < this.optionCount; index++) {
      twin.#options[3 * index + 1] = this.startAt(index) - base;
    }
    return twin;
  }

  /** Bounded by the message: an option takes a byte at least. */
  #grow(): void {
    const grown = new Int32Array(2 * this.#options.length);
    grown.set(this.#options);
    this.#options = grown;
  }
}

const word = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) << 8) | (bytes[at + 1] as number);

/**
 * Decodes a datagram (RFC 7252 §3) into `message`. Undefined when it is well formed. After a `format` error
 * type and message id are set, so that a CON can be reset.
 */
export function decodeDatagram(bytes: Uint8Array, message: CoapMessage): FormatError | undefined {
  const length = bytes.length;
  if (length < HEADER_LENGTH) return PROBLEM.short;
  const first = bytes[0] as number;
  if (first >> 6 !== VERSION) return PROBLEM.version;
  message.bytes = bytes;
  message.size = length;
  message.type = ((first >> 4) & 3) as Type;
  message.code = bytes[1] as number;
  message.messageId = word(bytes, 2);
  message.tokenStart = HEADER_LENGTH;
  message.tokenLength = first & 0x0f;
  if (message.code === EMPTY) {
    if (length > HEADER_LENGTH || message.tokenLength > 0) return PROBLEM.emptyWithData;
    message.optionCount = 0;
    message.payloadStart = message.end = length;
    return undefined;
  }
  if (message.tokenLength > TOKEN_LENGTH_MAX) return PROBLEM.tokenLength;
  const group = codeClass(message.code);
  if (group === 1 || group >= 6) return PROBLEM.reservedClass;
  const body = HEADER_LENGTH + message.tokenLength;
  if (body > length) return PROBLEM.tokenCut;
  return message.decodeBody(body, length);
}

/** A token as the key of a map: one character a byte. */
export function tokenKey(bytes: Uint8Array, start: number, length: number): string {
  let key = "";
  for (let at = start; at < start + length; at++) key += String.fromCharCode(bytes[at] as number);
  return key;
}

/** The token of a key. */
export const tokenOf = (key: string): Uint8Array => Buffer.from(key, "latin1");
