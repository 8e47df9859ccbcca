/** MQTT 3.1.1 throughput, latency, connections and memory, against mosquitto, NATS and aedes, and RabbitMQ where it is named. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wanted, wantedPeer } from "../lib/options.mjs";
import { LOAD_CORE, sleep, startWorker } from "../lib/processes.mjs";
import { topFunctions } from "../lib/profile.mjs";
import { interleave } from "../lib/statistics.mjs";
import { brokers, nullBroker } from "../mqtt/brokers.mjs";
import { report } from "../mqtt/report.mjs";
import { scenarios } from "../mqtt/scenarios.mjs";

/** @typedef {import("../mqtt/brokers.mjs").Broker & {port: number, process: import("../lib/processes.mjs").Started}} Running */

export const suite = {
  title: "MQTT broker",
  scenarios: () => scenarios().map((scenario) => scenario.name),
  run: (/** @type {import("../lib/options.mjs").Options} */ options) =>
    options.profile ? profile(options) : compare(options),
};

/** @param {import("../lib/options.mjs").Options} options */
async function compare(options) {
  const { results, all } = await measured(options);
  return report(results, all, options);
}

/** @param {import("../lib/options.mjs").Options} options */
export async function measured(options) {
  const all = [...brokers(), nullBroker()].filter(
    (broker) => wantedPeer(options, broker.name) && !(broker.onlyWhenNamed && options.peers.length === 0),
  );
  for (const broker of all.filter((one) => one.missing))
    console.error(`left out: ${broker.name}: ${broker.missing}`);
  const present = all.filter((broker) => !broker.missing);
  const load = await startWorker(new URL("../mqtt/load.mjs", import.meta.url), { core: LOAD_CORE });
  const chosen = scenarios().filter((scenario) => wanted(options, scenario.name));
  /** @type {Running[]} */
  const running = [];
  const results = [];
  try {
    for (const broker of present) running.push({ ...broker, ...(await broker.start()) });
    for (const scenario of chosen.filter((one) => one.kind !== "idle")) {
      results.push({ scenario, figures: await measureRunning(load, running, scenario, options) });
    }
    for (const broker of running) await broker.process.stop();
    const real = present.filter((broker) => broker.name !== "null");
    for (const scenario of chosen.filter((one) => one.kind === "idle")) {
      results.push({ scenario, figures: await measureFresh(load, real, scenario, options) });
    }
  } finally {
    for (const broker of running) await broker.process.stop();
    await load.stop();
  }
  return { results, all };
}

/**
 * @param {Awaited<ReturnType<typeof startWorker>>} load
 * @param {Running[]} running
 * @param {import("../mqtt/scenarios.mjs").Scenario} scenario
 * @param {import("../lib/options.mjs").Options} options
 */
function measureRunning(load, running, scenario, options) {
  return interleave(running, options.passes, async (broker) => {
    if (!broker.versions.includes(scenario.version) || scenario.qos > (broker.qosMost ?? 2)) return undefined;
    if (!broker.process.alive()) {
      console.error(`${broker.name} is gone:\n${broker.process.output()}`);
      return undefined;
    }
    const cell = { ...scenario, port: broker.port, pid: broker.process.pid };
    const { seconds, warmup } = options;
    try {
      const figures =
        scenario.kind === "connect"
          ? await load.call("connectRate", cell)
          : await load.call("throughput", { ...cell, seconds, warmup });
      console.error(`${scenario.name} ${broker.name}: ${brief(figures)}`);
      return figures;
    } catch (error) {
      console.error(`${scenario.name} ${broker.name} failed: ${error}`);
      return undefined;
    }
  });
}

/**
 * Memory is measured in a broker that has done nothing before.
 * @param {Awaited<ReturnType<typeof startWorker>>} load
 * @param {import("../mqtt/brokers.mjs").Broker[]} all
 * @param {import("../mqtt/scenarios.mjs").Scenario} scenario
 * @param {import("../lib/options.mjs").Options} options
 */
function measureFresh(load, all, scenario, options) {
  return interleave(all, options.quick ? 1 : Math.min(2, options.passes), async (broker) => {
    const { process: started, port } = await broker.start();
    try {
      const settle = options.quick ? 1 : 4;
      const how = {
        port,
        pid: started.pid,
        count: scenario.count,
        subscribe: scenario.subscribe,
        version: scenario.version,
        settle,
      };
      const figures = await load.call("idle", how);
      console.error(`${scenario.name} ${broker.name}: ${brief(figures)}`);
      return figures;
    } catch (error) {
      console.error(`${scenario.name} ${broker.name} failed: ${error}`);
      return undefined;
    } finally {
      await started.stop();
    }
  });
}

/** @param {Record<string, number>} figures */
function brief(figures) {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value >= 100 ? Math.round(value) : value.toFixed(2)}`)
    .join(", ");
}

/**
 * Where Isthmus spends its time: each scenario in a fresh process under V8's profiler.
 * @param {import("../lib/options.mjs").Options} options
 */
async function profile(options) {
  const isthmus = brokers().find((broker) => broker.name === (options.peers[0] ?? "isthmus"));
  if (!isthmus || isthmus.missing) throw new Error(isthmus?.missing ?? "no such broker");
  const load = await startWorker(new URL("../mqtt/load.mjs", import.meta.url), { core: LOAD_CORE });
  const parts = [];
  for (const scenario of scenarios().filter((one) => wanted(options, one.name))) {
    if (scenario.kind === "idle") continue;
    const folder = mkdtempSync(join(tmpdir(), "isthmus-profile-"));
    const { process: started, port } = await isthmus.start({ profileFolder: folder });
    const cell = { ...scenario, port, pid: started.pid };
    const warmup = scenario.kind === "connect" ? 0 : options.warmup;
    const from = process.hrtime.bigint() + BigInt(Math.round(warmup * 1e9));
    const figures =
      scenario.kind === "connect"
        ? await load.call("connectRate", cell)
        : await load.call("throughput", { ...cell, seconds: options.seconds, warmup: options.warmup });
    const to = process.hrtime.bigint();
    await sleep(100);
    await started.stop();
    const top = topFunctions(folder, { from, to });
    parts.push(
      `## ${scenario.name}: ${brief(figures)}\nprofile in ${folder}, busy ${(top.busy * 100).toFixed(0)} %`,
      ...top.rows.map((row) => `${(row.share * 100).toFixed(1).padStart(5)} %  ${row.name}  ${row.where}`),
    );
  }
  await load.stop();
  return parts.join("\n");
}
