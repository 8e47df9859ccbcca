/** STOMP 1.2 throughput, receipts, acknowledgements and memory, against RabbitMQ's STOMP plug-in. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wanted, wantedPeer } from "../lib/options.mjs";
import { LOAD_CORE, sleep, startWorker } from "../lib/processes.mjs";
import { topFunctions } from "../lib/profile.mjs";
import { machine } from "../lib/results.mjs";
import { interleave } from "../lib/statistics.mjs";
import { markdownTable, number, perSecond, ratio } from "../lib/table.mjs";
import { cpuMicros } from "../lib/usage.mjs";
import { brokers } from "../stomp/brokers.mjs";

const IDLE = "idle";
const IDLE_CONNECTIONS = 10_000;

/**
 * @typedef {object} Cell
 * @property {string} name
 * @property {string} label
 * @property {number} pairs
 * @property {boolean} queue
 * @property {boolean} receipt
 * @property {string} ack
 * @property {number} window   of each pair
 */
const topic = { queue: false, receipt: false, ack: "auto" };
const queue = { queue: true, receipt: false, ack: "auto" };
/** @type {Cell[]} */
const CELLS = [
  { name: "1to1", label: "1 → 1", pairs: 1, window: 1000, ...topic },
  {
    name: "1to1-receipt",
    label: "1 → 1, a receipt for each",
    pairs: 1,
    window: 1000,
    ...topic,
    receipt: true,
  },
  { name: "ping-pong", label: "1 → 1, receipts one at a time", pairs: 1, window: 1, ...topic, receipt: true },
  { name: "10to10", label: "10 → 10", pairs: 10, window: 200, ...topic },
  {
    name: "10to10-receipt",
    label: "10 → 10, a receipt for each",
    pairs: 10,
    window: 200,
    ...topic,
    receipt: true,
  },
  { name: "queue-auto", label: "queue, auto", pairs: 1, window: 1000, ...queue },
  {
    name: "queue-client",
    label: "queue, client, ACK every 50th",
    pairs: 1,
    window: 1000,
    ...queue,
    ack: "client",
  },
  {
    name: "queue-individual",
    label: "queue, client-individual, prefetch 200",
    pairs: 1,
    window: 1000,
    ...queue,
    ack: "client-individual",
  },
];

export const suite = {
  title: "STOMP server",
  scenarios: () => [...CELLS.map(({ name }) => name), IDLE],
  run: (/** @type {import("../lib/options.mjs").Options} */ options) =>
    options.profile ? profile(options) : compare(options),
};

/** @typedef {import("../stomp/brokers.mjs").Broker & import("../stomp/brokers.mjs").Running} Peer */

/** @param {import("../lib/options.mjs").Options} options */
async function compare(options) {
  const all = brokers().filter(({ name }) => wantedPeer(options, name));
  for (const { name, missing } of all) if (missing) console.error(`left out: ${name}: ${missing}`);
  const present = all.filter(({ missing }) => !missing);
  const load = await startWorker(new URL("../stomp/load.mjs", import.meta.url), { core: LOAD_CORE });
  /** @type {Peer[]} */
  const running = [];
  const parts = [machine()];
  try {
    const cells = CELLS.filter(({ name }) => wanted(options, name));
    if (cells.length > 0) {
      for (const broker of present) running.push({ ...broker, ...(await broker.start()) });
      const rows = [];
      for (const cell of cells) {
        const figures = await interleave(running, options.passes, (peer) =>
          measure(load, peer, cell, options),
        );
        rows.push(rowOf(cell, figures));
      }
      const names = present.map(({ label }) => label);
      parts.push(
        "64 octets, messages a second delivered, and CPU microseconds of the server for each.",
        markdownTable(["", ...names.flatMap((name) => [`${name}/s`, "CPU µs"]), "per CPU second"], rows),
      );
      for (const peer of running.splice(0)) await peer.stop();
    }
    if (wanted(options, IDLE)) parts.push(await idle(load, present));
    return parts.join("\n\n");
  } finally {
    for (const peer of running) await peer.stop();
    await load.stop();
  }
}

/**
 * @param {Awaited<ReturnType<typeof startWorker>>} load
 * @param {Peer} peer
 * @param {Cell} cell
 * @param {import("../lib/options.mjs").Options} options
 */
async function measure(load, peer, cell, { seconds, warmup }) {
  const before = cpuMicros(peer.pid);
  const figures = await load.call("flow", { port: peer.port, ...cell, seconds, warmup });
  const cpu = (cpuMicros(peer.pid) - before) / figures.whole;
  const all = { ...figures, cpu };
  console.error(
    `${cell.name} ${peer.name}: ${Object.entries(all)
      .map(([name, value]) => `${name} ${Number(value).toFixed(2)}`)
      .join(", ")}`,
  );
  return all;
}

/**
 * @param {Cell} cell
 * @param {Map<string, Record<string, number>>} figures
 */
function rowOf(cell, figures) {
  const columns = [...figures.values()].flatMap(({ perSecond: rate, cpu, p50 }) => [
    perSecond(rate) + (p50 === undefined ? "" : ` (${number(p50)} ms)`),
    number(cpu),
  ]);
  return [cell.label, ...columns, ratio(figures.get("rabbitmq")?.["cpu"], figures.get("isthmus")?.["cpu"])];
}

/**
 * Memory of idle connections, each in a fresh process.
 * @param {Awaited<ReturnType<typeof startWorker>>} load
 * @param {import("../stomp/brokers.mjs").Broker[]} present
 */
async function idle(load, present) {
  const row = [`${IDLE_CONNECTIONS.toLocaleString("en")} idle connections, KB each`];
  for (const broker of present) {
    const peer = await broker.start();
    try {
      await sleep(1000);
      const { perConnection } = await load.call("idle", {
        port: peer.port,
        pid: peer.pid,
        count: IDLE_CONNECTIONS,
      });
      row.push(number(perConnection));
      console.error(`idle ${broker.name}: ${perConnection.toFixed(2)} KB`);
    } finally {
      await peer.stop();
    }
  }
  return markdownTable(["", ...present.map(({ label }) => label)], [row]);
}

/** @param {import("../lib/options.mjs").Options} options */
async function profile(options) {
  const [broker] = brokers();
  const folder = mkdtempSync(join(tmpdir(), "isthmus-profile-"));
  const load = await startWorker(new URL("../stomp/load.mjs", import.meta.url), { core: LOAD_CORE });
  try {
    const running = await /** @type {import("../stomp/brokers.mjs").Broker} */ (broker).start(folder);
    for (const cell of CELLS.filter(({ name }) => wanted(options, name))) {
      await measure(load, { .../** @type {any} */ (broker), ...running }, cell, options);
    }
    await running.stop();
  } finally {
    await load.stop();
  }
  const { rows } = topFunctions(folder);
  const lines = rows.map(({ share, name, where }) => [name, where, `${(share * 100).toFixed(1)} %`]);
  return markdownTable(["function", "where", "of busy time"], lines);
}
