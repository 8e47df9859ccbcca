/** application/vnd.oma.lwm2m+json, content format 11543, and 1543 before it was registered (LwM2M 1.0 §6.4.4). */
import { text, utf8 } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import { type Path, parsePath } from "../objects/path.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { formatExactJson, isJsonObject, type Json, type JsonObject, parseExactJson } from "./exact-json.ts";
import { refine } from "./refine.ts";
import { RECORDS_MAX } from "./senml.ts";
import {
  type Entry,
  formatObjectLink,
  isObjectLink,
  parseObjectLink,
  type Types,
  type Value,
} from "./value.ts";

const CLAUSE = "LwM2M 1.0 §6.4.4";

export function decodeLwm2mJson(bytes: Uint8Array, base: Path, types: Types): Result<Entry[], DecodeError> {
  const readable = text(bytes);
  if (readable === undefined) return decodeError(CLAUSE, 0, "not UTF-8");
  const json = parseExactJson(readable);
  if (!json.ok) return json;
  if (!isJsonObject(json.value)) return decodeError(CLAUSE, 0, "not an object");
  const { bn, bt, e } = json.value as { [label: string]: Json };
  if (bn !== undefined && typeof bn !== "string") return decodeError(CLAUSE, 0, "bn is not a text");
  if (bt !== undefined && typeof bt !== "number") return decodeError(CLAUSE, 0, "bt is not a number");
  if (!Array.isArray(e) || e.length > RECORDS_MAX)
    return decodeError(CLAUSE, 0, "e is not an array of values");
  const entries: Entry[] = [];
  for (const [index, item] of (e as readonly Json[]).entries()) {
    const entry = entryOf(item, index, bn ?? base.toString(), bt, types);
    if (!entry.ok) return entry;
    entries.push(entry.value);
  }
  return ok(entries);
}

function entryOf(
  item: Json,
  index: number,
  baseName: string,
  baseTime: number | undefined,
  types: Types,
): Result<Entry, DecodeError> {
  if (!isJsonObject(item)) return decodeError(CLAUSE, index, `value ${index} is not an object`);
  const { n, t } = item as { [label: string]: Json };
  if (n !== undefined && typeof n !== "string")
    return decodeError(CLAUSE, index, `value ${index}: n is not a text`);
  if (t !== undefined && typeof t !== "number")
    return decodeError(CLAUSE, index, `value ${index}: t is not a number`);
  const path = parsePath(joined(baseName, n ?? ""));
  if (!path.ok) return decodeError(CLAUSE, index, `value ${index}: the name is not a path`);
  const value = valueIn(item, types.typeOf(path.value) === "opaque");
  if (value === undefined) return decodeError(CLAUSE, index, `value ${index} has no readable value`);
  const time = baseTime === undefined && t === undefined ? undefined : (baseTime ?? 0) + (t ?? 0);
  return refine(CLAUSE, index, path.value, value, types, time);
}

/** Devices leave out the slash between base name and name, or begin the name with one. */
function joined(baseName: string, name: string): string {
  if (name === "") return baseName;
  return `${baseName.replace(/\/$/, "")}/${name.replace(/^\//, "")}`;
}

function valueIn(item: JsonObject, opaque: boolean): Value | undefined {
  const { v, sv, bv, ov } = item as { [label: string]: Json };
  if (typeof v === "number" || typeof v === "bigint") return v;
  if (typeof bv === "boolean") return bv;
  if (typeof ov === "string") return parseObjectLink(ov);
  if (typeof sv !== "string") return undefined;
  return opaque ? decodeBase64(sv) : sv;
}

export function encodeLwm2mJson(base: Path, entries: readonly Entry[]): Uint8Array {
  const single = entries.length === 1 && entries[0]?.path.equals(base) === true;
  const bn = single || base.ids.length === 0 ? base.toString() : `${base}/`;
  const e = entries.map((entry) => ({
    ...(single ? undefined : { n: entry.path.toString().slice(bn.length) }),
    ...(entry.time === undefined ? undefined : { t: entry.time }),
    ...labelled(entry.value ?? ""),
  }));
  return utf8(formatExactJson({ bn, e }));
}

function labelled(value: Value): JsonObject {
  if (typeof value === "string") return { sv: value };
  if (typeof value === "boolean") return { bv: value };
  if (value instanceof Uint8Array) return { sv: encodeBase64(value) };
  return isObjectLink(value) ? { ov: formatObjectLink(value) } : { v: value };
}
