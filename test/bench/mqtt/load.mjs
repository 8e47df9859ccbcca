/** The load generator: a process of its own, asked by suites/mqtt.mjs. */
import { serve } from "../lib/serve.mjs";
import { percentile } from "../lib/statistics.mjs";
import { cpuMicros, residentKb } from "../lib/usage.mjs";
import { closeAll, open, openMany } from "./connections.mjs";
import { Flow } from "./flow.mjs";
import { ID_ROUND, PublishRing } from "./wire.mjs";

/** How long a cell may go without a delivery before it counts as stuck. */
const STUCK_MS = 1500;

/**
 * @typedef {object} Cell
 * @property {number} port
 * @property {number} pid       of the broker, whose CPU time is read; 0: not known
 * @property {4 | 5} version
 * @property {0 | 1 | 2} qos
 * @property {number} payload   octets
 * @property {number} flows     this many times publishers and subscribers, each with topics of its own
 * @property {number} publishers
 * @property {number} subscribers
 * @property {number} window
 * @property {number} seconds
 * @property {number} warmup
 */

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let cells = 0;

/** @param {Cell} cell */
async function throughput(cell) {
  const label = (++cells).toString().padStart(3, "0");
  /** @type {import("./connections.mjs").Connection[]} */
  const connections = [];
  /** @type {Flow[]} */
  const flows = [];
  for (let i = 0; i < cell.flows; i++) {
    const { flow, all } = await openFlow(cell, `b${label}f${i}`);
    flows.push(flow);
    connections.push(...all);
  }
  for (const flow of flows) flow.start();
  await sleep(cell.warmup * 1000);
  const before = snapshot(cell.pid, flows);
  await watch(flows, cell.seconds * 1000);
  const after = snapshot(cell.pid, flows);
  const stuck = flows.some((flow) => flow.missing() > 0) && after.delivered === before.delivered;
  for (const flow of flows) flow.running = false;
  await drained(flows);
  const lost = flows.reduce((sum, flow) => sum + flow.missing(), 0);
  await closeAll(connections);
  const messages = after.delivered - before.delivered;
  const micros = after.at - before.at;
  return {
    rate: stuck ? 0 : (messages / micros) * 1e6,
    lost,
    brokerMicros: (after.brokerCpu - before.brokerCpu) / messages,
    brokerBusy: (after.brokerCpu - before.brokerCpu) / micros,
    loadBusy: (after.ownCpu - before.ownCpu) / micros,
    ...latencies(flows, before.timed),
  };
}

/**
 * @param {Cell} cell
 * @param {string} name   no longer or shorter in one cell than in another, as are the topics
 */
async function openFlow(cell, name) {
  const target = { port: cell.port, version: cell.version };
  const many = cell.publishers > 1;
  const filter = many ? `${name}/+/state` : `${name}/device/state`;
  const subscribers = await openMany(cell.subscribers, () =>
    open(target, `s.${name}`, { filter, qos: cell.qos }),
  );
  const publishers = await openMany(cell.publishers, () => open(target, `p.${name}`));
  const payload = Buffer.alloc(cell.payload, "isthmus ");
  const room = many ? Math.max(cell.window * 2, 64) : ID_ROUND;
  const rings = publishers.map((_, i) => {
    const topic = many ? `${name}/${String(i).padStart(6, "0")}/state` : `${name}/device/state`;
    return new PublishRing(topic, cell.qos, payload, cell.version, room);
  });
  const flow = new Flow({ qos: cell.qos, publishers, rings, subscribers, window: cell.window });
  return { flow, all: [...subscribers, ...publishers] };
}

/**
 * @param {number} pid
 * @param {Flow[]} flows
 */
function snapshot(pid, flows) {
  const own = process.cpuUsage();
  return {
    at: performance.now() * 1000,
    delivered: flows.reduce((sum, flow) => sum + flow.delivered, 0),
    timed: flows[0]?.timed ?? 0,
    brokerCpu: cpuMicros(pid),
    ownCpu: own.user + own.system,
  };
}

/**
 * Waits, but not for a flow that stands still.
 * @param {Flow[]} flows
 * @param {number} ms
 */
async function watch(flows, ms) {
  const end = performance.now() + ms;
  let last = -1;
  let moved = performance.now();
  while (performance.now() < end) {
    await sleep(Math.min(100, Math.max(1, end - performance.now())));
    const now = flows.reduce((sum, flow) => sum + flow.delivered, 0);
    if (now !== last) moved = performance.now();
    else if (performance.now() - moved > STUCK_MS) return;
    last = now;
  }
}

/** @param {Flow[]} flows */
async function drained(flows) {
  let last = -1;
  for (;;) {
    const missing = flows.reduce((sum, flow) => sum + flow.missing(), 0);
    if (missing <= 0 || missing === last) return;
    last = missing;
    await sleep(400);
  }
}

/**
 * Microseconds of the round trips of a window of one.
 * @param {Flow[]} flows
 * @param {number} from
 */
function latencies(flows, from) {
  const flow = flows[0];
  if (!flow?.timing) return {};
  const times = flow.times.slice(from, flow.timed).sort();
  return { p50: percentile(times, 0.5) * 1000, p99: percentile(times, 0.99) * 1000 };
}

/**
 * Opens connections as fast as the broker takes them.
 * @param {{port: number, pid: number, count: number, version: 4 | 5}} how
 */
async function connectRate(how) {
  const target = { port: how.port, version: how.version };
  const cpu = cpuMicros(how.pid);
  const own = process.cpuUsage();
  const start = performance.now();
  const connections = await openMany(how.count, () => open(target, "c"));
  const micros = (performance.now() - start) * 1000;
  const used = process.cpuUsage(own);
  const brokerMicros = (cpuMicros(how.pid) - cpu) / how.count;
  await closeAll(connections);
  // Its last words are taken, and what comes of them is done.
  await sleep(300);
  const wholeMicros = (cpuMicros(how.pid) - cpu) / how.count;
  return {
    rate: (how.count / micros) * 1e6,
    brokerMicros,
    wholeMicros,
    loadBusy: (used.user + used.system) / micros,
  };
}

/**
 * Resident memory of the broker for each idle connection, in KB.
 * @param {{port: number, pid: number, count: number, subscribe: boolean, version: 4 | 5, settle: number}} how
 */
async function idle(how) {
  const target = { port: how.port, version: how.version };
  const openSome = (/** @type {string} */ role, /** @type {number} */ count) =>
    openMany(count, (i) =>
      open(target, role, how.subscribe ? { filter: `device/${role}${i}/command`, qos: 1 } : undefined),
    );
  // What the first ones load once, and let the heap grow by, is not what a connection costs.
  const first = await openSome("w", how.count / 2);
  await sleep(how.settle * 500);
  const before = residentKb(how.pid);
  const connections = await openSome("i", how.count);
  await sleep(how.settle * 1000);
  const after = residentKb(how.pid);
  await closeAll([...first, ...connections]);
  return { perConnection: (after - before) / how.count, total: after / 1024 };
}

serve({ throughput, connectRate, idle, exit: () => process.exit(0) });
