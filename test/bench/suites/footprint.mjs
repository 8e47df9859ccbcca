/** What a process costs before anybody comes: processor time until its listeners are open, and memory at rest, by gateway. */
import { setTimeout as sleep } from "node:timers/promises";
import { isthmusMissing, startIsthmus } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { freePort, freeUdpPort } from "../lib/processes.mjs";
import { machine } from "../lib/results.mjs";
import { SMALL_MACHINE } from "../lib/small-machine.mjs";
import { median } from "../lib/statistics.mjs";
import { markdownTable } from "../lib/table.mjs";
import { cpuMicros, residentKb } from "../lib/usage.mjs";

/** As long as a process needs to have let go of what its start has left. */
const REST_MS = 5_000;

const GATEWAYS = ["mqtt", "mqtt-sn", "coap", "lwm2m", "stomp", "tcp"];

/** @type {Record<string, {gateways: string[], api: boolean, flags?: string[]}>} */
const ROWS = {
  "no gateway": { gateways: [], api: false },
  ...Object.fromEntries(
    GATEWAYS.map((name) => [name, { gateways: name === "lwm2m" ? ["coap", name] : [name], api: false }]),
  ),
  "HTTP port": { gateways: [], api: true },
  "all of them": { gateways: GATEWAYS, api: true },
  "all of them, small": { gateways: GATEWAYS, api: true, flags: SMALL_MACHINE },
};

export const suite = {
  title: "Footprint of a process at rest",
  scenarios: () => Object.keys(ROWS),
  readmes: ["docs/running.md"],
  run,
};

/** @param {import("../lib/options.mjs").Options} options */
async function run(options) {
  const missing = isthmusMissing();
  if (missing !== undefined) throw new Error(missing);
  const rows = [];
  /** @type {{cpu: number, resident: number} | undefined} */
  let bare;
  for (const [name, how] of Object.entries(ROWS)) {
    if (!wanted(options, name)) continue;
    const found = await measured(how, Math.max(1, options.passes));
    bare ??= found;
    const more = found.resident - bare.resident;
    rows.push([
      name,
      found.resident.toFixed(0),
      more === 0 ? "" : more < 0.5 ? `${Math.round(more) || 0}` : `+${more.toFixed(0)}`,
      found.cpu.toFixed(0),
    ]);
    console.error(`${name}: ${JSON.stringify(found)}`);
  }
  const head = ["enabled", "resident MB", "more than none", "CPU ms until open"];
  return `${machine()}\n\n${markdownTable(head, rows)}`;
}

/**
 * @param {{gateways: string[], api: boolean, flags?: string[]}} how
 * @param {number} passes
 */
async function measured(how, passes) {
  const cpu = [];
  const resident = [];
  for (let pass = 0; pass < passes; pass++) {
    const started = await startIsthmus({ set: await settingsOf(how), nodeOptions: how.flags ?? [] });
    cpu.push(cpuMicros(started.pid) / 1000);
    await sleep(REST_MS);
    resident.push(residentKb(started.pid) / 1024);
    await started.stop();
  }
  return { cpu: median(cpu), resident: median(resident) };
}

/** @param {{gateways: string[], api: boolean}} how */
async function settingsOf({ gateways, api }) {
  const off = GATEWAYS.filter((name) => !gateways.includes(name));
  const ports = [
    ...["mqtt.listeners.tcp", "mqtt.listeners.ws", "coap.listeners.tcp"],
    ...["stomp.listeners.tcp", "stomp.listeners.ws", "tcp.listeners.tcp"],
  ];
  const datagrams = ["mqtt-sn.listeners.udp", "coap.listeners.udp"];
  return [
    ...GATEWAYS.map((name) => `gateways.${name}.enable=${!off.includes(name)}`),
    ...(await Promise.all(ports.map(async (at) => `gateways.${at}.port=${await freePort()}`))),
    ...(await Promise.all(datagrams.map(async (at) => `gateways.${at}.port=${await freeUdpPort()}`))),
    api ? `api.port=${await freePort()}` : "api.enable=false",
    "log.level=error",
  ];
}
