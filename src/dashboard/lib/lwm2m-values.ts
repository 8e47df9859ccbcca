/** Values of LwM2M resources as they are typed, and as the API takes them. */

export interface Resource {
  readonly id: number;
  readonly name: string;
  readonly operations: "R" | "W" | "RW" | "E" | "";
  readonly multiple: boolean;
  readonly mandatory: boolean;
  readonly type?: string;
  readonly range: string;
  readonly units: string;
}

/** Why a text is no value of this type; undefined when it is one. */
export function wrongFor(
  text: string,
  { type, range }: Pick<Resource, "type" | "range">,
): string | undefined {
  if (type === "integer" || type === "unsigned" || type === "time") {
    if (!/^-?\d+$/.test(text)) return "a whole number is needed";
    if (type === "unsigned" && text.startsWith("-")) return "a whole number from 0 on is needed";
    return outside(range, (bound) => compared(BigInt(text), bound));
  }
  if (type === "float") {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value)) return "a number is needed";
    return outside(range, (bound) => value - Number(bound));
  }
  if (type === "objlnk") return /^\d+:\d+$/.test(text) ? undefined : "object:instance, as 3:0";
  if (type === "opaque") return /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? undefined : "base64 is needed";
  return undefined;
}

/** `0..100`, `-20-50`, `0.5..1`. */
const RANGE = /^(-?\d+(?:\.\d+)?)\s*(?:\.\.|-)\s*(-?\d+(?:\.\d+)?)$/;

/** `beyond`: how far above a bound the value is. */
function outside(range: string, beyond: (bound: string) => number): string | undefined {
  const [, least, most] = RANGE.exec(range.trim()) ?? [];
  if (least === undefined || most === undefined) return undefined;
  return beyond(least) < 0 || beyond(most) > 0 ? `out of the range ${range}` : undefined;
}

/** Numbers of 64 bits are compared whole. */
function compared(value: bigint, bound: string): number {
  const other = BigInt(bound.split(".")[0]!);
  return value < other ? -1 : value > other ? 1 : 0;
}

/** As the API takes it: numbers beyond 2^53 stay text. */
export function valueFor(text: string, type: string | undefined): unknown {
  if (type === "boolean") return text === "true";
  if (type === "float") return Number(text);
  if (type === "integer" || type === "unsigned" || type === "time")
    return Number.isSafeInteger(Number(text)) ? Number(text) : text;
  return text;
}
