/** UTF-8 strings of MQTT: well-formed, no NUL, at most 65,535 bytes [MQTT-1.5.4-1, MQTT-1.5.4-2]. */
import { text } from "../../lib/bytes.ts";

type Slice = (this: Uint8Array, start: number, end: number) => string;
type Write = (this: Uint8Array, text: string, at: number) => number;
const { latin1Slice } = Buffer.prototype as unknown as { latin1Slice: Slice };
const { utf8Write } = Buffer.prototype as unknown as { utf8Write: Write };

/** The string in `bytes[start, end)`, or `undefined` when it is not one that MQTT allows. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string | undefined {
  let seen = 0;
  for (let at = start; at < end; at++) {
    const octet = bytes[at] as number;
    if (octet === 0) return undefined;
    seen |= octet;
  }
  if (seen < 0x80) return latin1Slice.call(bytes, start, end);
  return text(bytes.subarray(start, end));
}

/**
 * Writes a string with its two octets of length and returns the offset behind it. There must be room for
 * `2 + 3 * value.length` octets.
 */
export function writeText(bytes: Uint8Array, at: number, value: string): number {
  const length = value.length;
  const start = at + 2;
  for (let index = 0; index < length; index++) {
    const unit = value.charCodeAt(index);
    if (unit >= 0x80) return writeLength(bytes, at, utf8Write.call(bytes, value, start));
    bytes[start + index] = unit;
  }
  return writeLength(bytes, at, length);
}

function writeLength(bytes: Uint8Array, at: number, length: number): number {
  bytes[at] = length >> 8;
  bytes[at + 1] = length;
  return at + 2 + length;
}
