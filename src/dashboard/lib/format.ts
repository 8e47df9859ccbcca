/** Ages and times as the whole dashboard writes them, by the clock of the node. */
import { signal } from "@preact/signals";
import { nodeNow } from "./api.ts";
import { span, two, UNKNOWN } from "./quantities.ts";

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
