/** application/senml+cbor, content format 112, and its ETCH form 322 (RFC 8428 §6, RFC 8790). */
import { type DecodeError, decodeError, err, type Result } from "#core/lib/result.ts";
import type { Path } from "../objects/path.ts";
import { type Cbor, decodeCbor } from "./cbor-codec.ts";
import { CborWriter } from "./cbor-writer.ts";
import { nameOf } from "./names.ts";
import { CLAUSE, entriesOf, RECORDS_MAX, type Record, recordsOf } from "./senml.ts";
import type { Entry, Types, Value } from "./value.ts";

/** Map keys (RFC 8428 §6, table 4); an object link keeps its text label (LwM2M 1.1 §7.4.5). */
const Label = { bv: -5, bt: -3, bn: -2, n: 0, v: 2, vs: 3, vb: 4, t: 6, vd: 8, vlo: "vlo" } as const;

export function decodeSenmlCbor(
  bytes: Uint8Array,
  base: Path,
  types: Types,
  root: string,
): Result<Entry[], DecodeError> {
  const cbor = decodeCbor(bytes);
  if (!cbor.ok) return cbor;
  if (!Array.isArray(cbor.value)) return decodeError(CLAUSE, 0, "a SenML pack is an array");
  if (cbor.value.length > RECORDS_MAX) return decodeError(CLAUSE, 0, "too many records");
  const records: Record[] = [];
  for (const [index, item] of (cbor.value as readonly Cbor[]).entries()) {
    const record = recordOf(item);
    if (typeof record === "string")
      return err({ clause: CLAUSE, at: index, problem: `record ${index}: ${record}` });
    records.push(record);
  }
  return entriesOf(records, base, types, root);
}

/** The record, or what is wrong with it. */
function recordOf(item: Cbor): Record | string {
  if (!(item instanceof Map)) return "not a map";
  for (const label of item.keys()) {
    if (typeof label === "string" && label.endsWith("_")) return `unknown label ${label}`;
  }
  const bn = item.get(Label.bn);
  const n = item.get(Label.n);
  const vlo = item.get(Label.vlo);
  if (!isText(bn) || !isText(n) || !isText(vlo)) return "a name is not a text";
  const bt = item.get(Label.bt);
  const t = item.get(Label.t);
  const bv = item.get(Label.bv);
  if (!isNumber(bt) || !isNumber(t) || !(isNumber(bv) || typeof bv === "bigint"))
    return "a time or base value is not a number";
  const value = valueIn(item);
  return typeof value === "string" ? value : { bn, n, bt, t, bv, vlo, ...value };
}

const isText = (cbor: Cbor | undefined): cbor is string | undefined =>
  cbor === undefined || typeof cbor === "string";
const isNumber = (cbor: Cbor | undefined): cbor is number | undefined =>
  cbor === undefined || (typeof cbor === "number" && Number.isFinite(cbor));

function valueIn(item: ReadonlyMap<Cbor, Cbor>): { value?: Value; removed?: boolean } | string {
  const labels = [Label.v, Label.vs, Label.vb, Label.vd, Label.vlo].filter((label) => item.has(label));
  if (labels.length > 1) return "more than one value";
  const [label] = labels;
  if (label === undefined || label === Label.vlo) return {};
  const value = item.get(label) as Cbor;
  if (value === null) return { removed: true };
  switch (label) {
    case Label.v:
      return typeof value === "number" || typeof value === "bigint" ? { value } : "v is not a number";
    case Label.vs:
      return typeof value === "string" ? { value } : "vs is not a text";
    case Label.vb:
      return typeof value === "boolean" ? { value } : "vb is not a truth value";
    case Label.vd:
      return value instanceof Uint8Array ? { value } : "vd is not a byte string";
  }
}

/** An entry without a value becomes a null number, which removes (RFC 8790 §3.1). */
export function encodeSenmlCbor(base: Path, entries: readonly Entry[], root: string): Uint8Array {
  const records = recordsOf(base, entries, root);
  const writer = new CborWriter().array(records.length);
  for (const [index, record] of records.entries())
    writeRecord(writer, record, (entries[index] as Entry).type);
  return writer.bytes();
}

/** The paths of a composite read or observe: records with names only (LwM2M 1.1 §6.3.9). */
export function encodePathsCbor(paths: readonly Path[], root: string): Uint8Array {
  const writer = new CborWriter().array(paths.length);
  for (const path of paths) writer.map(1).integer(Label.n).text(nameOf(path, root));
  return writer.bytes();
}

function writeRecord(writer: CborWriter, record: Record, type: Entry["type"]): void {
  const { bn, n, t, value, vlo } = record;
  writer.map(1 + [bn, n, t].filter((field) => field !== undefined).length);
  if (bn !== undefined) writer.integer(Label.bn).text(bn);
  if (n !== undefined) writer.integer(Label.n).text(n);
  if (t !== undefined) writer.integer(Label.t).number(t);
  if (vlo !== undefined) writer.text(Label.vlo).text(vlo);
  else if (value === undefined) writer.integer(Label.v).null();
  else if (typeof value === "string") writer.integer(Label.vs).text(value);
  else if (typeof value === "boolean") writer.integer(Label.vb).boolean(value);
  else if (value instanceof Uint8Array) writer.integer(Label.vd).data(value);
  else if (type === "float") writer.integer(Label.v).float(Number(value));
  else writer.integer(Label.v).number(value as number | bigint);
}
