import { type Duration, FOREVER, milliseconds } from "./time.ts";

/** Text forms of a length of time: `250ms`, `30s`, `5m`, `1.5h`, `7d`, `forever`; a bare number is seconds. */
export const DURATION_PATTERN = "^(\\d+(\\.\\d+)?(ms|s|m|h|d)?|forever)$";
/** Text forms of a size: `512B`, `64KB`, `1MB`, `2GB` in steps of 1024, or `unlimited`; a bare number is bytes. */
export const SIZE_PATTERN = "^(\\d+(\\.\\d+)?(B|KB|MB|GB)?|unlimited)$";
/** A count or a rate that may be `unlimited`. */
export const COUNT_PATTERN = "^(\\d+(\\.\\d+)?|unlimited)$";

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

function scaled(
  text: string,
  pattern: string,
  units: Readonly<Record<string, number>>,
  bare: string,
): number | undefined {
  if (!new RegExp(pattern).test(text)) return undefined;
  const unit = /[A-Za-z]+$/.exec(text)?.[0] ?? bare;
  const scale = units[unit];
  return scale === undefined ? undefined : Number.parseFloat(text) * scale;
}

/** Undefined when the text is no length of time. */
export function parseDuration(value: string | number): Duration | undefined {
  if (typeof value === "number") return value >= 0 ? milliseconds(value * 1000) : undefined;
  if (value === "forever") return FOREVER;
  const length = scaled(value, DURATION_PATTERN, DURATION_UNITS, "s");
  return length === undefined ? undefined : milliseconds(length);
}

/** Bytes; undefined when the text is no size. */
export function parseSize(value: string | number): number | undefined {
  if (typeof value === "number") return value >= 0 ? value : undefined;
  if (value === "unlimited") return Number.POSITIVE_INFINITY;
  const size = scaled(value, SIZE_PATTERN, SIZE_UNITS, "B");
  return size === undefined ? undefined : Math.floor(size);
}

/** Undefined when the text is no count. */
export function parseCount(value: string | number): number | undefined {
  if (typeof value === "number") return value >= 0 ? value : undefined;
  if (value === "unlimited") return Number.POSITIVE_INFINITY;
  return new RegExp(COUNT_PATTERN).test(value) ? Number.parseFloat(value) : undefined;
}

const largestUnit = (value: number, units: Readonly<Record<string, number>>): [string, number] => {
  let best: [string, number] = ["", 1];
  for (const [unit, scale] of Object.entries(units)) {
    if (value >= scale && value % scale === 0) best = [unit, scale];
  }
  return best;
};

/** The shortest exact text form: `90s`, `2h`, `forever`. */
export function formatDuration(length: Duration): string {
  if (length === FOREVER) return "forever";
  const [unit, scale] = largestUnit(length, DURATION_UNITS);
  return unit === "" ? `${length}ms` : `${length / scale}${unit}`;
}

/** The shortest exact text form: `64KB`, `100B`, `unlimited`. */
export function formatSize(size: number): string {
  if (size === Number.POSITIVE_INFINITY) return "unlimited";
  const [unit, scale] = largestUnit(size, SIZE_UNITS);
  return unit === "" ? `${size}B` : `${size / scale}${unit}`;
}
