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
