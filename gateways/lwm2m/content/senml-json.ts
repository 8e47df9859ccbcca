/** application/senml+json, content format 110, and its ETCH form 320 (RFC 8428 §5, RFC 8790). */
import { text, utf8 } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, err, ok, type Result } from "#core/lib/result.ts";
import type { Path } from "../objects/path.ts";
import { decodeBase64Url, encodeBase64Url } from "./base64.ts";
import { formatExactJson, isJsonObject, type Json, type JsonObject, parseExactJson } from "./exact-json.ts";
import { nameOf } from "./names.ts";
import { CLAUSE, entriesOf, RECORDS_MAX, type Record, recordsOf } from "./senml.ts";
import type { Entry, Types, Value } from "./value.ts";

export function decodeSenmlJson(
  bytes: Uint8Array,
  base: Path,
  types: Types,
  root: string,
): Result<Entry[], DecodeError> {
  const records = decodeRecords(bytes);
  return records.ok ? entriesOf(records.value, base, types, root) : records;
}

function decodeRecords(bytes: Uint8Array): Result<Record[], DecodeError> {
  const readable = text(bytes);
  if (readable === undefined) return decodeError(CLAUSE, 0, "not UTF-8");
  const json = parseExactJson(readable);
  if (!json.ok) return json;
  if (!Array.isArray(json.value)) return decodeError(CLAUSE, 0, "a SenML pack is an array");
  if (json.value.length > RECORDS_MAX) return decodeError(CLAUSE, 0, "too many records");
  const records: Record[] = [];
  for (const [index, item] of (json.value as readonly Json[]).entries()) {
    const record = recordOf(item);
    if (typeof record === "string")
      return err({ clause: CLAUSE, at: index, problem: `record ${index}: ${record}` });
    records.push(record);
  }
  return ok(records);
}

/** The record, or what is wrong with it. */
function recordOf(item: Json): Record | string {
  if (!isJsonObject(item)) return "not an object";
  // Labels that end in "_" must be understood or refused (RFC 8428 §4.4).
  const unknown = Object.keys(item).find((label) => label.endsWith("_"));
  if (unknown !== undefined) return `unknown label ${unknown}`;
  const { bn, n, bt, t, bv, vlo } = item as { [label: string]: Json };
  if (!isText(bn) || !isText(n) || !isText(vlo)) return "a name is not a text";
  if (!isNumber(bt) || !isNumber(t) || !(isNumber(bv) || typeof bv === "bigint"))
    return "a time or base value is not a number";
  const value = valueIn(item);
  if (typeof value === "object" && "problem" in value) return value.problem;
  return { bn, n, bt, t, bv, vlo, ...value };
}

const isText = (json: Json | undefined): json is string | undefined =>
  json === undefined || typeof json === "string";
const isNumber = (json: Json | undefined): json is number | undefined =>
  json === undefined || (typeof json === "number" && Number.isFinite(json));

function valueIn(item: JsonObject): { value?: Value; removed?: boolean } | { problem: string } {
  const { v, vs, vb, vd } = item as { [label: string]: Json };
  const present = [v, vs, vb, vd, item["vlo"]].filter((json) => json !== undefined).length;
  if (present > 1) return { problem: "more than one value" };
  if (v === null || vs === null || vb === null || vd === null) return { removed: true };
  if (v !== undefined) {
    return (typeof v === "number" && Number.isFinite(v)) || typeof v === "bigint"
      ? { value: v }
      : { problem: "v is not a number" };
  }
  if (vs !== undefined) return typeof vs === "string" ? { value: vs } : { problem: "vs is not a text" };
  if (vb !== undefined)
    return typeof vb === "boolean" ? { value: vb } : { problem: "vb is not a truth value" };
  if (vd === undefined) return {};
  const data = typeof vd === "string" ? decodeBase64Url(vd) : undefined;
  return data === undefined ? { problem: "vd is not base64url" } : { value: data };
}

/** An entry without a value becomes `"v": null`, which removes (RFC 8790 §3.1). */
export const encodeSenmlJson = (base: Path, entries: readonly Entry[], root: string): Uint8Array =>
  utf8(
    formatExactJson(
      recordsOf(base, entries, root).map((record) => ({ ...named(record), ...labelled(record) })),
    ),
  );

/** The paths of a composite read or observe: records with names only (LwM2M 1.1 §6.3.9). */
export const encodePathsJson = (paths: readonly Path[], root: string): Uint8Array =>
  utf8(formatExactJson(paths.map((path) => ({ n: nameOf(path, root) }))));

function named(record: Record): JsonObject {
  return {
    ...(record.bn === undefined ? undefined : { bn: record.bn }),
    ...(record.n === undefined ? undefined : { n: record.n }),
    ...(record.t === undefined ? undefined : { t: record.t }),
  };
}

function labelled(record: Record): JsonObject {
  const { value, vlo } = record;
  if (vlo !== undefined) return { vlo };
  if (value === undefined) return { v: null };
  if (typeof value === "string") return { vs: value };
  if (typeof value === "boolean") return { vb: value };
  if (value instanceof Uint8Array) return { vd: encodeBase64Url(value) };
  return { v: value as number | bigint };
}
