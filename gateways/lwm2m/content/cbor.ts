/** application/cbor, content format 60 (LwM2M 1.1 §7.4.6): one resource or resource instance. */
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import type { Path } from "../objects/path.ts";
import { type Cbor, decodeCbor } from "./cbor-codec.ts";
import { CborWriter, TAG_EPOCH_TIME } from "./cbor-writer.ts";
import { refine } from "./refine.ts";
import {
  type Entry,
  formatObjectLink,
  isObjectLink,
  parseObjectLink,
  type ResourceType,
  type Types,
  type Value,
} from "./value.ts";

const CLAUSE = "LwM2M 1.1 §7.4.6";

export function decodeSingleCbor(bytes: Uint8Array, path: Path, types: Types): Result<Entry[], DecodeError> {
  if (path.ids.length < 3) return decodeError(CLAUSE, 0, "a CBOR value can carry one resource only");
  const cbor = decodeCbor(bytes);
  if (!cbor.ok) return cbor;
  const value = scalarOf(cbor.value, types.typeOf(path));
  if (value === undefined) return decodeError(CLAUSE, 0, "not a single value");
  const entry = refine(CLAUSE, 0, path, value, types, undefined);
  return entry.ok ? ok([entry.value]) : entry;
}

/** A CBOR scalar as a value of LwM2M; object links are texts (LwM2M 1.1 Appendix C). */
export function scalarOf(cbor: Cbor, type: ResourceType | undefined): Value | undefined {
  if (cbor === null || Array.isArray(cbor) || cbor instanceof Map) return undefined;
  if (typeof cbor !== "string") return cbor as Value;
  if (type === "objlnk") return parseObjectLink(cbor);
  return type === "time" ? timeOf(cbor) : cbor;
}

/** A text of tag 0 (RFC 8949 §3.4.1), and nothing else that `Date.parse` would take for a date. */
const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

function timeOf(written: string): number | undefined {
  const at = DATE_TIME.test(written) ? Date.parse(written.toUpperCase()) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.floor(at / 1000);
}

export const encodeSingleCbor = (entry: Entry): Uint8Array => writeScalar(new CborWriter(), entry).bytes();

export function writeScalar(writer: CborWriter, entry: Entry): CborWriter {
  const { value, type } = entry;
  if (value === undefined) return writer.null();
  if (typeof value === "string") return writer.text(value);
  if (typeof value === "boolean") return writer.boolean(value);
  if (value instanceof Uint8Array) return writer.data(value);
  if (isObjectLink(value)) return writer.text(formatObjectLink(value));
  if (type === "time") return writer.tag(TAG_EPOCH_TIME).number(value);
  return type === "float" ? writer.float(Number(value)) : writer.number(value);
}
