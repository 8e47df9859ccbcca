/**
 * The gateway as `npm start` runs it, in a process that also tells how late its loop is, how long it collects garbage, and
 * what is alive in it. Started by `startWatched` of lib/isthmus.mjs, with `--expose-gc`.
 */
import { existsSync, readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import { serve } from "./serve.mjs";

const BIN = new URL("../../../dist/src/bin.js", import.meta.url);

/** What the histogram counts is the time between two looks: this, where nothing is late. */
const LOOK_MS = 2;
const delay = monitorEventLoopDelay({ resolution: LOOK_MS });
const late = (/** @type {number} */ nanoseconds) => Math.max(0, nanoseconds / 1e6 - LOOK_MS);

let collected = 0;
let longest = 0;
let collections = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    collections++;
    collected += duration;
    longest = Math.max(longest, duration);
  }
}).observe({ entryTypes: ["gc"] });

const megabytes = (/** @type {number} */ bytes) => bytes / 2 ** 20;
/** Pages of files that are resident: the program, and those of a store that maps its file. The system takes them back when it likes. */
const pagesOfFiles = () => {
  if (!existsSync("/proc/self/status")) return 0;
  const [, kilobytes = "0"] = /^RssFile:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "latin1")) ?? [];
  return Number(kilobytes) / 1024;
};
const memory = () => {
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
  return {
    resident: megabytes(rss),
    files: pagesOfFiles(),
    heap: megabytes(heapTotal),
    used: megabytes(heapUsed + external),
  };
};

/** Bytes between two samples of what is allocated. */
const SAMPLE_BYTES = 16_384;
/** Frames above the one that allocates: most of it is Node's or a map's. */
const FRAMES = 5;
const session = new Session();

/**
 * What functions have allocated, by them and their callers.
 * @param {import("node:inspector").HeapProfiler.SamplingHeapProfileNode} node
 * @param {string[]} callers
 * @param {Map<string, number>} found
 */
function addSizes({ callFrame, selfSize, children }, callers, found) {
  const { functionName, url, lineNumber } = callFrame;
  const file = url.slice(url.lastIndexOf("/") + 1);
  const frames = [`${functionName || "(anonymous)"} ${file}:${lineNumber + 1}`, ...callers].slice(0, FRAMES);
  const key = frames.join(" < ");
  if (selfSize > 0) found.set(key, (found.get(key) ?? 0) + selfSize);
  for (const child of children) addSizes(child, frames, found);
}

serve({
  /** From here on what is allocated and outlives the young generation is sampled. */
  async sample() {
    session.connect();
    await session.post("HeapProfiler.startSampling", {
      samplingInterval: SAMPLE_BYTES,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: false,
    });
  },
  /** @param {number} top @returns {Promise<{bytes: number, rows: [string, number][]}>} */
  async sampled(top) {
    const { profile } = await session.post("HeapProfiler.stopSampling");
    session.disconnect();
    const found = new Map();
    addSizes(profile.head, [], found);
    const rows = [...found].sort(([, a], [, b]) => b - a);
    return { bytes: rows.reduce((sum, [, bytes]) => sum + bytes, 0), rows: rows.slice(0, top) };
  },
  /** @param {string[]} settings   `--set` arguments */
  start(settings) {
    process.argv.splice(1, Number.POSITIVE_INFINITY, BIN.pathname, "start");
    for (const setting of settings) process.argv.push("--set", setting);
    // It resolves when the gateway ends.
    void import(BIN.href);
  },
  /** From here on it counts. */
  watch() {
    delay.enable();
    delay.reset();
    [collected, longest, collections] = [0, 0, 0];
  },
  /** Since `watch`, all in milliseconds. */
  watched: () => ({
    p50: late(delay.percentile(50)),
    p99: late(delay.percentile(99)),
    most: late(delay.max),
    collected,
    longest,
    collections,
  }),
  memory,
  /** Afterwards everything that is left is alive. */
  alive() {
    for (let times = 0; times < 3; times++) globalThis.gc?.();
    return memory();
  },
});
