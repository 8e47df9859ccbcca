/** The content formats of LwM2M in one table: number, decoder, encoder (LwM2M 1.1 §7.4, 1.2 §7.4). */
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import type { Path } from "../objects/path.ts";
import { decodeSingleCbor, encodeSingleCbor } from "./cbor.ts";
import { decodeLwm2mCbor, encodeLwm2mCbor } from "./lwm2m-cbor.ts";
import { decodeLwm2mJson, encodeLwm2mJson } from "./lwm2m-json.ts";
import { decodeOpaque, encodeOpaque } from "./opaque.ts";
import { decodeSenmlCbor, encodeSenmlCbor } from "./senml-cbor.ts";
import { decodeSenmlJson, encodeSenmlJson } from "./senml-json.ts";
import { decodeText, encodeText } from "./text.ts";
import { decodeTlv, encodeTlv } from "./tlv.ts";
import type { Entry, Types } from "./value.ts";

/** Content-Format numbers (IANA CoAP Content-Formats; 1541 to 1543 were used before registration). */
export const ContentFormat = {
  Text: 0,
  Link: 40,
  Opaque: 42,
  Cbor: 60,
  SenmlJson: 110,
  SenmlCbor: 112,
  SenmlEtchJson: 320,
  SenmlEtchCbor: 322,
  OldText: 1541,
  OldTlv: 1542,
  OldJson: 1543,
  Tlv: 11542,
  Json: 11543,
  Lwm2mCbor: 11544,
} as const;

/** Formats that carry one value only. */
const SINGLE: ReadonlySet<number> = new Set([ContentFormat.Text, ContentFormat.Opaque, ContentFormat.Cbor]);
const isSingle = (format: number): boolean => SINGLE.has(format);

const CLAUSE = "LwM2M 1.1 §7.4";

/**
 * Values of a payload that answers a request for `base`. Without a content format a single resource is text
 * and anything else TLV, which is what devices mean that leave the option out. `root` is the alternate path, with
 * which names in SenML begin.
 */
export function decodeContent(
  format: number | undefined,
  bytes: Uint8Array,
  base: Path,
  types: Types,
  root = "",
): Result<Entry[], DecodeError> {
  switch (format ?? (base.ids.length >= 3 ? ContentFormat.Text : ContentFormat.Tlv)) {
    case ContentFormat.Text:
    case ContentFormat.OldText:
      return decodeText(bytes, base, types);
    case ContentFormat.Opaque:
      return decodeOpaque(bytes, base, types);
    case ContentFormat.Cbor:
      return decodeSingleCbor(bytes, base, types);
    case ContentFormat.Tlv:
    case ContentFormat.OldTlv:
      return decodeTlv(bytes, base, types);
    case ContentFormat.Json:
    case ContentFormat.OldJson:
      return within(base, decodeLwm2mJson(bytes, base, types));
    case ContentFormat.SenmlJson:
    case ContentFormat.SenmlEtchJson:
      return within(base, decodeSenmlJson(bytes, base, types, root));
    case ContentFormat.SenmlCbor:
    case ContentFormat.SenmlEtchCbor:
      return within(base, decodeSenmlCbor(bytes, base, types, root));
    case ContentFormat.Lwm2mCbor:
      return within(base, decodeLwm2mCbor(bytes, base, types));
    default:
      return decodeError(CLAUSE, 0, `content format ${format} is not known`);
  }
}

/** An answer may not speak of anything but what was asked for. */
function within(base: Path, entries: Result<Entry[], DecodeError>): Result<Entry[], DecodeError> {
  if (!entries.ok) return entries;
  const stray = entries.value.find((entry) => !base.covers(entry.path));
  return stray === undefined ? entries : decodeError(CLAUSE, 0, `${stray.path} does not belong to ${base}`);
}

/** The body of a write or create at `base`; an error when the format cannot carry it. */
export function encodeContent(
  format: number,
  base: Path,
  entries: readonly Entry[],
  root = "",
): Result<Uint8Array, DecodeError> {
  if (isSingle(format) && !(entries.length === 1 && entries[0]?.path.equals(base) === true)) {
    return decodeError(CLAUSE, 0, `content format ${format} can carry one resource only`);
  }
  const [first] = entries;
  switch (format) {
    case ContentFormat.Text:
      return ok(encodeText(first as Entry));
    case ContentFormat.Opaque:
      return ok(encodeOpaque(first as Entry));
    case ContentFormat.Cbor:
      return ok(encodeSingleCbor(first as Entry));
    case ContentFormat.Tlv:
    case ContentFormat.OldTlv:
      return ok(encodeTlv(base, entries));
    case ContentFormat.Json:
    case ContentFormat.OldJson:
      return ok(encodeLwm2mJson(base, entries));
    case ContentFormat.SenmlJson:
    case ContentFormat.SenmlEtchJson:
      return ok(encodeSenmlJson(base, entries, root));
    case ContentFormat.SenmlCbor:
    case ContentFormat.SenmlEtchCbor:
      return ok(encodeSenmlCbor(base, entries, root));
    case ContentFormat.Lwm2mCbor:
      return ok(encodeLwm2mCbor(entries));
    default:
      return decodeError(CLAUSE, 0, `content format ${format} cannot be written`);
  }
}
