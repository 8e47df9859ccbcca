/**
 * SenML-ETCH, content formats 320 (JSON) and 322 (CBOR) (RFC 8790, LwM2M 1.2 §7.4.7): the body of a FETCH
 * names paths, that of an iPATCH changes values, and null removes one. On the wire it is SenML under another
 * number; what this file adds is what each method may carry.
 */
import { type DecodeError, decodeError, type Result } from "#core/lib/result.ts";
import { Path } from "../path.ts";
import { decodeSenmlCbor, encodePathsCbor, encodeSenmlCbor } from "./senml-cbor.ts";
import { decodeSenmlJson, encodePathsJson, encodeSenmlJson } from "./senml-json.ts";
import type { Entry, Types } from "./value.ts";

const CLAUSE = "RFC 8790 §3";
export type EtchForm = "json" | "cbor";

export const encodeFetch = (form: EtchForm, paths: readonly Path[]): Uint8Array =>
  form === "json" ? encodePathsJson(paths) : encodePathsCbor(paths);

export const encodePatch = (form: EtchForm, entries: readonly Entry[]): Uint8Array =>
  form === "json" ? encodeSenmlJson(Path.ROOT, entries) : encodeSenmlCbor(Path.ROOT, entries);

/** A patch record without any value, not even null, asks for nothing and is refused. */
export function decodePatch(form: EtchForm, bytes: Uint8Array, types: Types): Result<Entry[], DecodeError> {
  const decode = form === "json" ? decodeSenmlJson : decodeSenmlCbor;
  const entries = decode(bytes, Path.ROOT, types);
  if (entries.ok && entries.value.some((entry) => entry.path.ids.length < 3)) {
    return decodeError(CLAUSE, 0, "a patch names a path that is no resource");
  }
  return entries;
}
