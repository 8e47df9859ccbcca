/**
 * `npm run soak [-- --minutes 20 --seed 1 --lives 60 --rest 8 --times short]`: churn of all gateways from a seed against a real process,
 * then rest. Afterwards every gauge is back where it began, memory is within a bound, and the loop has not stood still for
 * longer than a bound. A failure names the gauge.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { freePort, freeUdpPort, startProcess } from "../bench/lib/processes.mjs";
import { median } from "../bench/lib/statistics.mjs";
import { waitedSeconds } from "../bench/lib/usage.mjs";
import { crowd, settingsOf } from "./crowd.mjs";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "20" },
    rest: { type: "string", default: "8" },
    seed: { type: "string", default: "1" },
    lives: { type: "string", default: "60" },
    /** CoAP's transmission parameters: `short`, so that its peers are forgotten in seconds, or `real`, those of RFC 7252. */
    times: { type: "string", default: "short" },
    /** Seconds that the loop may stand still, and megabytes that may stay; wide by default: machines differ. */
    stall: { type: "string", default: "2" },
    memory: { type: "string" },
  },
});
/**
 * Peers that are remembered for 247 s are many at a time: 430 MB were seen from the sixth minute on, and no more after
 * twenty (46,000 lives); what the heap has had it keeps for a while.
 */
const memoryMax = Number(values.memory ?? (values.times === "real" ? 600 : 300));
const seed = Number(values.seed);
/** What /metrics says of the loop is the time between two looks: this, where nothing is late. */
const LOOK_SECONDS = 0.02;
const lateOf = (/** @type {Map<string, number>} */ all, /** @type {"max" | "p99"} */ which) =>
  Math.max(0, (all.get(`nodejs_eventloop_lag_${which}_seconds `) ?? 0) - LOOK_SECONDS);

/** Gauges that tell what is left of clients that have gone; file descriptors are among them. */
const AT_REST =
  /^(isthmus_(sessions|sessions_connected|queued_messages|delayed_messages|filters|deadlines|connections|store_waiting)|process_open_fds)(\{.*\})? /;

const ports = {
  mqtt: await freePort(),
  stomp: await freePort(),
  coap: await freeUdpPort(),
  "mqtt-sn": await freeUdpPort(),
};
const api = await freePort();
const folder = mkdtempSync(join(tmpdir(), "isthmus-soak-"));
const settings = [...settingsOf(ports, values.times), `api.port=${api}`, `dataFolder=${folder}`];

/** @returns {Promise<Map<string, number>>} */
async function metrics() {
  const body = await (await fetch(`http://127.0.0.1:${api}/metrics`)).text();
  const lines = body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(" ") + 1),
      Number(line.slice(line.lastIndexOf(" "))),
    ]),
  );
}
const atRest = (/** @type {Map<string, number>} */ all) =>
  new Map([...all].filter(([name]) => AT_REST.test(name)));
const megabytes = (/** @type {Map<string, number>} */ all) =>
  (all.get("process_resident_memory_bytes ") ?? 0) / 1e6;

/** So many lives at a time, one after the other in each place. */
async function churn(/** @type {number} */ until) {
  const clients = crowd(ports, seed, until);
  const place = async () => {
    while (!clients.over()) await clients.live();
  };
  await Promise.all(Array.from({ length: Number(values.lives) }, place));
  return clients;
}

const main = fileURLToPath(new URL("../../dist/src/bin.js", import.meta.url));
const command = [process.execPath, main, "start", ...settings.flatMap((one) => ["--set", one])];
const gateway = await startProcess("isthmus", command, { tcpPort: api, core: 0, limit: 120_000 });
const failures = [];
try {
  await sleep(500);
  const before = atRest(await metrics());
  const begun = Date.now();
  const until = begun + Number(values.minutes) * 60_000;
  let longest = 0;
  /** @type {number[]} */
  const delays = [];
  const watch = (async () => {
    let before = waitedSeconds(gateway.pid);
    while (Date.now() < until) {
      await sleep(1000);
      const all = await metrics();
      const stood = lateOf(all, "max");
      const now = waitedSeconds(gateway.pid);
      longest = Math.max(longest, stood - (now - before));
      delays.push(lateOf(all, "p99"));
      before = now;
      if (Math.floor((Date.now() - begun) / 1000) % 30 === 0)
        console.log(
          `${Math.round((Date.now() - begun) / 1000)} s: ${megabytes(all).toFixed(0)} MB, ${all.get("isthmus_sessions ")} sessions, longest stall ${longest.toFixed(2)} s`,
        );
    }
  })();
  const { born, counts } = await churn(until);
  await watch;
  const seconds = (Date.now() - begun) / 1000;
  console.log(
    `${born} lives, ${counts.sent} messages sent in ${seconds.toFixed(0)} s (${(counts.sent / seconds).toFixed(0)} a second), seed ${seed}`,
  );
  console.log(counts.all.map(([name, n]) => `  ${name}: ${n}`).join("\n"));

  const resting = Date.now();
  const limit = resting + Number(values.rest) * 60_000;
  let left = new Map();
  do {
    await sleep(2000);
    const now = atRest(await metrics());
    left = new Map([...now].filter(([name, value]) => value > (before.get(name) ?? 0)));
  } while (left.size > 0 && Date.now() < limit);
  for (const [name, value] of left)
    failures.push(`${name}is ${value}, and was ${before.get(name) ?? 0} before`);
  const last = await metrics();
  const memory = megabytes(last);
  const heap = (last.get("nodejs_heap_size_used_bytes ") ?? 0) / 1e6;
  const rested = Math.round((Date.now() - resting) / 1000);
  console.log(
    `at rest after ${rested} s: ${memory.toFixed(0)} MB resident with a heap of ${heap.toFixed(0)} MB, longest stall ${longest.toFixed(2)} s, median of the seconds' p99 of loop delay ${(1000 * median(delays)).toFixed(1)} ms`,
  );
  if (memory > memoryMax)
    failures.push(`${memory.toFixed(0)} MB resident at rest, above --memory ${memoryMax}`);
  if (longest > Number(values.stall))
    failures.push(`the loop stood still for ${longest.toFixed(2)} s, above --stall ${values.stall}`);
  // Clients acknowledge what they were handed and nothing else, however late.
  const unknown = counts.of("stomp ERROR unknown message");
  if (unknown > 0) failures.push(`${unknown} STOMP clients were ended with "unknown message"`);
  if (!gateway.alive()) failures.push(`the gateway has ended: ${gateway.output()}`);
} finally {
  await gateway.stop();
  rmSync(folder, { recursive: true, force: true });
}
for (const failure of failures) console.error(`soak: ${failure}`);
console.log(`${failures.length === 0 ? 1 : 0} passed, ${failures.length} failed`);
process.exit(failures.length === 0 ? 0 : 1);
