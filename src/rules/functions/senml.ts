/** SenML (RFC 8428): a pack of records as its resolved records (§4.6), each with all that it means. */
import { put } from "../../lib/own-member.ts";
import { isArray, isMap, member, type Value, type ValueMap } from "../value.ts";
import { fail } from "./define.ts";

/** What a record has by its name in JSON, and by its label in CBOR (§6). */
const LABELS: readonly (readonly [json: string, cbor: string])[] = [
  ["bver", "-1"],
  ["bn", "-2"],
  ["bt", "-3"],
  ["bu", "-4"],
  ["bv", "-5"],
  ["bs", "-6"],
  ["n", "0"],
  ["u", "1"],
  ["v", "2"],
  ["s", "5"],
  ["t", "6"],
  ["ut", "7"],
  ["vs", "3"],
  ["vb", "4"],
  ["vd", "8"],
];
const KNOWN: ReadonlySet<string> = new Set(LABELS.flat());
/** §4.4: a name begins with a letter or a digit. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9\-:./_]*$/;
/** §4.5.3: times below are relative to now. */
const ABSOLUTE_FROM = 2 ** 28;
const VERSION = 10;

interface Base {
  name: string;
  time: number;
  unit: string | undefined;
  value: number;
  sum: number;
  version: number;
}

/** Throws `RuleFailure`. `now` in milliseconds. */
export function senml(function_: string, pack: Value, now: number): Value {
  if (!isArray(pack)) throw fail(function_, "a pack of SenML is a list of records");
  const base: Base = { name: "", time: 0, unit: undefined, value: 0, sum: 0, version: VERSION };
  const resolved: Value[] = [];
  for (const record of pack) {
    if (!isMap(record)) throw fail(function_, "a record of SenML is a map");
    const found = resolve(function_, record, base, now / 1000);
    if (found !== undefined) resolved.push(found);
  }
  return resolved;
}

function resolve(function_: string, record: ValueMap, base: Base, now: number): ValueMap | undefined {
  refuseUnknown(function_, record);
  const get = (name: string): Value => field(record, name);
  takeBase(function_, base, get);
  const value = valueIn(function_, base, get);
  const sum = get("s");
  if (value === undefined && sum === undefined) return undefined;
  const name = base.name + textual(function_, "n", get("n"), "");
  if (!NAME.test(name)) throw fail(function_, `'${name}' is no name of a record`);
  const time = base.time + numeric(function_, "t", get("t"), 0);
  const made: Record<string, Value> = { name, time: time < ABSOLUTE_FROM ? now + time : time };
  const unit = textual(function_, "u", get("u"), base.unit ?? "");
  if (unit !== "") put(made, "unit", unit);
  if (value !== undefined) put(made, "value", value);
  if (sum !== undefined || base.sum !== 0) put(made, "sum", base.sum + numeric(function_, "s", sum, 0));
  const update = get("ut");
  if (update !== undefined) put(made, "update_time", numeric(function_, "ut", update, 0));
  return made;
}

const CBOR_LABELS: ReadonlyMap<string, string> = new Map(LABELS);

const field = (record: ValueMap, name: string): Value =>
  member(record, name) ?? member(record, CBOR_LABELS.get(name) ?? name);

/** §4.4: what ends in `_` must be understood. */
function refuseUnknown(function_: string, record: ValueMap): void {
  for (const name of Object.keys(record)) {
    if (name.endsWith("_") && !KNOWN.has(name))
      throw fail(function_, `'${name}' must be understood and is not`);
  }
}

function takeBase(function_: string, base: Base, get: (name: string) => Value): void {
  base.version = numeric(function_, "bver", get("bver"), base.version);
  if (base.version > VERSION) throw fail(function_, `version ${base.version} is newer than ${VERSION}`);
  base.name = textual(function_, "bn", get("bn"), base.name);
  base.time = numeric(function_, "bt", get("bt"), base.time);
  base.unit = textual(function_, "bu", get("bu"), base.unit ?? "") || undefined;
  base.value = numeric(function_, "bv", get("bv"), base.value);
  base.sum = numeric(function_, "bs", get("bs"), base.sum);
}

function valueIn(function_: string, base: Base, get: (name: string) => Value): Value {
  const value = get("v");
  const others = [get("vs"), get("vb"), get("vd")].filter((each) => each !== undefined);
  if (others.length + (value === undefined ? 0 : 1) > 1)
    throw fail(function_, "a record has one value at most");
  if (value !== undefined) return base.value + numeric(function_, "v", value, 0);
  // A base value is the value of records that have none of their own (§4.1).
  if (others.length === 0)
    return get("bv") === undefined && base.value === 0 ? undefined : numberless(base, get);
  const data = get("vd");
  return typeof data === "string" ? new Uint8Array(Buffer.from(data, "base64url")) : others[0];
}

const numberless = (base: Base, get: (name: string) => Value): Value =>
  get("s") === undefined && get("n") === undefined ? undefined : base.value;

function numeric(function_: string, name: string, value: Value, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  throw fail(function_, `'${name}' is a number`);
}

function textual(function_: string, name: string, value: Value, otherwise: string): string {
  if (value === undefined) return otherwise;
  if (typeof value === "string") return value;
  throw fail(function_, `'${name}' is a text`);
}
