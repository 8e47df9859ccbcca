/**
 * Ranges and enumerations of definitions (LwM2M 1.1 Appendix D.1): `0..100`, `1,3,7`, `16,32,48 bytes`, or a list of
 * quoted texts. Of texts and bytes a range counts octets. What is written in another way limits nothing.
 */
import { utf8 } from "#core/lib/bytes.ts";
import type { Value } from "../content/value.ts";

const NUMBER = String.raw`[+-]?\d+(?:\.\d+)?`;
const SPAN = new RegExp(String.raw`^(${NUMBER})\s*(?:\.\.+|-|to)\s*(${NUMBER})$`);
const ONE = new RegExp(`^${NUMBER}$`);
const OCTETS = /\s*\(?(?:bytes?|octets?)\)?$/i;
const TEXTS = /^"[^"]*"(?:\s*[,|]\s*"[^"]*")*$/;

type Span = readonly [number, number];

function spansOf(range: string): Span[] | undefined {
  const spans: Span[] = [];
  for (const part of range.split(",").map((each) => each.trim())) {
    const [, from, to] = SPAN.exec(part) ?? (ONE.test(part) ? [part, part, part] : []);
    if (from === undefined || to === undefined) return undefined;
    spans.push([Number(from), Number(to)]);
  }
  return spans;
}

/** What is wrong with a value under the range of its definition, as a phrase; `undefined` when nothing is. */
export function outOfRange(value: Value, range: string): string | undefined {
  const stated = range.trim();
  if (stated === "" || typeof value === "boolean") return undefined;
  if (TEXTS.test(stated)) {
    const allowed = [...stated.matchAll(/"([^"]*)"/g)].map((match) => match[1]);
    return typeof value !== "string" || allowed.includes(value)
      ? undefined
      : `"${value}" is not of ${stated}`;
  }
  const spans = spansOf(stated.replace(OCTETS, ""));
  if (spans === undefined) return undefined;
  const octets = typeof value === "string" ? utf8(value).length : undefined;
  const size = value instanceof Uint8Array ? value.length : octets;
  const measured = size ?? (typeof value === "number" || typeof value === "bigint" ? value : undefined);
  if (measured === undefined || spans.some(([from, to]) => measured >= from && measured <= to))
    return undefined;
  return `${size === undefined ? measured : `a length of ${size} bytes`} is out of the range ${stated}`;
}
