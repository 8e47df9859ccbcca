/** The Markdown that the README shows. */

import { machine } from "../lib/results.mjs";
import { BUSY, CEILING_LEAST, markdownTable, number, perSecond, ratio } from "../lib/table.mjs";
import { aimsReached } from "./aims.mjs";

/** Where neither core was used up to this share, other work on the machine took the rest. */
const FREE = 0.8;

/** @typedef {{scenario: import("./scenarios.mjs").Scenario, figures: Map<string, Record<string, number>>}} Result */

/**
 * @param {Result[]} results
 * @param {import("./brokers.mjs").Broker[]} all
 * @param {import("../lib/options.mjs").Options} options
 */
export function report(results, all, options) {
  const real = all.filter((broker) => broker.name !== "null");
  const of = (/** @type {string} */ kind) => results.filter((result) => result.scenario.kind === kind);
  const parts = [
    `${options.passes} interleaved passes of ${options.seconds} s, median; TCP, MQTT 3.1.1 where nothing else is said. ${machine()}.`,
    ...real
      .filter((broker) => broker.missing)
      .map((broker) => `Left out: ${broker.label}: ${broker.missing}.`),
    section("Deliveries a second", throughputTable(of("throughput"), real)),
    section("Round trip with one message in flight, µs", latencyTable(of("latency"), real)),
    section("Connections", connectTable(of("connect"), real)),
    section(
      "Resident memory for each of 10,000 idle connections beyond 5,000, KB",
      idleTable(of("idle"), real),
    ),
    section("Aims", aimsReached(results)),
    notes(results),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

/**
 * @param {string} title
 * @param {string} table
 */
const section = (title, table) => (table === "" ? "" : `**${title}**\n\n${table}`);

/** @param {import("./brokers.mjs").Broker[]} real */
const rivals = (real) => real.filter((broker) => broker.name !== "isthmus");

/**
 * @param {Result[]} results
 * @param {import("./brokers.mjs").Broker[]} real
 */
function throughputTable(results, real) {
  if (results.length === 0) return "";
  const head = [
    "",
    ...real.map((broker) => broker.label),
    ...rivals(real).map((broker) => `ours / ${broker.name}`),
    ...real.map((broker) => `${broker.name} µs CPU`),
    "generator's ceiling",
  ];
  const rows = results.map(({ scenario, figures }) => [
    scenario.title,
    ...real.map((broker) => rateCell(figures.get(broker.name))),
    ...rivals(real).map((broker) => ratio(figures.get("isthmus")?.rate, figures.get(broker.name)?.rate)),
    ...real.map((broker) => number(figures.get(broker.name)?.brokerMicros)),
    `${perSecond(figures.get("null")?.rate)}${nearCeiling(figures) ? " §" : ""}`,
  ]);
  return markdownTable(head, rows);
}

/** @param {Map<string, Record<string, number>>} figures */
function nearCeiling(figures) {
  const ceiling = figures.get("null")?.rate ?? Number.NaN;
  return [...figures].some(([name, { rate = 0 }]) => name !== "null" && ceiling < CEILING_LEAST * rate);
}

/** @param {Record<string, number> | undefined} figures */
function rateCell(figures) {
  if (!figures) return perSecond(undefined);
  const limited = (figures.loadBusy ?? 0) > BUSY ? " ‡" : "";
  const lost = (figures.lost ?? 0) > 0 ? " †" : "";
  return `${perSecond(figures.rate)}${limited}${lost}`;
}

/**
 * @param {Result[]} results
 * @param {import("./brokers.mjs").Broker[]} real
 */
function latencyTable(results, real) {
  if (results.length === 0) return "";
  const head = [
    "",
    ...real.map((broker) => `${broker.label} p50 / p99`),
    ...rivals(real).map((broker) => `ours / ${broker.name}, p50`),
    "null broker p50 / p99",
  ];
  const pair = (/** @type {Record<string, number> | undefined} */ f) =>
    `${number(f?.p50)} / ${number(f?.p99)}`;
  const rows = results.map(({ scenario, figures }) => [
    scenario.title,
    ...real.map((broker) => pair(figures.get(broker.name))),
    ...rivals(real).map((broker) => ratio(figures.get("isthmus")?.p50, figures.get(broker.name)?.p50)),
    pair(figures.get("null")),
  ]);
  return markdownTable(head, rows);
}

/**
 * @param {Result[]} results
 * @param {import("./brokers.mjs").Broker[]} real
 */
function connectTable(results, real) {
  if (results.length === 0) return "";
  const head = [
    "",
    ...real.map((broker) => `${broker.label} a second`),
    ...rivals(real).map((broker) => `ours / ${broker.name}`),
    ...real.map((broker) => `${broker.name} µs CPU each`),
    ...real.map((broker) => `${broker.name}, with DISCONNECT`),
    "generator's ceiling",
  ];
  const rows = results.map(({ scenario, figures }) => [
    scenario.title,
    ...real.map((broker) => rateCell(figures.get(broker.name))),
    ...rivals(real).map((broker) => ratio(figures.get("isthmus")?.rate, figures.get(broker.name)?.rate)),
    ...real.map((broker) => number(figures.get(broker.name)?.brokerMicros)),
    ...real.map((broker) => number(figures.get(broker.name)?.wholeMicros)),
    `${perSecond(figures.get("null")?.rate)}${nearCeiling(figures) ? " §" : ""}`,
  ]);
  return markdownTable(head, rows);
}

/**
 * @param {Result[]} results
 * @param {import("./brokers.mjs").Broker[]} real
 */
function idleTable(results, real) {
  if (results.length === 0) return "";
  const head = [
    "",
    ...real.map((broker) => broker.label),
    ...rivals(real).map((broker) => `ours / ${broker.name}`),
    ...real.map((broker) => `${broker.name} total, MB`),
  ];
  const rows = results.map(({ scenario, figures }) => [
    scenario.title,
    ...real.map((broker) => number(figures.get(broker.name)?.perConnection)),
    ...rivals(real).map((broker) =>
      ratio(figures.get("isthmus")?.perConnection, figures.get(broker.name)?.perConnection),
    ),
    ...real.map((broker) => number(figures.get(broker.name)?.total)),
  ]);
  return markdownTable(head, rows);
}

/** @param {Result[]} results */
function notes(results) {
  const cells = results.flatMap((result) => [...result.figures].filter(([name]) => name !== "null"));
  const lines = [];
  if (cells.some(([, figures]) => (figures.loadBusy ?? 0) > BUSY && figures.rate !== undefined)) {
    lines.push("‡ the generator's core was full: the broker may be able to do more.");
  }
  if (results.some(({ figures }) => nearCeiling(figures))) {
    lines.push(
      `§ the generator's ceiling is less than ${CEILING_LEAST} times what a broker did: CPU time is the better measure.`,
    );
  }
  if (cells.some(([, figures]) => (figures.lost ?? 0) > 0)) {
    lines.push("† the broker dropped messages that the window had on their way.");
  }
  const throughput = results.filter((result) => result.scenario.kind === "throughput");
  const runs = throughput.flatMap((result) => [...result.figures.values()]);
  const disturbed = runs.filter(
    (figures) => (figures.brokerBusy ?? 1) < FREE && (figures.loadBusy ?? 1) < FREE,
  );
  if (disturbed.length * 10 > runs.length) {
    lines.push(
      `The machine had other work: in ${disturbed.length} of ${runs.length} cells neither core was fully used. ` +
        "Rates are too low there, for all brokers alike; CPU time for one delivery is the better measure.",
    );
  }
  if (throughput.length > 0) {
    lines.push(
      "W is the window: messages sent and not yet delivered at QoS 0, sent and not acknowledged by each publisher " +
        "at QoS 1 and 2. µs CPU is the broker's processor time for one delivery. The generator's ceiling is what it " +
        "drives against a null broker that parses nothing and keeps nothing, on the same cores.",
    );
  }
  return lines.join("\n");
}
