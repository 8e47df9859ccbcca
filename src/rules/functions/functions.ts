import { BITS } from "./bits.ts";
import { CODING } from "./coding.ts";
import { COLLECTIONS } from "./collections.ts";
import { DATES } from "./dates.ts";
import type { FunctionTable } from "./define.ts";
import { NUMBERS } from "./numbers.ts";
import { REGULAR } from "./regular.ts";
import { STRINGS } from "./strings.ts";
import { TOPICS } from "./topics.ts";
import { TYPES } from "./types.ts";

/** All functions that a rule may call, by name. */
export const FUNCTIONS: FunctionTable = {
  ...NUMBERS,
  ...TYPES,
  ...STRINGS,
  ...REGULAR,
  ...COLLECTIONS,
  ...CODING,
  ...BITS,
  ...DATES,
  ...TOPICS,
};
