import { text, utf8 } from "#core/lib/bytes.ts";
import { INT64_MIN, isObjectLink, narrow, type ResourceType, type Value } from "./value.ts";

const WIDTHS: readonly number[] = [1, 2, 4, 8];

/** The value that bytes have under a type (LwM2M 1.1 Appendix C, TLV column); `undefined` when they have none. */
export function valueUnder(bytes: Uint8Array, type: ResourceType): Value | undefined {
  switch (type) {
    case "string":
    case "corelnk":
      return text(bytes);
    case "opaque":
      return bytes;
    case "integer":
    case "time":
      return integerOf(bytes, true);
    case "unsigned":
      return integerOf(bytes, false);
    case "float":
      return floatOf(bytes);
    case "boolean":
      return bytes.length === 1 && (bytes[0] as number) <= 1 ? bytes[0] === 1 : undefined;
    case "objlnk":
      return linkOf(bytes);
  }
}

/** Big-endian integers of 1, 2, 4 or 8 bytes. */
export function integerOf(bytes: Uint8Array, signed: boolean): number | bigint | undefined {
  if (!WIDTHS.includes(bytes.length)) return undefined;
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return narrow(signed ? BigInt.asIntN(8 * bytes.length, value) : value);
}

export function floatOf(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length === 4) return view.getFloat32(0);
  return bytes.length === 8 ? view.getFloat64(0) : undefined;
}

function linkOf(bytes: Uint8Array): Value | undefined {
  if (bytes.length !== 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 4);
  return { object: view.getUint16(0), instance: view.getUint16(2) };
}

/** Bytes of a value; without a type, the value's own kind decides. */
export function binaryOf(value: Value, type: ResourceType | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return utf8(value);
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  if (isObjectLink(value)) {
    return Uint8Array.of(value.object >> 8, value.object & 0xff, value.instance >> 8, value.instance & 0xff);
  }
  if (type === "float" || (typeof value === "number" && !Number.isInteger(value)))
    return floatBytes(Number(value));
  return integerBytes(BigInt(value), type !== "unsigned");
}

function integerBytes(value: bigint, signed: boolean): Uint8Array {
  for (const width of WIDTHS) {
    const fits = signed ? BigInt.asIntN(8 * width, value) : BigInt.asUintN(8 * width, value);
    if (fits === value || width === 8) return bigEndian(value, width);
  }
  return bigEndian(INT64_MIN, 8);
}

function bigEndian(value: bigint, width: number): Uint8Array {
  const bytes = new Uint8Array(width);
  for (let index = width - 1, rest = value; index >= 0; index--, rest >>= 8n)
    bytes[index] = Number(rest & 0xffn);
  return bytes;
}

/** Four bytes where they hold the number exactly, else eight. */
function floatBytes(value: number): Uint8Array {
  const short = Math.fround(value) === value || Number.isNaN(value);
  const bytes = new Uint8Array(short ? 4 : 8);
  const view = new DataView(bytes.buffer);
  if (short) view.setFloat32(0, value);
  else view.setFloat64(0, value);
  return bytes;
}
