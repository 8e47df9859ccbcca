/** Changes of the configuration, whichever request asks for them: what is refused how, and what the audit log is told. */

import { Type } from "@sinclair/typebox";
import type { ConfigProblem } from "../settings/problem.ts";
import type { Changed } from "./answers/config.ts";
import type { ConfigOutcome, ConfigWish } from "./ports.ts";
import { type FieldError, Refused } from "./problem.ts";
import { Answer, type Asked } from "./route.ts";

export const changeQuery = Type.Object({
  dryRun: Type.Optional(
    Type.Boolean({ description: "Only try it: what would change, and what that does.", default: false }),
  ),
});

/** For whoever makes a change of what is shown here. */
export const CHANGE_NOTE =
  "Tried as a whole, kept over a restart in api/configuration.json below the data folder, and laid over the configuration file, which nobody writes. `If-Match` with the `ETag` of an answer makes sure that nobody else was faster.";

type Wish = Pick<ConfigWish, never> &
  ({ patch: object } | { set: readonly string[]; value: unknown } | { unset: readonly string[] });

/** Throws `Refused`. `object`: what the audit log calls it; `within`: so many steps of a path are no part of the body. */
export async function changeConfig(
  asked: Pick<Asked, "ports" | "header" | "changed">,
  wish: Wish,
  {
    dryRun = false,
    object = "config",
    within = 0,
  }: { dryRun?: boolean; object?: string; within?: number } = {},
): Promise<Answer> {
  const { ports, header, changed } = asked;
  const match = header("if-match");
  const outcome = await ports.config.change({ ...wish, dryRun, match } as ConfigWish);
  if (!("changes" in outcome)) throw refusalOf(outcome, within, "unset" in wish);
  const { changes, warnings, version } = outcome;
  if (!dryRun) {
    const values = (side: "before" | "after") =>
      Object.fromEntries(changes.map((change) => [change.key, change[side]]));
    changed({ object, before: values("before"), after: values("after") });
  }
  const done: Readonly<Changed> = { tried: dryRun, changes: [...changes], warnings: [...warnings] };
  return new Answer(200, done, { etag: version });
}

type Refusal = Exclude<ConfigOutcome, { readonly changes: unknown }>;

/** What cannot be taken back needs something else first, and nothing of the request is wrong. */
function refusalOf(outcome: Refusal, within: number, unset: boolean): Refused {
  if ("stale" in outcome) return new Refused("changed", undefined, {}, { etag: outcome.stale });
  if ("unknown" in outcome) return new Refused("not-found", "nothing is changed there over the API");
  if ("failure" in outcome) return new Refused("conflict", outcome.failure);
  const errors = outcome.problems.map((problem) => fieldError(problem, within));
  const [first] = outcome.problems;
  if (unset) return new Refused("conflict", outcome.problems.map(withoutPlace).join("; "));
  return new Refused("invalid-request", first === undefined ? "" : withoutPlace(first), { errors });
}

/** Where it stands is where it was asked to stand. */
const withoutPlace = ({ where, message }: ConfigProblem): string =>
  where !== undefined && message.startsWith(`${where}: `) ? message.slice(where.length + 2) : message;

function fieldError(problem: ConfigProblem, within: number): FieldError {
  const { path, value, allowed, nearest } = problem;
  const fix = nearest === undefined ? allowed : `did you mean ${nearest}?`;
  const pointer = path
    .slice(within)
    .map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`);
  return {
    in: "body",
    field: pointer.join(""),
    ...(value === undefined ? {} : { value }),
    detail: withoutPlace(problem),
    ...(fix === undefined ? {} : { fix }),
  };
}
