/**
 * A Markdown table: first column left, the others right.
 * @param {string[]} head
 * @param {string[][]} rows
 */
export function markdownTable(head, rows) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

const MISSING = "–";

/**
 * 1,234,567 as `1,235 k`, 12,345 as `12.3 k`, 123 as `123`.
 * @param {number | undefined} value
 */
export function perSecond(value) {
  if (value === undefined || Number.isNaN(value)) return MISSING;
  if (value >= 100_000) return `${Math.round(value / 1000).toLocaleString("en")} k`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} k`;
  return value.toFixed(0);
}

/**
 * Three significant digits.
 * @param {number | undefined} value
 */
export function number(value) {
  if (value === undefined || Number.isNaN(value)) return MISSING;
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/**
 * How many times `ours` is `theirs`.
 * @param {number | undefined} ours
 * @param {number | undefined} theirs
 */
export function ratio(ours, theirs) {
  if (ours === undefined || theirs === undefined || Number.isNaN(ours / theirs)) return MISSING;
  const value = ours / theirs;
  return `${value >= 10 ? value.toFixed(0) : value.toFixed(value >= 2 ? 1 : 2)}×`;
}

/** From this share of its core on, a generator may have been the limit. */
export const BUSY = 0.93;
/** The generator is no limit where it can do this many times what was measured. */
export const CEILING_LEAST = 2;

/**
 * How much of its core the generator has used, marked where that may have been the limit.
 * @param {number | undefined} share
 */
export const generatorCore = (share = Number.NaN) =>
  Number.isNaN(share) ? MISSING : `${(100 * share).toFixed(0)} %${share > BUSY ? " ‡" : ""}`;

export const GENERATOR_NOTE =
  "‡ the generator's core was full: the server may be able to do more, and CPU time is the better measure.";
