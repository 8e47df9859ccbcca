import { PAYLOAD_MARKER, type Type, VERSION } from "./message.ts";
import type { OptionValue } from "./options.ts";

/** Room in front of options and payload for the longest header: stream length, code and token. */
const HEAD = 16;
const DATAGRAM_HEADER = 4;

/**
 * Encodes messages in one buffer that is used again and again. Options may be added in any order and are written
 * sorted (RFC 7252 §3.1), those of one number in the order of their addition. What `finish...` returns is a view
 * on that buffer, good until the next `begin`; `copy` makes it one's own.
 */
export class MessageWriter {
  #buffer = Buffer.alloc(2048);
  /** The same memory without `Buffer.slice`, which does not copy. */
  #bytes = plain(this.#buffer);
  #numbers: number[] = [];
  #values: (Uint8Array | string | number)[] = [];
  #count = 0;

  begin(): this {
    this.#count = 0;
    return this;
  }

  add(number: number, value: Uint8Array | string | number): this {
    let at = this.#count++;
    for (; at > 0 && (this.#numbers[at - 1] as number) > number; at--) {
      this.#numbers[at] = this.#numbers[at - 1] as number;
      this.#values[at] = this.#values[at - 1] as Uint8Array;
    }
    this.#numbers[at] = number;
    this.#values[at] = value;
    return this;
  }

  addAll(options: readonly OptionValue[] | undefined): this {
    if (options !== undefined) for (const each of options) this.add(each.number, each.value);
    return this;
  }

  /** A datagram (RFC 7252 §3). The token is `length` bytes of `from` at `start`. */
  datagram(
    type: Type,
    code: number,
    messageId: number,
    from: Uint8Array,
    start: number,
    length: number,
    payload: Uint8Array | undefined,
  ): Uint8Array {
    const end = this.#body(payload);
    const first = HEAD - DATAGRAM_HEADER - length;
    const buffer = this.#buffer;
    buffer[first] = (VERSION << 6) | (type << 4) | length;
    buffer[first + 1] = code;
    buffer[first + 2] = messageId >> 8;
    buffer[first + 3] = messageId & 0xff;
    for (let at = 0; at < length; at++) buffer[first + DATAGRAM_HEADER + at] = from[start + at] as number;
    return this.#bytes.subarray(first, end);
  }

  /** A message of a stream with its length in front (RFC 8323 §3.2). */
  stream(code: number, token: Uint8Array, payload: Uint8Array | undefined): Uint8Array {
    const end = this.#body(payload);
    const first = this.#framed(HEAD - token.length, end - HEAD, code, token);
    return this.#bytes.subarray(first, end);
  }

  /** A message of a WebSocket, whose length field is zero (RFC 8323 §4.3). */
  websocket(code: number, token: Uint8Array, payload: Uint8Array | undefined): Uint8Array {
    const end = this.#body(payload);
    const first = this.#framed(HEAD - token.length, 0, code, token);
    return this.#bytes.subarray(first, end);
  }

  #framed(tokenAt: number, length: number, code: number, token: Uint8Array): number {
    const buffer = this.#buffer;
    buffer.set(token, tokenAt);
    let at = tokenAt - 1;
    buffer[at--] = code;
    let nibble = length;
    if (length >= 65_805) {
      at -= 4;
      buffer.writeUInt32BE(length - 65_805, at + 1);
      nibble = 15;
    } else if (length >= 269) {
      at -= 2;
      buffer.writeUInt16BE(length - 269, at + 1);
      nibble = 14;
    } else if (length >= 13) {
      buffer[at--] = length - 13;
      nibble = 13;
    }
    buffer[at] = (nibble << 4) | token.length;
    return at;
  }

  #body(payload: Uint8Array | undefined): number {
    let at = HEAD;
    let previous = 0;
    for (let index = 0; index < this.#count; index++) {
      const number = this.#numbers[index] as number;
      at = this.#option(at, number - previous, this.#values[index] as Uint8Array);
      previous = number;
    }
    if (payload === undefined || payload.length === 0) return at;
    this.#reserve(at + 1 + payload.length);
    this.#buffer[at++] = PAYLOAD_MARKER;
    this.#buffer.set(payload, at);
    return at + payload.length;
  }

  #option(at: number, delta: number, value: Uint8Array | string | number): number {
    const length =
      typeof value === "number"
        ? uintLength(value)
        : typeof value === "string"
          ? Buffer.byteLength(value)
          : value.length;
    this.#reserve(at + 5 + length);
    const buffer = this.#buffer;
    const head = at++;
    at = this.#extend(at, delta);
    at = this.#extend(at, length);
    buffer[head] = (nibbleOf(delta) << 4) | nibbleOf(length);
    if (typeof value === "number") {
      let rest = value;
      for (let offset = length - 1; offset >= 0; offset--) {
        buffer[at + offset] = rest & 0xff;
        rest = Math.floor(rest / 256);
      }
    } else if (typeof value === "string") buffer.write(value, at);
    else buffer.set(value, at);
    return at + length;
  }

  #extend(at: number, value: number): number {
    if (value < 13) return at;
    if (value < 269) {
      this.#buffer[at] = value - 13;
      return at + 1;
    }
    this.#buffer.writeUInt16BE(value - 269, at);
    return at + 2;
  }

  #reserve(length: number): void {
    if (length <= this.#buffer.length) return;
    const grown = Buffer.alloc(Math.max(length, 2 * this.#buffer.length));
    grown.set(this.#buffer);
    this.#buffer = grown;
    this.#bytes = plain(grown);
  }
}

const plain = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
const nibbleOf = (value: number): number => (value < 13 ? value : value < 269 ? 13 : 14);

function uintLength(value: number): number {
  if (value === 0) return 0;
  if (value < 0x100) return 1;
  if (value < 0x10000) return 2;
  return value < 0x1000000 ? 3 : 4;
}

/** An own copy of a written message, as small as it can be. */
export function copy(bytes: Uint8Array): Uint8Array {
  const own = Buffer.allocUnsafe(bytes.length);
  own.set(bytes);
  return own;
}

/** ACK without a response, or RST: the four bytes of an empty message (RFC 7252 §4.1). */
export function emptyMessage(type: Type, messageId: number, into: Uint8Array): Uint8Array {
  into[0] = (VERSION << 6) | (type << 4);
  into[1] = 0;
  into[2] = messageId >> 8;
  into[3] = messageId & 0xff;
  return into;
}
