/** text/plain, content format 0 (LwM2M 1.1 §7.4.2): one resource or resource instance. */
import { text, utf8 } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import type { Path } from "../objects/path.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { guessText } from "./guess.ts";
import {
  type Entry,
  fits,
  formatObjectLink,
  isObjectLink,
  parseFloatText,
  parseInteger,
  parseObjectLink,
  type ResourceType,
  type Types,
  type Value,
} from "./value.ts";

const CLAUSE = "LwM2M 1.1 §7.4.2";

export function decodeText(bytes: Uint8Array, path: Path, types: Types): Result<Entry[], DecodeError> {
  if (path.ids.length < 3) return decodeError(CLAUSE, 0, "plain text can carry one resource only");
  const readable = text(bytes);
  if (readable === undefined) return decodeError(CLAUSE, 0, "not UTF-8");
  const type = types.typeOf(path);
  const value = type === undefined ? guessText(readable) : parseValue(readable, type);
  if (value === undefined) return decodeError(CLAUSE, 0, `${path} is not a valid ${type}`);
  return ok([{ path, value, type }]);
}

/** Reads one value in its text form; also what a JSON command gives as a string. */
export function parseValue(readable: string, type: ResourceType): Value | undefined {
  switch (type) {
    case "string":
    case "corelnk":
      return readable;
    case "integer":
    case "unsigned":
    case "time": {
      const value = parseInteger(readable.trim());
      return value !== undefined && fits(value, type) ? value : undefined;
    }
    case "float":
      return parseFloatText(readable.trim());
    case "boolean":
      return BOOLEANS.get(readable.trim());
    case "opaque":
      return decodeBase64(readable);
    case "objlnk":
      return parseObjectLink(readable.trim());
  }
}

/** `0` and `1` by the specification; the words are what people write. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["0", false],
  ["1", true],
  ["false", false],
  ["true", true],
]);

export const encodeText = (entry: Entry): Uint8Array => utf8(formatValue(entry.value ?? ""));

function formatValue(value: Value): string {
  if (value instanceof Uint8Array) return encodeBase64(value);
  if (typeof value === "boolean") return value ? "1" : "0";
  if (isObjectLink(value)) return formatObjectLink(value);
  return typeof value === "number" ? plainDecimal(value) : value.toString();
}

/** Numbers without an exponent, which the text format does not have. */
function plainDecimal(value: number): string {
  const shortest = value.toString();
  if (!shortest.includes("e")) return shortest;
  if (Math.abs(value) >= 1) return BigInt(value).toString();
  const [digits = "", exponent = "0"] = Math.abs(value).toString().replace(".", "").split("e-");
  return `${value < 0 ? "-" : ""}0.${"0".repeat(Number(exponent) - 1)}${digits}`;
}
