/**
 * SenML packs as LwM2M uses them (RFC 8428 with LwM2M 1.1 §7.4.5): what JSON and CBOR have in common. Each
 * record is a path by base name and name, a time, and at most one value.
 */
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import type { Path } from "../objects/path.ts";
import { nameOf, pathNamed } from "./names.ts";
import { refine } from "./refine.ts";
import {
  type Entry,
  formatObjectLink,
  isObjectLink,
  narrow,
  parseObjectLink,
  type Types,
  type Value,
} from "./value.ts";

export const CLAUSE = "RFC 8428 §4";
/** Times below this are relative to now (RFC 8428 §4.5.3). */
const RELATIVE_TIME_LIMIT = 2 ** 28;
/** Records in one pack; a device that sends more is not sending a reading. */
export const RECORDS_MAX = 10_000;

export interface Record {
  readonly bn?: string | undefined;
  readonly bt?: number | undefined;
  readonly bv?: number | bigint | undefined;
  readonly n?: string | undefined;
  readonly t?: number | undefined;
  /** A number, string, truth value or bytes. */
  readonly value?: Value | undefined;
  /** Object link in its text form. */
  readonly vlo?: string | undefined;
  /** The value is JSON or CBOR null: to be removed (RFC 8790 §3.1). */
  readonly removed?: boolean | undefined;
}

/**
 * `base` is the requested path: a pack whose records carry no name at all means it. `root` is the alternate path
 * that names begin with, empty when there is none. Times in the result are as sent; `absoluteTime` makes them epoch
 * seconds.
 */
export function entriesOf(
  records: readonly Record[],
  base: Path,
  types: Types,
  root: string,
): Result<Entry[], DecodeError> {
  const entries: Entry[] = [];
  let baseName: string | undefined;
  let baseTime: number | undefined;
  let baseValue: number | bigint = 0;
  for (const [index, record] of records.entries()) {
    baseName = record.bn ?? baseName;
    baseTime = record.bt ?? baseTime;
    baseValue = record.bv ?? baseValue;
    const unnamed = baseName === undefined && record.n === undefined;
    const path = unnamed ? ok(base) : pathNamed((baseName ?? "") + (record.n ?? ""), base, root);
    if (!path.ok) return decodeError(CLAUSE, index, `record ${index}: the name is not a path`);
    const value = valueIn(record, baseValue);
    if (value === "malformed")
      return decodeError(CLAUSE, index, `record ${index}: the object link is malformed`);
    const time =
      baseTime === undefined && record.t === undefined ? undefined : (baseTime ?? 0) + (record.t ?? 0);
    const bare = value === undefined && record.removed !== true;
    // A record of base fields alone says nothing by itself (RFC 8428 §4.1).
    if (bare && record.n === undefined && records.length > 1) continue;
    const entry = refine(CLAUSE, index, path.value, value as Value | undefined, types, time);
    if (!entry.ok) return entry;
    entries.push(entry.value);
  }
  return ok(entries);
}

function valueIn(record: Record, baseValue: number | bigint): Value | undefined | "malformed" {
  const { value } = record;
  if (record.vlo !== undefined) return parseObjectLink(record.vlo) ?? "malformed";
  return (typeof value === "number" || typeof value === "bigint") && baseValue !== 0
    ? sumOf(value, baseValue)
    : value;
}

/** Of integers exactly, also beyond 2^53 (RFC 8428 §4.1, base value). */
function sumOf(value: number | bigint, base: number | bigint): number | bigint {
  const exact = [value, base].every((each) => typeof each === "bigint" || Number.isSafeInteger(each));
  return exact ? narrow(BigInt(value) + BigInt(base)) : Number(value) + Number(base);
}

/** Records for entries: one base name, and each entry named below it. */
export function recordsOf(base: Path, entries: readonly Entry[], root: string): Record[] {
  const [first] = entries;
  if (first === undefined) return [];
  const single = entries.length === 1 && first.path.equals(base);
  const whole = base.ids.length === 0;
  const bn = single ? nameOf(base, root) : whole ? undefined : `${nameOf(base, root)}/`;
  return entries.map((entry, index) => {
    const name = nameOf(entry.path, root);
    const n = single ? undefined : bn === undefined ? name : name.slice(bn.length);
    const link = entry.value !== undefined && isObjectLink(entry.value);
    return {
      ...(index === 0 && bn !== undefined ? { bn } : undefined),
      ...(n === undefined ? undefined : { n }),
      ...(entry.time === undefined ? undefined : { t: entry.time }),
      ...(link ? { vlo: formatObjectLink(entry.value) } : { value: entry.value }),
    };
  });
}

/** Epoch seconds of a SenML time, which may be relative to `now` (epoch seconds). */
export const absoluteTime = (time: number, now: number): number =>
  time < RELATIVE_TIME_LIMIT ? now + time : time;
