import { minutes, seconds } from "#core/lib/time.ts";
import { type Outcome, run, STORM, type Storm } from "./reconnect-storm.ts";

/** The rows of the page: what was lost, and for how long. */
export const ROWS: readonly (readonly [what: string, change: Partial<Storm>])[] = [
  ["one of two servers is killed", { lost: "one-server" }],
  ["all servers restart at once", {}],
  ["no server for 30 s", { outage: seconds(30) }],
  ["no server for 10 min", { outage: minutes(10) }],
  [
    "the same, with a tenth of the connect rate",
    { outage: minutes(10), budget: { rate: 100, parallel: 500 } },
  ],
];

export const row = (what: string, { half, most, all, attempts, peak }: Outcome): string =>
  `| ${what} | ${half.toFixed(1)} | ${most.toFixed(1)} | ${all.toFixed(1)} | ${attempts.toFixed(1)} | ${peak.toLocaleString("en")} |`;

const outcomes = new Map<Partial<Storm>, Outcome>();

/** What becomes of one of the rows; run once. */
export function outcomeOf(change: Partial<Storm>): Outcome {
  const known = outcomes.get(change) ?? run({ ...STORM, ...change });
  outcomes.set(change, known);
  return known;
}
