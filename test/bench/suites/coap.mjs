/** CoAP: GET and PUT against libcoap's server and npm coap, then observers, which only the gateway has. */
import { spawnSync } from "node:child_process";
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
import { machine } from "../lib/results.mjs";
import { interleave } from "../lib/statistics.mjs";
import { GENERATOR_NOTE, generatorCore, markdownTable, number, perSecond, ratio } from "../lib/table.mjs";
import { cpuMicros } from "../lib/usage.mjs";

const METHODS = /** @type {const} */ (["get", "put"]);
const OBSERVERS = [1, 10, 100, 1000];
const MEMORY = "memory";
const SOCKETS = 16;
const OUTSTANDING = 16;
const LIBCOAP = "coap-server-notls";

export const suite = {
  title: "CoAP gateway",
  scenarios: () => [...METHODS, ...OBSERVERS.map((count) => `observers-${count}`), MEMORY],
  run,
};

/** @typedef {{name: string, port: number, path: string, query?: string, mqttPort?: number, process: import("../lib/processes.mjs").Started}} Peer */

/** @returns {Promise<Peer>} */
async function isthmus() {
  const [port, mqttPort] = [await freeUdpPort(), await freePort()];
  const started = await startIsthmus({
    set: [
      ...onlyGateway("coap", "mqtt"),
      "gateways.mqtt.listeners.tcp.bind=127.0.0.1",
      `gateways.mqtt.listeners.tcp.port=${mqttPort}`,
      "gateways.mqtt.listeners.ws.enable=false",
      "gateways.coap.listeners.udp.bind=127.0.0.1",
      `gateways.coap.listeners.udp.port=${port}`,
      "gateways.coap.listeners.tcp.enable=false",
      "gateways.coap.listeners.udp.limits.connectionRate=unlimited",
      "gateways.coap.listeners.udp.limits.connections=200000",
    ],
    tcpPort: mqttPort,
  });
  return { name: "isthmus", port, path: "ps/bench", query: "retain=1", mqttPort, process: started };
}

/** @returns {Promise<Peer>} */
async function libcoap() {
  const port = await freeUdpPort();
  const started = await startProcess(
    "libcoap",
    [LIBCOAP, "-A", "127.0.0.1", "-p", String(port), "-d", "10", "-v", "3"],
    { core: BROKER_CORE },
  );
  return { name: "libcoap", port, path: "bench", process: started };
}

/** @returns {Promise<Peer>} */
async function npmCoap() {
  const port = await freeUdpPort();
  const program = fileURLToPath(new URL("../peers/npm-coap.mjs", import.meta.url));
  const started = await startProcess("npm coap", [process.execPath, program, String(port)], {
    core: BROKER_CORE,
    line: /ready/,
  });
  return { name: "npm coap", port, path: "bench", process: started };
}

const hasLibcoap = () => spawnSync("which", [LIBCOAP]).status === 0;

/** @param {import("../lib/options.mjs").Options} options */
async function run(options) {
  const missing = isthmusMissing();
  if (missing !== undefined) throw new Error(missing);
  const load = await startWorker(new URL("../coap/load.mjs", import.meta.url), { core: LOAD_CORE });
  /** @type {Peer[]} */
  const peers = [];
  try {
    if (wantedPeer(options, "isthmus")) peers.push(await isthmus());
    if (wantedPeer(options, "libcoap") && hasLibcoap()) peers.push(await libcoap());
    if (wantedPeer(options, "npm coap")) peers.push(await npmCoap());
    const parts = [machine()];
    if (wantedPeer(options, "libcoap") && !hasLibcoap()) parts.push(`libcoap: ${LIBCOAP} is not installed.`);
    const methods = METHODS.filter((method) => wanted(options, method));
    if (methods.length > 0) parts.push(await requests(load, peers, methods, options));
    for (const peer of peers.splice(0)) await peer.process.stop();
    if (wantedPeer(options, "isthmus")) parts.push(...(await observing(load, options)));
    return parts.join("\n\n");
  } finally {
    for (const peer of peers) await peer.process.stop();
    await load.stop();
  }
}

/**
 * @param {Awaited<ReturnType<typeof startWorker>>} load
 * @param {Peer[]} peers
 * @param {readonly ("get" | "put")[]} methods
 * @param {import("../lib/options.mjs").Options} options
 */
async function requests(load, peers, methods, options) {
  for (const { port, path, query } of peers) {
    await load.call("put", { port, path, payload: "21.5", ...(query === undefined ? {} : { query }) });
  }
  const rows = [];
  for (const method of methods) {
    const figures = await interleave(peers, options.passes, async (peer) => {
      const { seconds, warmup } = options;
      const cpu = cpuMicros(peer.process.pid);
      const how = { port: peer.port, path: peer.path, method, sockets: SOCKETS, outstanding: OUTSTANDING };
      const found = await load.call("requests", { ...how, seconds, warmup });
      const cpuEach = (cpuMicros(peer.process.pid) - cpu) / (found.perSecond * (seconds + warmup));
      console.error(`${method} ${peer.name}: ${JSON.stringify({ ...found, cpuEach })}`);
      return { ...found, cpuEach };
    });
    const ours = figures.get("isthmus")?.["perSecond"];
    for (const [name, found] of figures) {
      rows.push([
        `${method.toUpperCase()}, ${name}`,
        perSecond(found["perSecond"]),
        number(found["cpuEach"]),
        number(found["p50"]),
        number(found["p99"]),
        number(found["lost"]),
        generatorCore(found["loadBusy"]),
        name === "isthmus" ? "" : ratio(ours, found["perSecond"]),
      ]);
    }
  }
  const head = [
    `${SOCKETS} clients, ${OUTSTANDING} outstanding`,
    "requests/s",
    "CPU us each",
    "p50 ms",
    "p99 ms",
    "lost",
    "generator's core",
    "isthmus is",
  ];
  return `${markdownTable(head, rows)}\n\n${GENERATOR_NOTE}`;
}

/**
 * @param {Awaited<ReturnType<typeof startWorker>>} load
 * @param {import("../lib/options.mjs").Options} options
 */
async function observing(load, options) {
  const counts = OBSERVERS.filter((count) => wanted(options, `observers-${count}`));
  const parts = [];
  if (counts.length > 0) {
    const rows = [];
    for (const count of counts) {
      const peer = await isthmus();
      try {
        const { port, mqttPort } = peer;
        await load.call("observe", { port, path: "ps/o", count, pid: peer.process.pid, settle: 0.2 });
        const { seconds, warmup } = options;
        const cpu = cpuMicros(peer.process.pid);
        const found = await load.call("notify", { mqttPort, topic: "o", seconds, warmup });
        const cpuEach = (cpuMicros(peer.process.pid) - cpu) / (found.perSecond * (seconds + warmup));
        console.error(`observers ${count}: ${JSON.stringify({ ...found, cpuEach })}`);
        rows.push([
          count.toLocaleString("en"),
          perSecond(found.perSecond),
          number(cpuEach),
          number(found.lost),
        ]);
      } finally {
        await peer.process.stop();
      }
    }
    parts.push(markdownTable(["observers", "notifications/s", "CPU us each", "lost"], rows));
  }
  if (wanted(options, MEMORY)) {
    const peer = await isthmus();
    try {
      const how = { port: peer.port, path: "ps/o", count: 10_000, pid: peer.process.pid, settle: 2 };
      const { bytesEach } = await load.call("observe", how);
      console.error(`memory: ${bytesEach} bytes each`);
      parts.push(markdownTable(["10,000 observers", "bytes each"], [["resident memory", number(bytesEach)]]));
    } finally {
      await peer.process.stop();
    }
  }
  return parts;
}
