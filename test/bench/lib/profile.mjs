/** Reads what `node --cpu-prof` wrote: which functions the time went to. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The profile is taken by the clock of `process.hrtime`, so a part of it can be cut out.
 * @param {string} folder   where `--cpu-prof-dir` pointed; the largest profile in it is read
 * @param {{from?: bigint, to?: bigint, top?: number}} [cut]   `process.hrtime.bigint()` of start and end
 * @returns {{busy: number, rows: {share: number, name: string, where: string}[]}} shares of busy time
 */
export function topFunctions(folder, cut = {}) {
  const files = readdirSync(folder).filter((file) => file.endsWith(".cpuprofile"));
  const texts = files.map((file) => readFileSync(join(folder, file), "utf8"));
  const text = texts.sort((a, b) => b.length - a.length)[0];
  if (text === undefined) throw new Error(`no profile in ${folder}: did the process end by itself?`);
  const profile = JSON.parse(text);
  const from = cut.from === undefined ? 0 : Number(cut.from / 1000n);
  const to = cut.to === undefined ? Number.POSITIVE_INFINITY : Number(cut.to / 1000n);
  /** @type {Map<number, number>} */
  const self = new Map();
  let at = profile.startTime;
  let all = 0;
  for (let i = 0; i < profile.samples.length; i++) {
    // A delta lies before its sample; the time until the next sample belongs to this one.
    at += profile.timeDeltas[i];
    const lasted = profile.timeDeltas[i + 1] ?? 0;
    if (at < from || at > to || lasted < 0) continue;
    all += lasted;
    self.set(profile.samples[i], (self.get(profile.samples[i]) ?? 0) + lasted);
  }
  return rank(profile.nodes, self, all, cut.top ?? 30);
}

/**
 * @param {any[]} nodes
 * @param {Map<number, number>} self
 * @param {number} all
 * @param {number} top
 */
function rank(nodes, self, all, top) {
  /** @type {Map<string, {time: number, name: string, where: string}>} */
  const functions = new Map();
  let idle = 0;
  for (const node of nodes) {
    const time = self.get(node.id) ?? 0;
    if (time === 0) continue;
    const { functionName, url, lineNumber } = node.callFrame;
    if (functionName === "(idle)") {
      idle += time;
      continue;
    }
    const where = url === "" ? "" : `${shorten(url)}:${lineNumber + 1}`;
    const key = `${functionName} ${where}`;
    const row = functions.get(key) ?? { time: 0, name: functionName || "(anonymous)", where };
    row.time += time;
    functions.set(key, row);
  }
  const busy = all - idle;
  const rows = [...functions.values()].sort((a, b) => b.time - a.time).slice(0, top);
  return {
    busy: all === 0 ? 0 : busy / all,
    rows: rows.map((row) => ({ share: row.time / busy, name: row.name, where: row.where })),
  };
}

/** @param {string} url */
function shorten(url) {
  return url.replace(/^.*\/(dist|node_modules|test)\//, "$1/");
}
