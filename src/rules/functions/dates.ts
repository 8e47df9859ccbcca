import { exact, type Value } from "../value.ts";
import { any, anyWhole, choice, type FunctionTable, fail, of, ofMany, optional, text } from "./define.ts";

/** How many of a unit are a second. */
const UNITS = {
  second: 1n,
  millisecond: 1_000n,
  microsecond: 1_000_000n,
  nanosecond: 1_000_000_000n,
} as const;
type Unit = keyof typeof UNITS;
const unit = choice("second", "millisecond", "microsecond", "nanosecond");
const NANOSECONDS = UNITS.nanosecond;
const DIGITS: Readonly<Record<Unit, number>> = { second: 0, millisecond: 3, microsecond: 6, nanosecond: 9 };

/** Of the years 0 to 9999, which have four digits (RFC 3339 §1). */
const EARLIEST = BigInt(Date.parse("0000-01-01T00:00:00Z")) * 1_000_000n;
const LATEST = BigInt(Date.UTC(10_000, 0, 1)) * 1_000_000n;

const divided = (value: bigint, by: bigint): bigint =>
  value < 0n && value % by !== 0n ? value / by - 1n : value / by;
const inUnit = (nanoseconds: bigint, to: Unit): Value => exact(divided(nanoseconds, NANOSECONDS / UNITS[to]));
/** In nanoseconds. */
const nowOf = (milliseconds: number): bigint => BigInt(Math.floor(milliseconds)) * 1_000_000n;

function fromUnit(name: string, time: bigint, from: Unit): bigint {
  const nanoseconds = time * (NANOSECONDS / UNITS[from]);
  if (nanoseconds < EARLIEST || nanoseconds >= LATEST)
    throw fail(name, "the year has to be one of 0 to 9999");
  return nanoseconds;
}

const OFFSET = /^([+-])(\d\d):?(\d\d)?(?::?(\d\d))?$/;

/** In seconds, of a zone at a time. */
function offsetSeconds(name: string, zone: Value, nanoseconds: bigint): number {
  if (typeof zone === "number" && Number.isInteger(zone) && Math.abs(zone) < 86_400) return zone;
  if (zone === "Z" || zone === "z") return 0;
  if (zone === "local") return -new Date(Number(nanoseconds / 1_000_000n)).getTimezoneOffset() * 60;
  const found = typeof zone === "string" ? OFFSET.exec(zone) : null;
  if (found === null) throw fail(name, "an offset is 'Z', 'local', one as '+08:00', or a number of seconds");
  const [, sign, hours, minutes = "0", seconds = "0"] = found;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59)
    throw fail(name, "there is no such offset");
  return (sign === "-" ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds));
}

const two = (value: number): string => String(value).padStart(2, "0");

function offsetText(offset: number, colons: number): string {
  const size = Math.abs(offset);
  const [hours, minutes, seconds] = [Math.floor(size / 3600), Math.floor(size / 60) % 60, size % 60];
  const parts = colons === 2 ? [hours, minutes, seconds] : [hours, minutes];
  return (offset < 0 ? "-" : "+") + parts.map(two).join(colons === 0 ? "" : ":");
}

const PLACEHOLDER = /%(Y|m|d|H|M|S|N|6N|3N|z|:z|::z|%)/g;

function format(nanoseconds: bigint, offset: number, pattern: string): string {
  const local = nanoseconds + BigInt(offset) * NANOSECONDS;
  const date = new Date(Number(divided(local, 1_000_000n)));
  const fraction = String(local - divided(local, NANOSECONDS) * NANOSECONDS).padStart(9, "0");
  return pattern.replace(PLACEHOLDER, (_, placeholder: string) => {
    switch (placeholder) {
      case "Y":
        return String(date.getUTCFullYear()).padStart(4, "0");
      case "m":
        return two(date.getUTCMonth() + 1);
      case "d":
        return two(date.getUTCDate());
      case "H":
        return two(date.getUTCHours());
      case "M":
        return two(date.getUTCMinutes());
      case "S":
        return two(date.getUTCSeconds());
      case "N":
        return fraction;
      case "6N":
        return fraction.slice(0, 6);
      case "3N":
        return fraction.slice(0, 3);
      case "%":
        return "%";
      default:
        return offsetText(offset, placeholder.length - 1);
    }
  });
}

const RFC_3339 = "%Y-%m-%dT%H:%M:%S";

function rfc3339(nanoseconds: bigint, to: Unit): string {
  const fraction = format(nanoseconds, 0, "%N").slice(0, DIGITS[to]);
  return `${format(nanoseconds, 0, RFC_3339)}${fraction === "" ? "" : `.${fraction}`}Z`;
}

interface Fields {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly fraction: string;
}

function nanosecondsOf(name: string, at: Fields): bigint {
  const { year, month, day, hour, minute, second, fraction } = at;
  // Not Date.UTC: it takes the years 0 to 99 for those of the last century.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isDay = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  // A leap second is the first of the next minute (RFC 3339 §5.7).
  if (!isDay || hour > 23 || minute > 59 || second > 60) throw fail(name, "there is no such day or time");
  const seconds = BigInt(date.getTime() / 1000) + BigInt(hour * 3600 + minute * 60 + second);
  return seconds * NANOSECONDS + BigInt(fraction.padEnd(9, "0").slice(0, 9));
}

const WRITTEN = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-]\d\d:\d\d))$/;

function fromRfc3339(name: string, written: string): bigint {
  const found = WRITTEN.exec(written);
  if (found === null) throw fail(name, "the text is no time of RFC 3339");
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const time = nanosecondsOf(name, { year, month, day, hour, minute, second, fraction: found[7] ?? "" });
  return time - BigInt(offsetSeconds(name, found[8] ?? "Z", time)) * NANOSECONDS;
}

/** What each placeholder is read as. */
const READ: Readonly<Record<string, string>> = {
  Y: "(?<Y>\\d{4})",
  m: "(?<m>\\d\\d)",
  d: "(?<d>\\d\\d)",
  H: "(?<H>\\d\\d)",
  M: "(?<M>\\d\\d)",
  S: "(?<S>\\d\\d)",
  N: "(?<N>\\d{9})",
  "6N": "(?<N>\\d{6})",
  "3N": "(?<N>\\d{3})",
  z: "(?<z>[+-]\\d{4}|[Zz])",
  ":z": "(?<z>[+-]\\d\\d:\\d\\d|[Zz])",
  "::z": "(?<z>[+-]\\d\\d:\\d\\d:\\d\\d|[Zz])",
};
const PATTERN_MAX = 256;

/** Each placeholder has a fixed width and stands once: nothing to go back over. */
function reader(name: string, pattern: string, zoneIsGiven: boolean): RegExp {
  if (pattern.length > PATTERN_MAX) throw fail(name, `a format may have ${PATTERN_MAX} characters`);
  const used = new Set<string>();
  let source = "";
  let from = 0;
  for (const found of pattern.matchAll(PLACEHOLDER)) {
    source += escaped(pattern.slice(from, found.index));
    from = found.index + found[0].length;
    const placeholder = found[1]!;
    const group = placeholder.replace(/[:63]/g, "");
    if (used.has(group)) throw fail(name, `%${group} stands twice in the format`);
    used.add(group);
    source += placeholder === "%" ? "%" : READ[placeholder]! + (group === "z" && zoneIsGiven ? "?" : "");
  }
  return new RegExp(`^${source}${escaped(pattern.slice(from))}$`);
}

const escaped = (plain: string): string => plain.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

function fromText(name: string, zone: Value, pattern: string, written: string): bigint {
  const groups = reader(name, pattern, zone !== undefined).exec(written)?.groups;
  if (groups === undefined) throw fail(name, "the text is not as the format says");
  const read = (group: string, otherwise: number): number => Number(groups[group] ?? otherwise);
  const time = nanosecondsOf(name, {
    year: read("Y", 1970),
    month: read("m", 1),
    day: read("d", 1),
    hour: read("H", 0),
    minute: read("M", 0),
    second: read("S", 0),
    fraction: groups["N"] ?? "",
  });
  return time - BigInt(offsetSeconds(name, groups["z"] ?? zone ?? "Z", time)) * NANOSECONDS;
}

function dateToUnix(given: readonly Value[]): Value {
  const name = "date_to_unix_ts";
  const to = given[0];
  const zone = given.length === 4 ? given[1] : undefined;
  const [pattern, written] = given.slice(-2);
  if (given.length > 4) throw fail(name, "takes 3 or 4 values");
  if (typeof to !== "string" || !Object.hasOwn(UNITS, to)) throw fail(name, `argument 1 must be ${unit.is}`);
  if (typeof pattern !== "string" || typeof written !== "string")
    throw fail(name, "needs a format and a text");
  return inUnit(fromText(name, zone, pattern, written), to as Unit);
}

export const DATES: FunctionTable = {
  now_timestamp: of([optional(unit)], function (to = "second") {
    return inUnit(nowOf(this.now), to);
  }),
  now_rfc3339: of([optional(unit)], function (to = "second") {
    return rfc3339(nowOf(this.now), to);
  }),
  unix_ts_to_rfc3339: of([anyWhole, optional(unit)], function (time, from = "second") {
    return rfc3339(fromUnit(this.name, time, from), from);
  }),
  rfc3339_to_unix_ts: of([text, optional(unit)], function (written, to = "second") {
    return inUnit(fromRfc3339(this.name, written), to);
  }),
  format_date: of([unit, any, text, optional(anyWhole)], function (from, zone, pattern, time) {
    const at = time === undefined ? nowOf(this.now) : fromUnit(this.name, time, from);
    return format(at, offsetSeconds(this.name, zone, at), pattern);
  }),
  date_to_unix_ts: ofMany(any, 3, dateToUnix),
  timezone_to_offset_seconds: of([any], function (zone) {
    return offsetSeconds(this.name, zone, nowOf(this.now));
  }),
  /** MongoDB's date, as its Extended JSON writes it. */
  mongo_date: of([optional(anyWhole), optional(unit)], function (time, from = "millisecond") {
    const at = time === undefined ? nowOf(this.now) : fromUnit(this.name, time, from);
    return { $date: rfc3339(at, "millisecond") };
  }),
};
