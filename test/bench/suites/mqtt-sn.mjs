/** MQTT-SN 1.2: exchanges, latency, loss, sleeping devices. Counted by an MQTT subscriber, not by acknowledgements. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { wanted, wantedPeer } from "../lib/options.mjs";
import {
  BROKER_CORE,
  freePort,
  freeUdpPort,
  LOAD_CORE,
  startProcess,
  startWorker,
} from "../lib/processes.mjs";
import { topFunctions } from "../lib/profile.mjs";
import { machine } from "../lib/results.mjs";
import { interleave } from "../lib/statistics.mjs";
import {
  CEILING_LEAST,
  GENERATOR_NOTE,
  generatorCore,
  markdownTable,
  number,
  perSecond,
  ratio,
} from "../lib/table.mjs";
import { cpuMicros } from "../lib/usage.mjs";

/**
 * @typedef {object} Cell
 * @property {string} name
 * @property {string} label
 * @property {"closedLoop" | "paced" | "unacknowledged"} method
 * @property {number} clients
 * @property {number} [rate]
 * @property {string} aim
 */
/** @type {Cell[]} */
const CELLS = [
  { name: "closed-1", label: "QoS 1, 1 client", method: "closedLoop", clients: 1, aim: "p50 < 0.15 ms" },
  {
    name: "closed-100",
    label: "QoS 1, 100 clients",
    method: "closedLoop",
    clients: 100,
    aim: "1.6 × batches off",
  },
  {
    name: "closed-1000",
    label: "QoS 1, 1,000 clients",
    method: "closedLoop",
    clients: 1000,
    aim: "none lost",
  },
  {
    name: "paced-1000",
    label: "QoS 1, 1,000 clients at 12 k/s",
    method: "paced",
    clients: 1000,
    rate: 12_000,
    aim: "p99 < 2.6 ms",
  },
  {
    name: "qos0-25k",
    label: "QoS 0, 100 clients at 25 k/s",
    method: "unacknowledged",
    clients: 100,
    rate: 25_000,
    aim: "none lost",
  },
];
const SLEEPERS = "sleepers";
/** A peer: the gateway itself, with a system call for each datagram. */
const UNBATCHED = "batches off";
const NOTES = [
  `"${UNBATCHED}" is the gateway with a system call for each datagram (\`udp.batches: false\`), which it was before it took them in batches.`,
  `§ the generator's ceiling is less than ${CEILING_LEAST} times what was measured. ${GENERATOR_NOTE}`,
].join("\n");

export const suite = {
  title: "MQTT-SN gateway",
  scenarios: () => [...CELLS.map((cell) => cell.name), SLEEPERS],
  run,
};

/** @typedef {{name: string, port: number, mqttPort?: number, process: import("../lib/processes.mjs").Started}} Peer */

/** @returns {Promise<Peer>} */
async function isthmus({
  name = "isthmus",
  profileFolder = /** @type {string | undefined} */ (undefined),
} = {}) {
  const [port, mqttPort] = [await freeUdpPort(), await freePort()];
  const started = await startIsthmus({
    set: [
      ...onlyGateway("mqtt-sn", "mqtt"),
      "gateways.mqtt.listeners.tcp.bind=127.0.0.1",
      `gateways.mqtt.listeners.tcp.port=${mqttPort}`,
      "gateways.mqtt.listeners.ws.enable=false",
      "gateways.mqtt-sn.listeners.udp.bind=127.0.0.1",
      `gateways.mqtt-sn.listeners.udp.port=${port}`,
      "gateways.mqtt-sn.listeners.udp.limits.connectionRate=unlimited",
      "gateways.mqtt-sn.listeners.udp.limits.connections=200000",
      `gateways.mqtt-sn.listeners.udp.udp.batches=${name !== UNBATCHED}`,
      // What a device costs is what its objects cost; the pages of a store on disk are the kernel's to keep or drop.
      "store.engine=memory",
      "session.sessions=200000",
      "session.queue.messages=100000",
      "session.queue.bytes=256MB",
    ],
    tcpPort: mqttPort,
    ...(profileFolder === undefined ? {} : { profileFolder }),
  });
  return { name, port, mqttPort, process: started };
}

/** @returns {Promise<Peer>} */
async function nullGateway() {
  const port = await freeUdpPort();
  const program = fileURLToPath(new URL("../peers/null-mqtt-sn.mjs", import.meta.url));
  const started = await startProcess("null", [process.execPath, program, String(port)], {
    core: BROKER_CORE,
    line: /ready/,
  });
  return { name: "null", port, process: started };
}

/** @param {import("../lib/options.mjs").Options} options */
async function run(options) {
  const missing = isthmusMissing();
  if (missing !== undefined) throw new Error(missing);
  if (options.profile) return profile(options);
  const load = await startWorker(new URL("../mqtt-sn/load.mjs", import.meta.url), { core: LOAD_CORE });
  /** @type {Peer[]} */
  const peers = [];
  try {
    if (wantedPeer(options, "isthmus")) peers.push(await isthmus());
    if (wantedPeer(options, UNBATCHED)) peers.push(await isthmus({ name: UNBATCHED }));
    if (wantedPeer(options, "null")) peers.push(await nullGateway());
    const rows = [];
    for (const cell of CELLS.filter(({ name }) => wanted(options, name))) {
      rows.push(rowOf(cell, await measure(load, peers, cell, options)));
    }
    const head = [
      "",
      "exchanges/s",
      "p50 ms",
      "p99 ms",
      "CPU us each",
      "repeats or lost",
      ...[`${UNBATCHED}/s`, "CPU us each", "ours / that", "CPU"],
      ...["generator's core", "generator's ceiling/s", "aim"],
    ];
    const parts = rows.length > 0 ? [markdownTable(head, rows), NOTES] : [];
    for (const peer of peers.splice(0)) await peer.process.stop();
    if (wanted(options, SLEEPERS)) parts.push(await asleep(options));
    return [machine(), ...parts].join("\n\n");
  } finally {
    for (const peer of peers) await peer.process.stop();
    await load.stop();
  }
}

/**
 * @param {Awaited<ReturnType<typeof startWorker>>} load
 * @param {Peer[]} peers
 * @param {Cell} cell
 * @param {import("../lib/options.mjs").Options} options
 */
function measure(load, peers, cell, options) {
  return interleave(peers, options.passes, async (peer) => {
    const { port, mqttPort } = peer;
    const { connectSeconds } = await load.call("open", { port, mqttPort, count: cell.clients });
    const cpu = cpuMicros(peer.process.pid);
    const { seconds, warmup } = options;
    const figures = await load.call(cell.method, { rate: cell.rate, seconds, warmup });
    const spent = cpuMicros(peer.process.pid) - cpu;
    const each = spent / (figures.perSecond * (seconds + (cell.method === "unacknowledged" ? 0 : warmup)));
    const all = { ...figures, cpuEach: each, connectSeconds };
    console.error(
      `${cell.name} ${peer.name}: ${Object.entries(all)
        .map(([name, value]) => `${name} ${Number(value).toFixed(2)}`)
        .join(", ")}`,
    );
    return all;
  });
}

/**
 * @param {Cell} cell
 * @param {Map<string, Record<string, number>>} figures
 */
function rowOf(cell, figures) {
  const ours = figures.get("isthmus") ?? {};
  const ceiling = figures.get("null")?.["perSecond"];
  const lost =
    ours["lost"] === undefined
      ? `${number(ours["repeats"])}${ours["missing"] ? `, ${number(ours["missing"])} acknowledged and not delivered` : ""}`
      : `${(ours["lost"] * 100).toFixed(2)} %`;
  const rateOf = (/** @type {Record<string, number>} */ found) =>
    found["arrivedPerSecond"] ?? found["perSecond"];
  const rate = rateOf(ours);
  const off = figures.get(UNBATCHED) ?? {};
  // A rate that was asked for is no ceiling.
  const near = cell.rate === undefined && (ceiling ?? Number.NaN) < CEILING_LEAST * (rate ?? 0);
  return [
    cell.label,
    perSecond(rate),
    number(ours["p50"]),
    number(ours["p99"]),
    number(ours["cpuEach"]),
    lost,
    ...[perSecond(rateOf(off)), number(off["cpuEach"])],
    ...[ratio(rate, rateOf(off)), ratio(ours["cpuEach"], off["cpuEach"])],
    ...[generatorCore(ours["loadBusy"]), `${perSecond(ceiling)}${near ? " §" : ""}`, cell.aim],
  ];
}

/**
 * Where Isthmus spends its time: each cell in a fresh process under V8's profiler.
 * @param {import("../lib/options.mjs").Options} options
 */
async function profile(options) {
  const load = await startWorker(new URL("../mqtt-sn/load.mjs", import.meta.url), { core: LOAD_CORE });
  const parts = [];
  for (const cell of CELLS.filter(({ name }) => wanted(options, name))) {
    const folder = mkdtempSync(join(tmpdir(), "isthmus-profile-"));
    const peer = await isthmus({ profileFolder: folder });
    await load.call("open", { port: peer.port, mqttPort: peer.mqttPort, count: cell.clients });
    const from = process.hrtime.bigint();
    const { seconds, warmup } = options;
    const figures = await load.call(cell.method, { rate: cell.rate, seconds, warmup });
    const to = process.hrtime.bigint();
    await peer.process.stop();
    const top = topFunctions(folder, { from, to });
    parts.push(
      `## ${cell.name}: ${perSecond(figures.perSecond)}/s, busy ${(top.busy * 100).toFixed(0)} %`,
      ...top.rows.map((row) => `${(row.share * 100).toFixed(1).padStart(5)} %  ${row.name}  ${row.where}`),
    );
  }
  await load.stop();
  return parts.join("\n");
}

/**
 * Devices asleep in a fresh process, then a storm of wake-ups.
 * @param {import("../lib/options.mjs").Options} options
 */
async function asleep(options) {
  const count = options.quick ? 10_000 : 100_000;
  const peer = await isthmus();
  const load = await startWorker(new URL("../mqtt-sn/load.mjs", import.meta.url), { core: LOAD_CORE });
  try {
    const settle = options.quick ? 2 : 4;
    const memory = await load.call("sleepers", { port: peer.port, pid: peer.process.pid, count, settle });
    const storm = await load.call("storm", { port: peer.port, count: 10_000 });
    console.error(`sleepers: ${JSON.stringify({ ...memory, ...storm })}`);
    return markdownTable(
      [
        "sleeping devices",
        "bytes each",
        "process, MB",
        "10,000 wake in 1 s: answered",
        "repeats",
        "p50 ms",
        "p99 ms",
      ],
      [
        [
          count.toLocaleString("en"),
          number(memory.bytesEach),
          number(memory.residentMb),
          storm.answered.toLocaleString("en"),
          String(storm.repeats),
          number(storm.p50),
          number(storm.p99),
        ],
      ],
    );
  } finally {
    await peer.process.stop();
    await load.stop();
  }
}
