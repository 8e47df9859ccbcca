import { put } from "../lib/own-member.ts";

/** What rules compute with. `undefined`: unset, which is not JSON's null; whole numbers beyond 2^53 are bigints. */
export type Value =
  | undefined
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Value[]
  | ValueMap;

export interface ValueMap {
  readonly [key: string]: Value;
}

/** A run of a rule that cannot go on: what an operator reads in the log. */
export class RuleFailure extends Error {
  override readonly name = "RuleFailure";
}

export const isMap = (value: Value): value is ValueMap =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

export const isArray = (value: Value): value is readonly Value[] => Array.isArray(value);

/** A member of a map; what devices send has no prototype that could be asked. */
export function member(value: Value, key: string): Value {
  return isMap(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** Sets a member of a member, making maps on the way. */
export function putAt(map: Record<string, Value>, path: readonly string[], value: Value): void {
  let at = map;
  for (let depth = 0; depth < path.length - 1; depth++) {
    const key = path[depth]!;
    const former = member(at, key);
    const next: Record<string, Value> = isMap(former) ? { ...former } : {};
    put(at, key, next);
    at = next;
  }
  put(at, path.at(-1)!, value);
}

const LENGTH_SHOWN = 40;

/** A value in a message for people. */
export function described(value: Value): string {
  if (value === undefined) return "nothing (it is not set)";
  if (value === null) return "null";
  if (typeof value === "string") return `the text '${shortened(value)}'`;
  if (value instanceof Uint8Array) return `${value.length} octets that are no text`;
  if (isArray(value)) return `a list of ${value.length}`;
  return isMap(value) ? `a map of ${Object.keys(value).length}` : String(value);
}

const shortened = (text: string): string =>
  text.length <= LENGTH_SHOWN ? text : `${text.slice(0, LENGTH_SHOWN)}...`;

/** A number as it is: a bigint only where a double does not hold it. */
export const exact = (number: bigint): number | bigint =>
  number >= BigInt(Number.MIN_SAFE_INTEGER) && number <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(number)
    : number;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const loose = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Text where octets are that, and else the octets. */
export function textOf(octets: Uint8Array): string | Uint8Array {
  try {
    return strict.decode(octets);
  } catch {
    return octets;
  }
}

export const lossyText = (octets: Uint8Array): string => loose.decode(octets);
export const octetsOf = (value: string | Uint8Array): Uint8Array =>
  typeof value === "string" ? encoder.encode(value) : value;

/** How deep values may be nested that are walked by us. */
export const DEPTH_MAX = 128;

/** As JSON: octets that are no text in base64, whole numbers with all their digits. */
export function toJson(value: Value): string {
  return isPlain(value, 0) ? (JSON.stringify(value) ?? "null") : written(value);
}

/** `JSON.stringify` writes it as it should be. */
function isPlain(value: Value, depth: number): boolean {
  if (depth > DEPTH_MAX) throw new RuleFailure(`values may be nested ${DEPTH_MAX} deep`);
  if (typeof value === "bigint") return false;
  if (typeof value !== "object" || value === null) return true;
  if (value instanceof Uint8Array) return false;
  if (isArray(value)) return value.every((each) => isPlain(each, depth + 1));
  for (const key in value) if (!isPlain(value[key], depth + 1)) return false;
  return !Object.hasOwn(value, "toJSON");
}

function written(value: Value): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString("base64")}"`;
  if (isArray(value)) return `[${value.map(written).join(",")}]`;
  const members = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{${members.map(([key, each]) => `${JSON.stringify(key)}:${written(each)}`).join(",")}}`;
}

/** Throws `RuleFailure`. */
export function fromJson(text: string): Value {
  try {
    return JSON.parse(text) as Value;
  } catch (error) {
    throw new RuleFailure(`this is no JSON: ${(error as Error).message}`);
  }
}

/** A value as text: what templates and `str` make of it. */
export function asText(value: Value): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean")
    return numberText(value);
  if (value instanceof Uint8Array) return lossyText(value);
  return value === undefined ? "undefined" : toJson(value);
}

const DECIMALS_MAX = 10;
/** From here on a double has no decimals, and `toFixed` none to give. */
const FIXED_BELOW = 1e21;

/** At most ten decimals, none that say nothing. */
function numberText(value: number | bigint | boolean): string {
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  if (!Number.isFinite(value) || Math.abs(value) >= FIXED_BELOW) return String(value);
  return String(Number(value.toFixed(DECIMALS_MAX)));
}
