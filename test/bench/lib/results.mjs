/** Keeps a suite's table where readers find it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { pinning } from "./processes.mjs";

const root = new URL("../../../", import.meta.url);

/**
 * Writes `results/<name>.md`, and the same between `<!-- bench:<name> -->` and `<!-- /bench:<name> -->` in
 * every README that has those marks.
 * @param {string} name
 * @param {string} markdown
 * @param {string[]} [readmes]   paths from the project's root
 * @param {string} [plot]   SVG, written as `results/<name>.svg`
 * @returns {string[]} the paths written
 */
export function writeResults(
  name,
  markdown,
  readmes = [`gateways/${name}/README.md`, `src/${name}/README.md`],
  plot,
) {
  const folder = new URL("test/bench/results/", root);
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`${name}.md`, folder), `${markdown.trim()}\n`);
  const written = [`test/bench/results/${name}.md`];
  if (plot !== undefined) {
    writeFileSync(new URL(`${name}.svg`, folder), plot);
    written.push(`test/bench/results/${name}.svg`);
  }
  for (const path of readmes) {
    const file = new URL(path, root);
    if (!existsSync(file)) continue;
    const text = readFileSync(file, "utf8");
    const changed = replaceBlock(text, `bench:${name}`, markdown.trim());
    if (changed === undefined) continue;
    writeFileSync(file, changed);
    written.push(path);
  }
  return written;
}

/**
 * @param {string} text
 * @param {string} mark
 * @param {string} content
 * @returns {string | undefined} undefined when the marks are not there
 */
export function replaceBlock(text, mark, content) {
  const open = `<!-- ${mark} -->`;
  const close = `<!-- /${mark} -->`;
  const start = text.indexOf(open);
  const end = text.indexOf(close, start);
  if (start < 0 || end < 0) return undefined;
  return `${text.slice(0, start + open.length)}\n${content}\n${text.slice(end)}`;
}

/** One line on where the figures were taken, without naming the place. */
export function machine() {
  const all = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const cores = pinning ? "process under test on core 0, load on core 1" : "not pinned to cores";
  return `${all.length} × ${all[0]?.model.trim() ?? "unknown CPU"}, ${memory} GB, Node ${process.versions.node}, loopback, ${cores}`;
}
