/** How cost grows with size: what one of many takes, and what an operation among them costs, in one process. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { plot } from "../growth/plot.mjs";
import { isthmusMissing } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { machine } from "../lib/results.mjs";
import { markdownTable, number } from "../lib/table.mjs";

const MEASURE = fileURLToPath(new URL("../growth/measure.mjs", import.meta.url));
const HEAP_MB = 12_000;

/** The largest of a kind, and what is done to one of them. */
const KINDS = {
  sessions: { most: 1_000_000, does: "return and leave" },
  "exact subscriptions": { most: 1_000_000, does: "publish to one" },
  "wildcard subscriptions": { most: 1_000_000, does: "publish to one" },
  "retained, one read": { most: 1_000_000, does: "read" },
  "retained, found by wildcard": { most: 1_000_000, does: "read" },
  "a queue": { most: 1_000_000, does: "add one" },
  "devices of a listener": { most: 100_000, does: "publish at QoS 1" },
};

export const suite = {
  title: "How cost grows",
  scenarios: () => Object.keys(KINDS),
  readmes: ["docs/running.md"],
  /** Written beside the results. */
  plot: "",
  run,
};

/** @param {import("../lib/options.mjs").Options} options */
async function run(options) {
  const missing = isthmusMissing();
  if (missing !== undefined) throw new Error(missing);
  const sizes = [1_000, 10_000, 100_000, ...(options.quick ? [] : [1_000_000])];
  const rows = [];
  const lines = [];
  for (const [kind, { most, does }] of Object.entries(KINDS)) {
    if (!wanted(options, kind)) continue;
    const found = sizes.filter((size) => size <= most).map((size) => ({ size, ...measured(kind, size) }));
    lines.push({
      name: `${kind}: ${does}`,
      points: found.map(({ size, microseconds }) => [size, microseconds]),
    });
    const times = sizes.map((_, index) => number(found[index]?.microseconds));
    rows.push([kind, does, ...times, number(found.at(-1)?.bytes)]);
  }
  suite.plot = plot(lines, { x: "how many there are", y: "microseconds an operation" });
  const head = ["kind", "operation, µs", ...sizes.map((size) => size.toLocaleString("en")), "bytes each"];
  const note = "Without sockets and store, in virtual time; each size in a process of its own.";
  return `${machine()}\n\n${markdownTable(head, rows)}\n\n${note}`;
}

/**
 * @param {string} kind
 * @param {number} size
 * @returns {{bytes: number, microseconds: number}}
 */
function measured(kind, size) {
  const flags = ["--expose-gc", `--max-old-space-size=${HEAP_MB}`];
  const { stdout, stderr, status } = spawnSync(process.execPath, [...flags, MEASURE, kind, String(size)], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${kind}, ${size}: ${stderr}`);
  const found = JSON.parse(stdout);
  console.error(`${kind}, ${size}: ${JSON.stringify(found)}`);
  return found;
}
