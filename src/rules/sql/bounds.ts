/** How much one event may be made into: what is named twice is there twice wherever it is written, compared or sent. */
import { STEPS_OF_ALL_MAX } from "../../lib/steps.ts";
import { DEPTH_MAX, isArray, RuleFailure, type Value, type ValueMap } from "../value.ts";

/** Characters, octets, and values in lists and maps, all together. */
export const WEIGHT_MAX = 32 * 1024 * 1024;
/** What functions and operators may be given and make in one run, all together, whatever comes of it in the end. */
const WORK_MAX = 4 * WEIGHT_MAX;

/** Of the run that is under way: everybody else waits for it. Runs do not nest. */
let work = 0;
let steps = 0;

export function beginRun(): void {
  work = 0;
  steps = 0;
}

function worked(weight: number): void {
  work += weight;
  if (work > WORK_MAX)
    throw new RuleFailure(`what it makes is too much: a run computes with ${WORK_MAX} characters at most`);
}

/** What a function is given: what is long takes time. */
export function charge(given: readonly Value[]): void {
  for (const value of given)
    if (typeof value === "string" || value instanceof Uint8Array) worked(value.length);
}

/** A regular expression takes so many steps; false where all of this run together take too long. */
export function mayStep(more: number): boolean {
  steps += more;
  return steps <= STEPS_OF_ALL_MAX;
}

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

/** Throws `RuleFailure` where it is more than may be, by itself or with all else of the run. */
export function bounded(value: Value): Value {
  if (typeof value !== "object" && typeof value !== "string") return value;
  const isNew = typeof value === "string" || value === null || !known.has(value);
  const weight = weightOf(value, 0);
  if (weight > WEIGHT_MAX)
    throw new RuleFailure(`what it makes is too much: ${WEIGHT_MAX} characters and values at most`);
  if (isNew) worked(weight);
  return value;
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
