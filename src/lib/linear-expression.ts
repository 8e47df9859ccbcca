import { RE2JS } from "re2js";
import { STEPS_MAX } from "./steps.ts";

const PATTERN_MAX = 2_000;
/** Instructions of a compiled expression: each character of the text costs that many steps at most. */
const PROGRAM_MAX = 5_000;

/** Linear in time whatever the expression is: it runs on what devices send. Throws `Error` that says why it is none. */
export function linearExpression(pattern: string): RE2JS {
  if (pattern.length > PATTERN_MAX) throw new Error(`an expression may have ${PATTERN_MAX} characters`);
  const made = compiled(pattern);
  if (made.programSize() > PROGRAM_MAX) throw new Error("the expression is too large");
  return made;
}

function compiled(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    throw new Error(`no regular expression of RE2: ${(error as Error).message}`);
  }
}

/** What a match may take. */
export const stepsOf = (expression: RE2JS, subject: string): number =>
  subject.length * expression.programSize();

export const isTooLongFor = (expression: RE2JS, subject: string): boolean =>
  stepsOf(expression, subject) > STEPS_MAX;
