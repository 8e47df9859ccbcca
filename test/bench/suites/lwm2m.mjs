/** LwM2M: registrations, notifications and reads a second, and how many devices fit into one process. */
import { isthmusMissing, onlyGateway, startIsthmus } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { freePort, freeUdpPort, LOAD_CORE, startWorker } from "../lib/processes.mjs";
import { machine } from "../lib/results.mjs";
import { interleave } from "../lib/statistics.mjs";
import { markdownTable, number, perSecond } from "../lib/table.mjs";
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

async function start() {
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
  const load = await startWorker(new URL("../lwm2m/load.mjs", import.meta.url), { core: LOAD_CORE });
  const { port, mqttPort, process } = await start();
  const rows = [];
  try {
    await load.call("fleet", { port, count: DEVICES, pid: process.pid, prefix: "d", net: 1, settle: 0 });
    for (const rate of rates) {
      const { seconds, warmup } = options;
      const peers = [{ name: "isthmus" }];
      const figures = await interleave(peers, options.passes, async () => {
        const cpu = cpuMicros(process.pid);
        const found = await load.call(rate, { mqttPort, seconds, warmup, window: 256 });
        const cpuEach = (cpuMicros(process.pid) - cpu) / (found.perSecond * (seconds + warmup));
        console.error(`${rate}: ${JSON.stringify({ ...found, cpuEach })}`);
        return { ...found, cpuEach };
      });
      const found = figures.get("isthmus");
      rows.push([rate, perSecond(found?.["perSecond"]), number(found?.["cpuEach"])]);
    }
  } finally {
    await process.stop();
    await load.stop();
  }
  return markdownTable([`${DEVICES} devices`, "a second", "CPU us each"], rows);
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
