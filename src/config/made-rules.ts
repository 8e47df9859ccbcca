/** Rules that a section of the configuration becomes, as if they stood in it. */
import { topicFilterProblem } from "../bus/topic.ts";
import { isTree } from "../settings/defaults.ts";
import { valueAt } from "../settings/path.ts";
import { type Locate, problem } from "../settings/problem.ts";
import type { OverriddenValues } from "./overrides.ts";

/** What makes them: `backends.main`. */
export type Maker = readonly [section: string, name: string];

/** Lays one rule, which is named `<maker>-<what it does>`; somebody may have switched it off. */
export function layRule(
  values: OverriddenValues,
  locate: Locate,
  [section, name]: Maker,
  what: string,
  rule: { readonly sql: string; readonly actions: readonly object[] },
): void {
  const maker = `${section}.${name}`;
  const path = ["rules", `${name}-${what}`];
  const there = valueAt(values.values, path) ?? {};
  if (!isTree(there) || Object.keys(there).some((key) => key !== "enable")) {
    const says = `is there already, and ${maker} makes one of that name: expected another name`;
    values.problems.push(problem(locate, { path, says }));
    return;
  }
  const laid = { description: `Of ${maker}.`, ...rule, ...there };
  values.lay(path, laid, maker, locate([section, name]) ?? maker);
}

/** Why a topic filter of a section cannot stand in the SQL of its rules. */
export const unusableFilter = (topic: string): string | undefined =>
  topicFilterProblem(topic) ?? (/['"\\]/.test(topic) ? "a quotation mark" : undefined);
