/** The MQTT rows of Isthmus alone, under each line of Node that it runs on, in one run. */
import { installNode, OTHER_VERSIONS } from "../../support/node-versions.mjs";
import { number } from "../lib/table.mjs";
import { onOtherNode } from "../mqtt/brokers.mjs";
import { report } from "../mqtt/report.mjs";
import { measured, suite as mqtt } from "./mqtt.mjs";

/** Short cells: lines of Node are compared with each other, and a whole run is to take some eight minutes. */
const CELL = { seconds: 1, warmup: 0.4, passes: 2 };

/** How much worse another line of Node may do, by what a row measures; true where more is better. */
const AIMS = {
  throughput: { figure: "rate", within: 0.1, more: true },
  latency: { figure: "p50", within: 0.1, more: false },
  connect: { figure: "rate", within: 0.1, more: true },
  idle: { figure: "total", within: 0.15, more: false },
};

export const suite = {
  title: "Isthmus on other lines of Node",
  scenarios: mqtt.scenarios,
  run: async (/** @type {import("../lib/options.mjs").Options} */ options) => {
    for (const major of OTHER_VERSIONS) installNode(major);
    const others = OTHER_VERSIONS.map(onOtherNode);
    const shorter = {
      seconds: Math.min(options.seconds, CELL.seconds),
      warmup: Math.min(options.warmup, CELL.warmup),
      passes: Math.min(options.passes, CELL.passes),
    };
    const how = { ...options, ...shorter, peers: ["isthmus", ...others] };
    const { results, all } = await measured(how);
    const chosen = all.filter(({ name }) => how.peers.includes(name));
    return `${report(results, chosen, how)}\n\n**Rows beyond the aim**\n\n${beyond(results, others)}`;
  },
};

/**
 * @param {import("../mqtt/report.mjs").Result[]} results
 * @param {string[]} others
 */
function beyond(results, others) {
  const lines = [];
  for (const { scenario, figures } of results) {
    const { figure, within, more } = AIMS[scenario.kind];
    const here = figures.get("isthmus")?.[figure] ?? Number.NaN;
    for (const other of others) {
      const there = figures.get(other)?.[figure] ?? Number.NaN;
      const worse = more ? here / there - 1 : there / here - 1;
      if (worse <= within) continue;
      const percent = Number.isNaN(worse) ? "not measured" : `${number(100 * worse)} % worse`;
      lines.push(`- ${scenario.title}, ${other}: ${percent} (at most ${100 * within} %)`);
    }
  }
  return lines.length === 0 ? "None." : lines.join("\n");
}
