import { InternalError } from "../../lib/assert.ts";
import { writeText } from "./text.ts";

/** Room before the body for the longest fixed header: one octet and a remaining length of four. */
const HEADER_MAX = 5;
const INITIAL_SIZE = 16 * 1024;
/** Octets of a string or of binary data at most (MQTT 5 §1.5.4, §1.5.6). */
const FIELD_MAX = 0xffff;

export const variableLength = (value: number): number =>
  value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;

/**
 * Writes one packet at a time into a buffer that is used again. The body is written first, behind room for the
 * fixed header, which is put in front of it when its length is known: one pass, no counting beforehand.
 */
export class Writer {
  #bytes: Uint8Array = new Uint8Array(INITIAL_SIZE);
  #at = HEADER_MAX;
  /** The last view handed out: packets of one kind tend to be of one length. */
  #view: Uint8Array = this.#bytes.subarray(0, 0);
  #viewStart = 0;
  #overlong = false;

  begin(): void {
    this.#at = HEADER_MAX;
    this.#overlong = false;
  }

  /** A field was longer than MQTT can say, as a topic of another gateway may be: this packet cannot be sent. */
  get overlong(): boolean {
    return this.#overlong;
  }

  /** Goes back to a former `length`: what was written up to there in the last packet is kept. */
  rewind(length: number): void {
    this.#at = HEADER_MAX + length;
    this.#overlong = false;
  }

  /** Octets of body written so far. */
  get length(): number {
    return this.#at - HEADER_MAX;
  }

  octet(value: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = value;
  }

  uint16(value: number): void {
    this.#room(2);
    this.#bytes[this.#at] = value >> 8;
    this.#bytes[this.#at + 1] = value;
    this.#at += 2;
  }

  uint32(value: number): void {
    this.uint16(Math.floor(value / 0x1_0000));
    this.uint16(value & 0xffff);
  }

  variable(value: number): void {
    this.#room(4);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#at++] = rest;
  }

  string(value: string): void {
    this.#room(2 + 3 * value.length);
    const end = writeText(this.#bytes, this.#at, value);
    if (end - this.#at > 2 + FIELD_MAX) this.#overlong = true;
    this.#at = end;
  }

  binary(value: Uint8Array): void {
    if (value.length > FIELD_MAX) this.#overlong = true;
    this.uint16(value.length);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** Puts a variable byte integer in front of what was written since `mark` (a former `length`). */
  prefixLength(mark: number): void {
    const from = mark + HEADER_MAX;
    const length = this.#at - from;
    const size = variableLength(length);
    this.#room(size);
    this.#bytes.copyWithin(from + size, from, this.#at);
    const end = this.#at + size;
    this.#at = from;
    this.variable(length);
    this.#at = end;
  }

  /**
   * Ends the packet, whose payload of `following` octets is sent separately. The view is valid until the next
   * `begin`.
   */
  finish(firstOctet: number, following = 0): Uint8Array {
    if (this.#overlong) throw new InternalError("a field of more than 65,535 octets");
    const remaining = this.length + following;
    const start = HEADER_MAX - 1 - variableLength(remaining);
    const end = this.#at;
    this.#at = start;
    this.octet(firstOctet);
    this.variable(remaining);
    this.#at = end;
    if (this.#viewStart !== start || this.#view.length !== end - start) {
      this.#view = new Uint8Array(this.#bytes.buffer, start, end - start);
      this.#viewStart = start;
    }
    return this.#view;
  }

  #room(count: number): void {
    const needed = this.#at + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#viewStart = -1;
  }
}
