import type { RE2JS } from "re2js";
import { isTooLongFor, linearExpression, stepsOf } from "../../lib/linear-expression.ts";
import { mayStep } from "../sql/bounds.ts";
import { type FunctionTable, fail, OCTETS_MAX, of, text } from "./define.ts";

/** Of rules, and of texts that rules compute: the last ones are kept compiled. */
const KEPT_MAX = 256;
const kept = new Map<string, RE2JS>();

function expression(name: string, pattern: string, subject: string): RE2JS {
  const regular = kept.get(pattern) ?? compiled(name, pattern);
  if (isTooLongFor(regular, subject)) throw fail(name, "the text is too long for this expression");
  if (!mayStep(stepsOf(regular, subject)))
    throw fail(name, "the expressions of this run together take too long");
  return regular;
}

function compiled(name: string, pattern: string): RE2JS {
  try {
    const made = linearExpression(pattern);
    if (kept.size >= KEPT_MAX) kept.delete(kept.keys().next().value!);
    kept.set(pattern, made);
    return made;
  } catch (error) {
    throw fail(name, (error as Error).message);
  }
}

function replaced(name: string, regular: RE2JS, subject: string, replacement: string): string {
  const found = regular.matcher(subject);
  let made = "";
  let from = 0;
  while (found.find()) {
    const by = replacement.replace(/\\([0-9])/g, (_, group: string) =>
      Number(group) <= found.groupCount() ? (found.group(Number(group)) ?? "") : "",
    );
    made += subject.slice(from, found.start()) + by;
    if (made.length > OCTETS_MAX) throw fail(name, "the text would be too long");
    from = found.end();
  }
  return made + subject.slice(from);
}

export const REGULAR: FunctionTable = {
  regex_match: of([text, text], function (subject, pattern) {
    return expression(this.name, pattern, subject).matcher(subject).find();
  }),
  /** All matches; `\1` in the replacement is what the first group has. */
  regex_replace: of([text, text, text], function (subject, pattern, replacement) {
    return replaced(this.name, expression(this.name, pattern, subject), subject, replacement);
  }),
  /** What the groups of the first match have. */
  regex_extract: of([text, text], function (subject, pattern) {
    const found = expression(this.name, pattern, subject).matcher(subject);
    if (!found.find()) return [];
    return Array.from({ length: found.groupCount() }, (_, index) => found.group(index + 1) ?? "");
  }),
};
