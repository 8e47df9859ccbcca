/** What Isthmus set out to reach, and whether this run reached it. */
import { number } from "../lib/table.mjs";

/** @typedef {Map<string, Record<string, number>>} Figures */

const rateAgainst = (/** @type {string} */ peer) => (/** @type {Figures} */ figures) =>
  (figures.get("isthmus")?.rate ?? Number.NaN) / (figures.get(peer)?.rate ?? Number.NaN);

const latencyAgainst = (/** @type {string} */ peer) => (/** @type {Figures} */ figures) =>
  (figures.get("isthmus")?.p50 ?? Number.NaN) / (figures.get(peer)?.p50 ?? Number.NaN);

/** @type {{scenario: string, value: (figures: Figures) => number, least?: number, most?: number, of: string}[]} */
const AIMS = [
  { scenario: "1to1-q0-64", value: rateAgainst("mosquitto"), least: 8, of: "times mosquitto" },
  { scenario: "1to1-q1-64", value: rateAgainst("mosquitto"), least: 5, of: "times mosquitto" },
  { scenario: "fan-out-q0-64", value: rateAgainst("mosquitto"), least: 3, of: "times mosquitto" },
  { scenario: "fan-in-q1-64", value: rateAgainst("mosquitto"), least: 1, of: "times mosquitto" },
  {
    scenario: "ping-pong-q0-64",
    value: latencyAgainst("mosquitto"),
    most: 1.5,
    of: "times mosquitto, median",
  },
  {
    scenario: "idle-subscribed",
    value: (figures) => figures.get("isthmus")?.perConnection ?? Number.NaN,
    most: 8,
    of: "KB a connection",
  },
  ...[
    "1to1-q0-64",
    "1to1-q1-64",
    "1to1-q2-64",
    "10to10-q0-64",
    "10to10-q1-64",
    "fan-out-q0-64",
    "fan-out-q1-64",
  ].map((scenario) => ({ scenario, value: rateAgainst("aedes"), least: 5, of: "times aedes" })),
];

/** @param {import("./report.mjs").Result[]} results */
export function aimsReached(results) {
  const lines = [];
  for (const { scenario, value, least, most, of } of AIMS) {
    const result = results.find((one) => one.scenario.name === scenario);
    if (!result) continue;
    const reached = value(result.figures);
    if (Number.isNaN(reached)) continue;
    const aim = least === undefined ? `at most ${most}` : `at least ${least}`;
    const met = least === undefined ? reached <= (most ?? 0) : reached >= least;
    lines.push(
      `- ${result.scenario.title}: ${number(reached)}, ${met ? "reached" : "missed"} (${aim} ${of})`,
    );
  }
  return lines.join("\n");
}
