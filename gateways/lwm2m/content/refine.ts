import { text } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import type { Path } from "../objects/path.ts";
import { type Entry, fits, type ResourceType, type Types, type Value } from "./value.ts";

/**
 * Makes an entry of a value whose format says roughly what it is (a number, a text, bytes): the definition
 * decides between integer, float and time, and refuses what cannot be. Unknown resources stay as sent.
 */
export function refine(
  clause: string,
  at: number,
  path: Path,
  value: Value | undefined,
  types: Types,
  time: number | undefined,
): Result<Entry, DecodeError> {
  if (path.ids.length < 3 && value !== undefined) {
    return decodeError(clause, at, `${path} is not a resource and has no value`);
  }
  const type = types.typeOf(path);
  if (value === undefined || type === undefined) return ok(entry(path, value, type, time));
  const exact = asType(value, type);
  if (!fits(exact, type)) return decodeError(clause, at, `${path} is not a valid ${type}`);
  return ok(entry(path, exact, type, time));
}

const entry = (
  path: Path,
  value: Value | undefined,
  type: ResourceType | undefined,
  time: number | undefined,
) => (time === undefined ? { path, value, type } : { path, value, type, time });

/** The few changes of kind that lose nothing. */
function asType(value: Value, type: ResourceType): Value {
  if (type === "float" && typeof value === "bigint") return Number(value);
  if (type === "string" && value instanceof Uint8Array) return text(value) ?? value;
  return value;
}
