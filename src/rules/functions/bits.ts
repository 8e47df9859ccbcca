import { exact, type Value } from "../value.ts";
import { anyWhole, choice, count, type FunctionTable, fail, octets, of, optional } from "./define.ts";

/** So far a number may be shifted: who shifts by a device's number gets no gigabyte. */
const SHIFT_MAX = 1024n;

function shifted(name: string, value: bigint, by: bigint): Value {
  if (by > SHIFT_MAX || by < -SHIFT_MAX) throw fail(name, `a number is shifted by ${SHIFT_MAX} bits at most`);
  return exact(by >= 0n ? value << by : value >> -by);
}

function bitsOf(bytes: Uint8Array, from: number, length: number): bigint {
  let bits = 0n;
  const last = from + length;
  for (let at = from - (from % 8); at < last; at += 8) bits = (bits << 8n) | BigInt(bytes[at / 8]!);
  const surplus = (8 - (last % 8)) % 8;
  return BigInt.asUintN(length, bits >> BigInt(surplus));
}

const BITS_MAX = 65_536;
const FLOAT_LENGTHS: readonly number[] = [32, 64];

function subbits(
  name: string,
  bytes: Uint8Array,
  start: number,
  length: number,
  type: "integer" | "float" | "bits",
  signed: boolean,
  little: boolean,
): Value {
  if (start < 1) throw fail(name, "bits are counted from 1");
  if (length > BITS_MAX) throw fail(name, `takes ${BITS_MAX} bits at most`);
  // Bits that are not there are none, as those behind the end of a message are.
  if (start - 1 + length > bytes.length * 8) return undefined;
  const bits = bitsOf(bytes, start - 1, length);
  if (type === "bits") return packed(bits, length);
  if (type === "float") return float(name, bits, length, little);
  const whole = little ? swapped(name, bits, length) : bits;
  return exact(signed ? BigInt.asIntN(length, whole) : whole);
}

/** The bits from the left; the last octet is filled up with zeros. */
function packed(bits: bigint, length: number): Uint8Array {
  const size = Math.ceil(length / 8);
  const padded = bits << BigInt(size * 8 - length);
  return size === 0 ? new Uint8Array(0) : Buffer.from(padded.toString(16).padStart(size * 2, "0"), "hex");
}

function swapped(name: string, bits: bigint, length: number): bigint {
  if (length % 8 !== 0) throw fail(name, "little endian numbers are whole octets");
  return BigInt(`0x0${Buffer.from(packed(bits, length)).reverse().toString("hex")}`);
}

function float(name: string, bits: bigint, length: number, little: boolean): number {
  if (!FLOAT_LENGTHS.includes(length)) throw fail(name, "a float has 32 or 64 bits");
  const bytes = packed(bits, length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return length === 32 ? view.getFloat32(0, little) : view.getFloat64(0, little);
}

const size = of([octets], (bytes) => bytes.length);

export const BITS: FunctionTable = {
  bitand: of([anyWhole, anyWhole], (left, right) => exact(left & right)),
  bitor: of([anyWhole, anyWhole], (left, right) => exact(left | right)),
  bitxor: of([anyWhole, anyWhole], (left, right) => exact(left ^ right)),
  bitnot: of([anyWhole], (value) => exact(~value)),
  bitsl: of([anyWhole, anyWhole], function (value, by) {
    return shifted(this.name, value, by);
  }),
  bitsr: of([anyWhole, anyWhole], function (value, by) {
    return shifted(this.name, value, -by);
  }),
  bitsize: of([octets], (bytes) => bytes.length * 8),
  bytesize: size,
  // As EMQX's manual spells it.
  byteszie: size,
  /** Of two values the second is the length; of more it is the start. */
  subbits: of(
    [
      octets,
      count,
      optional(count),
      optional(choice("integer", "float", "bits")),
      optional(choice("signed", "unsigned")),
      optional(choice("big", "little")),
    ],
    function (bytes, start, length, type = "integer", sign = "unsigned", order = "big") {
      const [from, bits] = length === undefined ? [1, start] : [start, length];
      return subbits(this.name, bytes, from, bits, type, sign === "signed", order === "little");
    },
  ),
};
