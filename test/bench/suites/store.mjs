/** Durable QoS 1: throughput, latency and bytes on disk, against mosquitto with persistence and NATS JetStream. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { describeNats, startNats } from "../lib/nats.mjs";
import { wanted, wantedPeer } from "../lib/options.mjs";
import { BROKER_CORE, freePort, LOAD_CORE, sleep, startProcess, startWorker } from "../lib/processes.mjs";
import { machine } from "../lib/results.mjs";
import { interleave } from "../lib/statistics.mjs";
import { markdownTable, number, perSecond } from "../lib/table.mjs";
import { cpuMicros, residentKb } from "../lib/usage.mjs";
import { compactionTable } from "../store/compaction.mjs";

const BIN = fileURLToPath(new URL("../../../dist/src/bin.js", import.meta.url));

const SIZE = 64;
const QUEUED = 100_000;
/** Messages queued for the figure of bytes on disk. */
const FILL = 20_000;
const CELLS = [
  { name: "online-1", label: "subscriber connected, 1 in flight", method: "online", window: 1 },
  { name: "online-100", label: "subscriber connected, 100 in flight", method: "online", window: 100 },
  { name: "online-1000", label: "subscriber connected, 1,000 in flight", method: "online", window: 1000 },
  { name: "away-100", label: "subscriber away, 100 in flight", method: "away", window: 100 },
];
const DISK = "bytes";
const COMPACTION = "compaction";
const RESTORE = "restore";
/** What is back before a listener opens. */
const KEPT = { retained: 1_000_000, sessions: 100_000, queued: 1 };
const QUICK_KEPT = { retained: 100_000, sessions: 10_000, queued: 1 };
const RESTORE_LIMIT_MS = 120_000;

const find = (/** @type {string[]} */ ...paths) => paths.find(existsSync);
const mosquittoProgram = find("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto");

/** Settings of a gateway with nothing but MQTT over TCP. @param {number} port @param {string} folder */
const mqttAlone = (port, folder) => [
  ...onlyGateway("mqtt"),
  "gateways.mqtt.listeners.tcp.bind=127.0.0.1",
  `gateways.mqtt.listeners.tcp.port=${port}`,
  "gateways.mqtt.listeners.ws.enable=false",
  `dataFolder=${folder}`,
];

/** @param {string} name @param {string} label @param {string[]} store */
const isthmus = (name, label, store) => ({
  name,
  label,
  missing: isthmusMissing(),
  /** @param {string} folder */
  start: async (folder) => {
    const port = await freePort();
    const queue = [`session.queue.messages=${QUEUED}`, "session.queue.bytes=256MB"];
    const set = [...mqttAlone(port, folder), ...queue, ...store];
    return { process: await startIsthmus({ set, tcpPort: port }), port };
  },
  /** @param {string} folder */
  compact: (folder) => {
    if (name !== "memory") command("compact", folder);
  },
});

/** `isthmus store ...` on a data folder that nobody uses. @param {string} what @param {string} folder @param {string[]} more */
function command(what, folder, ...more) {
  const args = [BIN, "store", what, ...more, "--set", `dataFolder=${folder}`];
  execFileSync(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"], cwd: folder });
}

const PEERS = [
  isthmus("memory", "Isthmus, memory", ["store.engine=memory"]),
  isthmus("lmdb", "Isthmus, LMDB", ["store.engine=lmdb"]),
  isthmus("log", "Isthmus, log", ["store.engine=log"]),
  isthmus("nosync", "Isthmus, log, `sync: false`", ["store.engine=log", "store.sync=false"]),
  {
    name: "mosquitto",
    label: "mosquitto, saved each second",
    missing: mosquittoProgram === undefined ? "mosquitto is not installed" : undefined,
    /** @param {string} folder */
    start: async (folder) => {
      const port = await freePort();
      const file = join(folder, "mosquitto.conf");
      const settings = [
        ...[`listener ${port} 127.0.0.1`, "allow_anonymous true", "log_dest none", "set_tcp_nodelay true"],
        ...["persistence true", `persistence_location ${folder}/`, "autosave_interval 1", "user root"],
        ...["max_inflight_messages 1000", `max_queued_messages ${QUEUED}`, "max_queued_bytes 0"],
      ];
      writeFileSync(file, `${settings.join("\n")}\n`);
      const command = [/** @type {string} */ (mosquittoProgram), "-c", file];
      return {
        process: await startProcess("mosquitto", command, { core: BROKER_CORE, tcpPort: port }),
        port,
      };
    },
  },
  {
    name: "nats",
    label: "NATS JetStream",
    missing: describeNats().missing,
    start: startNats,
  },
];

/** @param {string} folder @returns {number} */
const bytesIn = (folder) =>
  readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sum + bytesIn(path);
    return entry.isFile() ? sum + statSync(path).blocks * 512 : sum;
  }, 0);

/**
 * @param {typeof PEERS[number]} peer
 * @param {string} method
 * @param {object} how
 */
async function measure(peer, method, how) {
  const folder = mkdtempSync(join(tmpdir(), "bench-store-"));
  const { process, port } = await peer.start(folder);
  const load = await startWorker(new URL("../store/load.mjs", import.meta.url), { core: LOAD_CORE });
  try {
    const before = bytesIn(folder);
    const cpuBefore = cpuMicros(process.pid);
    const figures = await load.call(method, { port, size: SIZE, ...how });
    const cpu = (cpuMicros(process.pid) - cpuBefore) / figures.acked;
    await sleep(1500);
    const bytes = (bytesIn(folder) - before) / figures.acked;
    await process.stop();
    peer.compact?.(folder);
    return { ...figures, cpu, bytes, compacted: bytesIn(folder) / figures.acked };
  } finally {
    await load.stop();
    await process.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * From the start of the process to the first connection that it takes; and how long it takes to make the other kind of it.
 * @param {"lmdb" | "log"} engine
 * @param {typeof KEPT} kept
 */
async function measureRestore(engine, kept) {
  const folder = mkdtempSync(join(tmpdir(), "bench-restore-"));
  const filler = await startWorker(new URL("../store/fill.mjs", import.meta.url), { core: LOAD_CORE });
  try {
    const { records, bytes } = await filler.call("fill", { engine, folder, ...kept });
    await filler.stop();
    const port = await freePort();
    const room = ["bus.retained.messages=2000000", "bus.retained.bytes=4GB", "session.sessions=200000"];
    const set = [...mqttAlone(port, folder), ...room];
    const started = performance.now();
    const gateway = await startIsthmus({ set, tcpPort: port, limit: RESTORE_LIMIT_MS });
    const seconds = (performance.now() - started) / 1000;
    const cpu = cpuMicros(gateway.pid) / 1e6;
    const resident = residentKb(gateway.pid);
    await gateway.stop();
    const stopped = performance.now();
    command("convert", folder, engine === "lmdb" ? "log" : "lmdb");
    const converted = (performance.now() - stopped) / 1000;
    return { records, bytes, seconds, cpu, resident, converted };
  } finally {
    await filler.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {boolean} quick */
async function restoreTable(quick) {
  const kept = quick ? QUICK_KEPT : KEPT;
  const head = [
    "kind",
    ...["retained", "sessions", "queued messages", "seconds until it listens"],
    ...["CPU seconds", "records/s", "resident MB", "MB on disk", "seconds to convert to the other"],
  ];
  const rows = [];
  for (const kind of /** @type {const} */ (["lmdb", "log"])) {
    const { records, bytes, seconds, cpu, resident, converted } = await measureRestore(kind, kept);
    rows.push([
      ...[kind, number(kept.retained), number(kept.sessions), number(kept.sessions * kept.queued)],
      ...[number(seconds), number(cpu), perSecond(records / seconds)],
      ...[number(resident / 1000), number(bytes / 1e6), number(converted)],
    ]);
  }
  return markdownTable(head, rows);
}

/** @param {import("../lib/options.mjs").Options} options */
async function run(options) {
  const peers = PEERS.filter((peer) => wantedPeer(options, peer.name));
  const able = peers.filter((peer) => peer.missing === undefined);
  const lines = peers
    .filter((peer) => peer.missing !== undefined)
    .map((peer) => `${peer.label}: ${peer.missing}.`);
  const rows = [];
  for (const { name, label, method, window } of CELLS) {
    if (!wanted(options, name)) continue;
    const { seconds, warmup } = options;
    const limits = method === "away" ? { count: FILL * 2 } : { seconds, warmup };
    const found = await interleave(able, options.passes, (peer) =>
      measure(peer, method, { window, ...limits }),
    );
    rows.push([
      label,
      ...able.map((peer) => {
        const figures = found.get(peer.name);
        return `${perSecond(figures?.["rate"])} (${number(figures?.["p50"])} / ${number(figures?.["p99"])} ms, ${number(figures?.["cpu"])} µs)`;
      }),
    ]);
  }
  if (wanted(options, DISK)) {
    const found = await interleave(able, 1, (peer) => measure(peer, "away", { window: 1000, count: FILL }));
    const row = (/** @type {string} */ label, /** @type {string} */ figure) => [
      label,
      ...able.map((peer) => (peer.name === "memory" ? "0" : number(found.get(peer.name)?.[figure]))),
    ];
    rows.push(
      row(`bytes on disk per queued message of ${SIZE} bytes`, "bytes"),
      row("the same, stopped; ours behind `isthmus store compact`", "compacted"),
    );
  }
  const tables = [];
  const alone = isthmusMissing() === undefined;
  if (wanted(options, COMPACTION) && alone)
    tables.push(await compactionTable((port) => mqttAlone(port, ""), freePort, bytesIn, options.quick));
  if (wanted(options, RESTORE) && alone) tables.push(await restoreTable(options.quick));
  const head = [
    "QoS 1 to one durable subscriber: messages a second (latency of PUBACK, median / 99th, CPU time of the server for one)",
  ];
  if (rows.length > 0) tables.unshift(markdownTable([...head, ...able.map((peer) => peer.label)], rows));
  return [...tables, ...lines, machine()].join("\n\n");
}

export const suite = {
  title: "Durable store",
  scenarios: () => [...CELLS.map(({ name }) => name), DISK, COMPACTION, RESTORE],
  run,
};
