/** Numbers, ages and times as the whole dashboard writes them. Unknown is a dash, never 0. */
import { signal } from "@preact/signals";
import { nodeNow } from "./api.ts";

export const UNKNOWN = "–";

export function count(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return UNKNOWN;
  if (Math.abs(value) >= 1_000_000) return `${(value / 1_000_000).toFixed(2)} M`;
  return Math.round(value).toLocaleString("en-US");
}

export function rate(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return UNKNOWN;
  if (value === 0) return "0/s";
  if (value < 0.1) return `${count(Math.max(1, value * 60))} a minute`;
  return `${value < 10 ? value.toFixed(1) : count(value)}/s`;
}

const UNITS = ["B", "KB", "MB", "GB", "TB"];
export function bytes(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return UNKNOWN;
  let [size, unit] = [value, 0];
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size).toLocaleString("en-US") : size.toFixed(1)} ${UNITS[unit]}`;
}

/** `58 ms`, `5.0 s`, `11 min 02 s`, `3 h 12 min`, `6 d 20 h`. */
export function length(milliseconds: number): string {
  if (milliseconds < 1_000)
    return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1_000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  if (minutes < 60) return `${minutes} min ${two(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `0.4 s`, `12 s`, `4 min`, `3 h 12 min`; rough enough to read. */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  if (hours < 48) return `${hours} h`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Grows each second, so that ages are counted on between two answers. */
export const second = signal(0);
setInterval(() => {
  if (!document.hidden) second.value++;
}, 1_000);

export type At = string | number | undefined;
export const millis = (at: At): number | undefined =>
  at === undefined ? undefined : typeof at === "number" ? at : Date.parse(at);

export function age(at: At): string {
  void second.value;
  const time = millis(at);
  return time === undefined ? UNKNOWN : span(nodeNow() - time);
}

/** `in 11 min`, `2 h 02 min ago`. */
export function due(at: At): string {
  void second.value;
  const time = millis(at);
  if (time === undefined) return "never promised";
  const left = time - nodeNow();
  return left >= 0 ? `in ${span(left)}` : `${span(-left)} ago`;
}

/** Times in UTC instead of the zone of the browser. */
export const utc = signal(false);

const two = (value: number, digits = 2): string => String(value).padStart(digits, "0");

export function clock(at: At, { fraction = false } = {}): string {
  const time = millis(at);
  if (time === undefined || Number.isNaN(time)) return UNKNOWN;
  const date = new Date(time);
  const [h, m, s, ms] = utc.value
    ? [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds(), date.getUTCMilliseconds()]
    : [date.getHours(), date.getMinutes(), date.getSeconds(), date.getMilliseconds()];
  return `${two(h)}:${two(m)}:${two(s)}${fraction ? `.${two(ms, 3)}` : ""}`;
}

export function moment(at: At): string {
  const time = millis(at);
  if (time === undefined || Number.isNaN(time)) return UNKNOWN;
  const date = new Date(time);
  const day = utc.value
    ? `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`
    : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${clock(time)}`;
}
