/** Clients of all gateways that come and go: how late the loop is meanwhile, and what memory stays when all have gone. */

import { settingsOf } from "../../soak/crowd.mjs";
import { isthmusMissing, startWatched } from "../lib/isthmus.mjs";
import { wanted } from "../lib/options.mjs";
import { freePort, freeUdpPort, LOAD_CORE, sleep, startWorker } from "../lib/processes.mjs";
import { machine } from "../lib/results.mjs";
import { SMALL_MACHINE } from "../lib/small-machine.mjs";
import { markdownTable, number, perSecond } from "../lib/table.mjs";
import { cpuMicros, waitedSeconds } from "../lib/usage.mjs";

/** Clients a second: 2,600 messages a second come of it, as a client sends 15 on average. */
const RATE = 175;
/** Long enough for the old generation to be collected several times. */
const SECONDS = 120;
const QUICK_SECONDS = 20;
/** Until the last sessions have ended, and what they leave was collected in three rounds. */
const REST_MS = 60_000;
const QUICK_REST_MS = 45_000;
const SEED = 1;

/** @type {Record<string, string[]>} */
const ROWS = { default: [], "small machine": SMALL_MACHINE };
/** Where they are named, to choose by. @type {Record<string, string[]>} */
const TRIALS = {
  "young 4 MB": ["--max-semi-space-size=4"],
  "young 8 MB": ["--max-semi-space-size=8"],
  "young 32 MB": ["--max-semi-space-size=32"],
  "one thread scavenges": ["--no-parallel-scavenge"],
  "one thread collects": ["--single-threaded-gc"],
};

export const suite = {
  title: "Clients that come and go",
  scenarios: () => Object.keys({ ...ROWS, ...TRIALS }),
  readmes: ["docs/running.md"],
  run,
};

/** @param {import("../lib/options.mjs").Options} options */
async function run(options) {
  const missing = isthmusMissing();
  if (missing !== undefined) throw new Error(missing);
  if (options.profile) return profile(options);
  const rows = [];
  for (const [name, flags] of Object.entries(options.only.length > 0 ? { ...ROWS, ...TRIALS } : ROWS)) {
    if (!wanted(options, name)) continue;
    const found = await measured(flags, options);
    console.error(`${name}: ${JSON.stringify(found)}`);
    rows.push(rowOf(name, found));
  }
  const head = [
    "",
    ...["clients/s", "messages in/s", "out/s", "CPU, cores", "loop late p50, ms", "p99", "longest"],
    ...["collecting, % of the time", "longest, ms"],
    ...["resident MB before", "most", "at rest", "of it files", "alive then"],
  ];
  return [
    machine(),
    markdownTable(head, rows),
    "Clients of MQTT, MQTT-SN, CoAP, LwM2M and STOMP, each of which lives for about a second. What is alive is the heap, with " +
      "what lies outside of it, behind a collection; the others are what the system counts as resident.",
  ].join("\n\n");
}

/** What the first clients have translated and loaded is no part of it. */
const WARMUP = 5;

/** @param {string[]} flags   of Node */
async function start(flags) {
  const ports = {
    ...{ mqtt: await freePort(), stomp: await freePort() },
    ...{ coap: await freeUdpPort(), "mqtt-sn": await freeUdpPort() },
  };
  const load = await startWorker(new URL("../churn/load.mjs", import.meta.url), { core: LOAD_CORE });
  const gateway = await startWatched({ set: settingsOf(ports), flags });
  return { ports, load, gateway };
}

/**
 * What is allocated and outlives the young generation, by function.
 * @param {import("../lib/options.mjs").Options} options
 */
async function profile(options) {
  const { ports, load, gateway } = await start([]);
  try {
    await load.call("churn", { ports, seed: SEED, rate: RATE, seconds: WARMUP });
    await gateway.call("sample");
    const seconds = Math.max(options.seconds, QUICK_SECONDS);
    await load.call("churn", { ports, seed: SEED + 1, rate: RATE, seconds });
    const { bytes, rows } = await gateway.call("sampled", 80);
    return [
      `${number(bytes / 2 ** 20 / seconds)} MB a second outlive the young generation:`,
      ...rows.map((/** @type {[string, number]} */ [where, each]) => {
        return `${((100 * each) / bytes).toFixed(1).padStart(5)} %  ${where}`;
      }),
    ].join("\n");
  } finally {
    await load.stop();
    await gateway.stop();
  }
}

/**
 * @param {string[]} flags   of Node
 * @param {import("../lib/options.mjs").Options} options
 */
async function measured(flags, options) {
  const seconds = Math.max(options.seconds, options.quick ? QUICK_SECONDS : SECONDS);
  const { ports, load, gateway } = await start(flags);
  try {
    const before = await gateway.call("memory");
    await load.call("churn", { ports, seed: SEED, rate: RATE, seconds: WARMUP });
    await gateway.call("watch");
    const [cpu, waited] = [cpuMicros(gateway.pid), waitedSeconds(gateway.pid)];
    const most = mostOf(gateway);
    const came = await load.call("churn", { ports, seed: SEED + 1, rate: RATE, seconds });
    const late = await gateway.call("watched");
    const cores = (cpuMicros(gateway.pid) - cpu) / 1e6 / seconds;
    const meanwhile = await most.end();
    await sleep(options.quick ? QUICK_REST_MS : REST_MS);
    const rest = await gateway.call("memory");
    const alive = await gateway.call("alive");
    return {
      ...{ ...came, ...late, cores, waited: waitedSeconds(gateway.pid) - waited },
      ...{ collecting: late.collected / 10 / seconds, before: before.resident, meanwhile },
      ...{
        rest: rest.resident,
        restFiles: rest.files,
        restHeap: rest.heap,
        alive: alive.used,
        collected: alive.resident,
      },
    };
  } finally {
    await load.stop();
    await gateway.stop();
  }
}

/** Looks at what is resident each second. @param {Awaited<ReturnType<typeof startWatched>>} gateway */
function mostOf(gateway) {
  let most = 0;
  let going = true;
  const looking = (async () => {
    while (going) {
      await sleep(1000);
      most = Math.max(most, (await gateway.call("memory")).resident);
    }
  })();
  return {
    end: async () => {
      going = false;
      await looking;
      return most;
    },
  };
}

/** @param {string} name @param {Awaited<ReturnType<typeof measured>>} found */
const rowOf = (name, found) => [
  name,
  ...[perSecond(found.clients), perSecond(found.sent), perSecond(found.given), number(found.cores)],
  ...[number(found.p50), number(found.p99), number(found.most)],
  ...[number(found.collecting), number(found.longest)],
  ...[found.before, found.meanwhile, found.rest, found.restFiles, found.alive].map((each) => each.toFixed(0)),
];
