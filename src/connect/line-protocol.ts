/** InfluxDB's line protocol: a point as a line of text. */
import { ActionError } from "../rules/action.ts";
import { Template } from "../rules/template.ts";
import { asText, RuleFailure, type Value } from "../rules/value.ts";

export interface PointSettings {
  readonly measurement: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string>>;
  readonly timestamp: string;
  readonly precision: Precision;
}

/** Nanoseconds of each unit. */
const UNITS = { ns: 1, us: 1_000, ms: 1_000_000, s: 1_000_000_000 } as const;
export type Precision = keyof typeof UNITS;

/** Compiles to what makes a line, without its end. Throws `TemplateError` and `ActionError`. */
export function pointLine({ measurement, tags, fields, timestamp, precision }: PointSettings) {
  const name = new Template(measurement);
  const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1);
  // Sorted, as the server likes them best.
  const labels = Object.entries(tags)
    .map(([key, text]) => [escapedKey(key), new Template(text)] as const)
    .sort(byName);
  const values = Object.entries(fields).map(([key, text]) => [escapedKey(key), fieldOf(text)] as const);
  if (values.length === 0) throw new ActionError("a point needs a field");
  const time = new Template(timestamp);
  return (output: Value): string => {
    let line = escaped(name.fill(output), /[, ]/g);
    for (const [key, label] of labels) {
      const value = label.value(output);
      const text = value === undefined || value === null ? "" : escapedKey(asText(value));
      // A tag without a value is none.
      if (text !== "") line += `,${key}=${text}`;
    }
    const set = values.map(([key, field]) => [key, field(output)] as const);
    const written = set.filter(([, value]) => value !== undefined).map(([key, value]) => `${key}=${value}`);
    if (written.length === 0) throw new RuleFailure("influxdb: none of the point's fields has a value");
    return `${line} ${written.join(",")}${timestamp === "" ? "" : ` ${nanoseconds(time.value(output), precision)}`}`;
  };
}

/** A place alone is written as what it is; behind it `i` makes it a whole number, and `u` one without a sign. */
function fieldOf(text: string): (output: Value) => string | undefined {
  const [, place, suffix] = /^(\$\{[^}]*\})([iu])$/.exec(text) ?? [];
  const template = new Template(place ?? text);
  return (output) => {
    const value = template.value(output);
    if (value === undefined || value === null) return undefined;
    return suffix === undefined ? fieldValue(value) : whole(value, suffix);
  };
}

function fieldValue(value: Value): string {
  if (typeof value === "boolean") return String(value);
  if (typeof value === "bigint") return `${value}i`;
  if (typeof value !== "number") return quoted(asText(value));
  if (Number.isFinite(value)) return String(value);
  throw new RuleFailure(`influxdb: ${value} is no value of a field`);
}

function whole(value: Value, suffix: string): string {
  const text = asText(value);
  if (/^-?\d{1,20}$/.test(text)) return text + suffix;
  throw new RuleFailure(`influxdb: a field with ${suffix} must be a whole number, not ${text.slice(0, 40)}`);
}

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, "\\$&")}"`;

/** An end of line would end the point; a backslash at the end would take what follows. */
const escaped = (text: string, special: RegExp): string =>
  text
    .replaceAll(/[\r\n]+/g, " ")
    .replace(/\\+$/, "")
    .replaceAll(special, "\\$&");

const escapedKey = (text: string): string => escaped(text, /[,= ]/g);

function nanoseconds(value: Value, precision: Precision): string {
  const text = typeof value === "number" ? String(Math.floor(value)) : asText(value);
  if (!/^-?\d{1,19}$/.test(text)) throw new RuleFailure(`influxdb: ${text.slice(0, 40)} is no time`);
  return String(BigInt(text) * BigInt(UNITS[precision]));
}
