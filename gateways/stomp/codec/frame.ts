import { text } from "#core/lib/bytes.ts";
import {
  type Command,
  HEADER_COUNT,
  Header,
  headerAt,
  isUserHeader,
  opensSession,
  type Version,
} from "../frames.ts";
import { badEscapeAt, unescapeText } from "./escapes.ts";

/** Numbers kept for a header: where its name starts, its colon, where its value ends, and its tag. */
const FIELDS = 4;
const NAME_ESCAPED = 1;
const VALUE_ESCAPED = 2;
const FLAGS = 3;
const NUMBER_SHIFT = 2;

const NO_BUFFER = Buffer.alloc(0);
const SPACE = 0x20;
const TAB = 0x09;

/** What of a header line held a backslash, as the decoder saw it pass. */
export const lineFlags = (inName: boolean, inValue: boolean): number =>
  (inName ? NAME_ESCAPED : 0) | (inValue ? VALUE_ESCAPED : 0);

/**
 * One frame as offsets into the bytes it came in. Headers become strings when they are asked for, and only then.
 * A decoder has one frame and fills it again and again: it is good until the next call of the decoder, except
 * for `body`, whose bytes are never changed.
 */
export class Frame {
  command: Command = "CONNECT";
  /** Whose escapes hold in the headers; undefined for none (STOMP 1.0, and CONNECT in any version). */
  escapes: Version | undefined = undefined;
  /** STOMP 1.0's own examples pad values, so they are trimmed there; STOMP 1.1 and 1.2 forbid it. */
  trims = false;
  /** Number of headers, repeated ones included. */
  count = 0;
  bodyStart = 0;
  bodyEnd = 0;
  /** Some octet of the headers is not ASCII; they are valid UTF-8 then. */
  wide = false;
  /** Some header holds a backslash. */
  #escaped = false;
  #bytes: Buffer = NO_BUFFER;
  #start = 0;
  #headers = new Int32Array(8 * FIELDS);
  /** For each header number, which header is the first of that name, or -1. */
  readonly #first = new Int16Array(HEADER_COUNT).fill(-1);

  /** Forgets the headers and begins a new frame. `version` is undefined while the session has none. */
  begin(command: Command, version: Version | undefined): void {
    this.command = command;
    this.trims = version === undefined || version === "1.0";
    this.escapes = this.trims || opensSession(command) ? undefined : version;
    this.count = 0;
    this.wide = false;
    this.#escaped = false;
    this.bodyStart = 0;
    this.bodyEnd = 0;
  }

  /** Lets go of the bytes; the frame has no headers and no body then. */
  clear(): void {
    this.count = 0;
    this.bodyStart = 0;
    this.bodyEnd = 0;
    this.#bytes = NO_BUFFER;
    this.#first.fill(-1);
  }

  /** Remembers a header line by its offsets and by what `lineFlags` says of it. */
  addLine(start: number, colon: number, end: number, flags: number): void {
    const at = this.count * FIELDS;
    if (at === this.#headers.length) {
      const grown = new Int32Array(2 * at);
      grown.set(this.#headers);
      this.#headers = grown;
    }
    this.#headers[at] = start;
    this.#headers[at + 1] = colon;
    this.#headers[at + 2] = end;
    this.#headers[at + 3] = flags;
    if (flags !== 0) this.#escaped = true;
    this.count++;
  }

  /** Says where the frame's bytes are, once its headers lie there in one piece. */
  locate(bytes: Buffer, start: number): void {
    this.#bytes = bytes;
    this.#start = start;
  }

  /** Recognises header names; the first of a name counts (STOMP 1.2 Repeated Header Entries). */
  index(): void {
    const first = this.#first;
    const headers = this.#headers;
    const bytes = this.#bytes;
    const base = this.#start;
    first.fill(-1);
    for (let header = 0; header < this.count; header++) {
      const at = header * FIELDS;
      const number = headerAt(bytes, base + (headers[at] as number), base + (headers[at + 1] as number));
      headers[at + 3] = ((headers[at + 3] as number) & FLAGS) | (number << NUMBER_SHIFT);
      if (first[number] === -1) first[number] = header;
    }
  }

  /** Offset of the first escape that this version does not define, or -1. */
  badEscapeAt(): number {
    const version = this.escapes;
    if (version === undefined || !this.#escaped) return -1;
    for (let header = 0; header < this.count; header++) {
      const at = header * FIELDS;
      if (((this.#headers[at + 3] as number) & FLAGS) === 0) continue;
      const from = this.#start + (this.#headers[at] as number);
      const end = this.#start + (this.#headers[at + 2] as number);
      const colon = this.#start + (this.#headers[at + 1] as number);
      const bad = badEscapeAt(this.#bytes, from, colon, version);
      const where = bad === -1 ? badEscapeAt(this.#bytes, colon + 1, end, version) : bad;
      if (where !== -1) return where - this.#start;
    }
    return -1;
  }

  has(number: number): boolean {
    return this.#first[number] !== -1;
  }

  /** Value of a header by its number, or `undefined` when the frame has none. */
  text(number: number): string | undefined {
    const header = this.#first[number] as number;
    return header === -1 ? undefined : this.#value(header);
  }

  /** A header that holds a decimal number, or `undefined`. Anything but one to fifteen digits is -1. */
  digits(number: number): number | undefined {
    const header = this.#first[number] as number;
    if (header === -1) return undefined;
    const bytes = this.#bytes;
    const end = this.#valueEnd(header);
    let at = this.#valueStart(header);
    if (at === end || end - at > 15) return -1;
    let value = 0;
    for (; at < end; at++) {
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) return -1;
      value = value * 10 + digit;
    }
    return value;
  }

  /** Bytes of a header's value as they stand on the wire, escapes and all; good until the next frame. */
  raw(number: number): Uint8Array | undefined {
    const header = this.#first[number] as number;
    if (header === -1) return undefined;
    return this.#view(this.#valueStart(header), this.#valueEnd(header));
  }

  /** The user headers of a SEND, first occurrences only; undefined when there are none. */
  userHeaders(): [name: string, value: string][] | undefined {
    let found: [string, string][] | undefined;
    for (let header = 0; header < this.count; header++) {
      const number = (this.#headers[header * FIELDS + 3] as number) >> NUMBER_SHIFT;
      if (!isUserHeader(number)) continue;
      const name = this.#name(header);
      found ??= [];
      if (!found.some((earlier) => earlier[0] === name)) found.push([name, this.#value(header)]);
    }
    return found;
  }

  get bodyLength(): number {
    return this.bodyEnd - this.bodyStart;
  }

  /** A view of the body. */
  body(): Uint8Array {
    return this.#view(this.#start + this.bodyStart, this.#start + this.bodyEnd);
  }

  /** No `Buffer`: its `slice` would not be a copy, and others rely on that. */
  #view(start: number, end: number): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, end - start);
  }

  #name(header: number): string {
    const at = header * FIELDS;
    const start = this.#start + (this.#headers[at] as number);
    const text = this.#decode(start, this.#start + (this.#headers[at + 1] as number));
    return ((this.#headers[at + 3] as number) & NAME_ESCAPED) === 0 ? text : this.#unescape(text);
  }

  #value(header: number): string {
    const text = this.#decode(this.#valueStart(header), this.#valueEnd(header));
    const flags = this.#headers[header * FIELDS + 3] as number;
    return (flags & VALUE_ESCAPED) === 0 ? text : this.#unescape(text);
  }

  #decode(start: number, end: number): string {
    return this.#bytes.toString(this.wide ? "utf8" : "latin1", start, end);
  }

  #unescape(text: string): string {
    return this.escapes === undefined ? text : unescapeText(text, this.escapes);
  }

  #valueStart(header: number): number {
    let at = this.#start + (this.#headers[header * FIELDS + 1] as number) + 1;
    if (!this.trims) return at;
    const end = this.#start + (this.#headers[header * FIELDS + 2] as number);
    while (at < end && isBlank(this.#bytes[at] as number)) at++;
    return at;
  }

  #valueEnd(header: number): number {
    let end = this.#start + (this.#headers[header * FIELDS + 2] as number);
    if (!this.trims) return end;
    const start = this.#start + (this.#headers[header * FIELDS + 1] as number) + 1;
    while (end > start && isBlank(this.#bytes[end - 1] as number)) end--;
    return end;
  }
}

const isBlank = (octet: number): boolean => octet === SPACE || octet === TAB;

/** The receipt that the client asked for with this frame, as it stands on the wire. CONNECT has none. */
export function receiptOf(frame: Frame): Uint8Array | undefined {
  return opensSession(frame.command) ? undefined : frame.raw(Header.receipt);
}

/** The same of a frame that failed while it was read: nothing that is itself wrong is sent back. */
export function receiptOfFailed(frame: Frame): Uint8Array | undefined {
  const receipt = receiptOf(frame);
  if (receipt === undefined || text(receipt) === undefined) return undefined;
  const version = frame.escapes;
  const sound = version === undefined || badEscapeAt(receipt, 0, receipt.length, version) === -1;
  return sound ? receipt : undefined;
}
