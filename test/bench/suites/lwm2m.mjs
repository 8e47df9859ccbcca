/** LwM2M: registrations, notifications and reads a second, and how many devices fit into one process. */
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { wanted, wantedPeer } from "../lib/options.mjs";
import { freePort, freeUdpPort, LOAD_CORE, startWorker } from "../lib/processes.mjs";
import { machine } from "../lib/results.mjs";
import { interleave } from "../lib/statistics.mjs";
import { GENERATOR_NOTE, generatorCore, markdownTable, number, perSecond, ratio } from "../lib/table.mjs";
import { cpuMicros, residentKb } from "../lib/usage.mjs";

const RATES = /** @type {const} */ (["registrations", "notifications", "reads"]);
const MEMORY = "memory";
const FLEET = "fleet-100000";
const DEVICES = 100;
/** Sockets of one generator process; the usual limit of open files is not far above. */
const WORKER_DEVICES = 15_000;

export const suite = {
  title: "LwM2M gateway",
  scenarios: () => [...RATES, MEMORY, FLEET],
  run,
};

/** A peer: the gateway itself, with a system call for each datagram. */
const UNBATCHED = "batches off";

const NOTES = [
  `"${UNBATCHED}" is the gateway with a system call for each datagram (\`udp.batches: false\`), which it was before it took them in batches.`,
  GENERATOR_NOTE,
].join("\n");

async function start(name = "isthmus") {
  const [port, mqttPort] = [await freeUdpPort(), await freePort()];
  const process = await startIsthmus({
    set: [
      ...onlyGateway("lwm2m", "mqtt"),
      "store.engine=memory",
      "gateways.mqtt.listeners.tcp.bind=127.0.0.1",
      `gateways.mqtt.listeners.tcp.port=${mqttPort}`,
      "gateways.mqtt.listeners.ws.enable=false",
      "gateways.lwm2m.definitions=",
      "gateways.lwm2m.listeners.udp.transport=udp",
      "gateways.lwm2m.listeners.udp.bind=127.0.0.1",
      `gateways.lwm2m.listeners.udp.port=${port}`,
      "gateways.lwm2m.listeners.udp.limits.connectionRate=unlimited",
      "gateways.lwm2m.listeners.udp.limits.connections=200000",
      `gateways.lwm2m.listeners.udp.udp.batches=${name !== UNBATCHED}`,
    ],
    tcpPort: mqttPort,
  });
  return { port, mqttPort, process };
}

/** @param {import("../lib/options.mjs").Options} options */
async function run(options) {
  const missing = isthmusMissing();
  if (missing !== undefined) throw new Error(missing);
  const parts = [machine()];
  const rates = RATES.filter((name) => wanted(options, name));
  if (rates.length > 0) parts.push(await measureRates(rates, options));
  const sizes = [
    ...(wanted(options, MEMORY) ? [10_000] : []),
    ...(wanted(options, FLEET) && !options.quick ? [100_000] : []),
  ];
  if (sizes.length > 0) parts.push(await measureFleets(sizes));
  return parts.join("\n\n");
}

/**
 * @param {readonly (typeof RATES)[number][]} rates
 * @param {import("../lib/options.mjs").Options} options
 */
async function measureRates(rates, options) {
  const peers = [];
  const rows = [];
  try {
    for (const name of ["isthmus", UNBATCHED]) {
      if (!wantedPeer(options, name)) continue;
      const load = await startWorker(new URL("../lwm2m/load.mjs", import.meta.url), { core: LOAD_CORE });
      const { port, mqttPort, process } = await start(name);
      peers.push({ name, load, mqttPort, process });
      const how = { port, count: DEVICES, pid: process.pid, prefix: "d", net: 1, settle: 0, together: true };
      await load.call("fleet", how);
    }
    for (const rate of rates) {
      const { seconds, warmup } = options;
      const figures = await interleave(peers, options.passes, async ({ name, load, mqttPort, process }) => {
        const cpu = cpuMicros(process.pid);
        const found = await load.call(rate, { mqttPort, seconds, warmup, window: 256 });
        const cpuEach = (cpuMicros(process.pid) - cpu) / (found.perSecond * (seconds + warmup));
        console.error(`${rate}, ${name}: ${JSON.stringify({ ...found, cpuEach })}`);
        return { ...found, cpuEach };
      });
      const [ours, off] = ["isthmus", UNBATCHED].map((name) => figures.get(name) ?? {});
      rows.push([
        rate,
        ...[perSecond(ours["perSecond"]), number(ours["cpuEach"])],
        ...[perSecond(off["perSecond"]), number(off["cpuEach"])],
        ...[ratio(ours["perSecond"], off["perSecond"]), ratio(ours["cpuEach"], off["cpuEach"])],
        ...[ours, off].map((found) => generatorCore(found["loadBusy"])),
      ]);
    }
  } finally {
    for (const { load, process } of peers) {
      await process.stop();
      await load.stop();
    }
  }
  const head = [
    `${DEVICES} devices`,
    ...["a second", "CPU us each", `${UNBATCHED}, a second`, "CPU us each", "ours / that", "CPU"],
    ...["generator's core", "and there"],
  ];
  return `${markdownTable(head, rows)}\n\n${NOTES}`;
}

/** @param {readonly number[]} sizes */
async function measureFleets(sizes) {
  const rows = [];
  for (const size of sizes) {
    const { port, process } = await start();
    const workers = [];
    try {
      const before = residentKb(process.pid);
      let seconds = 0;
      for (let from = 0, net = 1; from < size; from += WORKER_DEVICES, net++) {
        const load = await startWorker(new URL("../lwm2m/load.mjs", import.meta.url), { core: LOAD_CORE });
        workers.push(load);
        const count = Math.min(WORKER_DEVICES, size - from);
        const how = { port, count, pid: process.pid, prefix: `f${from}-`, net, settle: 1 };
        seconds += (await load.call("fleet", how)).seconds;
      }
      const bytesEach = ((residentKb(process.pid) - before) * 1024) / size;
      console.error(`fleet of ${size}: ${Math.round(bytesEach)} bytes each, ${seconds.toFixed(1)} s`);
      rows.push([size.toLocaleString("en"), number(bytesEach), perSecond(size / seconds)]);
    } finally {
      await process.stop();
      for (const worker of workers) await worker.stop();
    }
  }
  return markdownTable(["devices registered", "bytes each, resident", "first registrations/s"], rows);
}
