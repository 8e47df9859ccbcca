/**
 * Types for resources of objects that no definition describes. A guess can be wrong, so a definition file
 * in `xml/` always wins; without one a wrong guess is still worth more than dropped data.
 */
import { text } from "#core/lib/bytes.ts";
import { floatOf, integerOf } from "./tlv-value.ts";
import { parseFloatText, parseInteger, type ResourceType, type Value } from "./value.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what shows that it is not text
const NOT_TEXT = /[\u0000-\u0008\u000e-\u001f\u007f]/;

/** Bytes of TLV: readable text from three characters on, then floats of ordinary size, integers, else opaque. */
export function guessBinary(bytes: Uint8Array): Value {
  const readable = text(bytes);
  if (readable !== undefined && bytes.length !== 1 && bytes.length !== 2 && !NOT_TEXT.test(readable))
    return readable;
  const float = bytes.length >= 4 ? floatOf(bytes) : undefined;
  if (float !== undefined && Math.abs(float) >= 1e-4 && Math.abs(float) < 1e9) return float;
  return integerOf(bytes, true) ?? bytes;
}

/** A text payload: decimal numbers in their plain form are numbers, all else is a string. */
export function guessText(readable: string): Value {
  if (/^-?(?:0|[1-9]\d*)$/.test(readable)) return parseInteger(readable) ?? readable;
  if (/^-?(?:0|[1-9]\d*)\.\d+$/.test(readable)) return parseFloatText(readable) ?? readable;
  return readable;
}

/** The type that a value has by itself, for writes that name none. */
export function typeByValue(value: Value): ResourceType {
  switch (typeof value) {
    case "string":
      return "string";
    case "boolean":
      return "boolean";
    case "bigint":
      return "integer";
    case "number":
      return Number.isInteger(value) ? "integer" : "float";
    default:
      return value instanceof Uint8Array ? "opaque" : "objlnk";
  }
}
