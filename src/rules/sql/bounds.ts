/** How much one event may be made into: what is named twice is there twice wherever it is written, compared or sent. */
import { DEPTH_MAX, isArray, RuleFailure, type Value, type ValueMap } from "../value.ts";

/** Characters, octets, and values in lists and maps, all together. */
export const WEIGHT_MAX = 32 * 1024 * 1024;

/** Of what is in others: it is looked through once, however often it is named. */
const known = new WeakMap<object, number>();

function weightOf(value: Value, depth: number): number {
  if (typeof value === "string" || value instanceof Uint8Array) return 1 + value.length;
  if (typeof value !== "object" || value === null) return 1;
  const found = known.get(value);
  if (found !== undefined) return found;
  if (depth > DEPTH_MAX) throw new RuleFailure(`values may be nested ${DEPTH_MAX} deep`);
  let weight = 1;
  if (isArray(value)) for (const each of value) weight += weightOf(each, depth + 1);
  else
    for (const key of Object.keys(value))
      weight += key.length + weightOf((value as ValueMap)[key], depth + 1);
  known.set(value, weight);
  return weight;
}

/** Throws `RuleFailure` where it is more than may be. */
export function bounded(value: Value): Value {
  if (typeof value !== "object" && typeof value !== "string") return value;
  if (weightOf(value, 0) <= WEIGHT_MAX) return value;
  throw new RuleFailure(`what it makes is too much: ${WEIGHT_MAX} characters and values at most`);
}

/** A text that the language cannot hold, or values that take the stack, fail as rules fail. */
export function withinLanguage<Made>(make: () => Made): Made {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RuleFailure("what it makes is too long, or nested too deep");
  }
}
