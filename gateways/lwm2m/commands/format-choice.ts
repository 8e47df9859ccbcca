/** Which content format to ask for and to write in, from what a device offers (LwM2M 1.1 §7.4). */
import { ContentFormat } from "../content/formats.ts";
import type { Entry } from "../content/value.ts";
import type { Path } from "../objects/path.ts";

/** What of a registration the choice depends on. */
export interface Offer {
  /** `1.0`, `1.1` or `1.2`. */
  readonly version: string;
  /** `ct` of the root link; empty when the device did not say. */
  readonly formats: readonly number[];
}

/**
 * Formats that carry several resources, smallest on the wire first. From 1.1 on a server should use neither TLV nor
 * the old JSON (LwM2M 1.2 §7.5); before, there are only these.
 */
const FRESH: readonly number[] = [ContentFormat.Lwm2mCbor, ContentFormat.SenmlCbor, ContentFormat.SenmlJson];
const OLD: readonly number[] = [
  ContentFormat.Tlv,
  ContentFormat.OldTlv,
  ContentFormat.Json,
  ContentFormat.OldJson,
];
const BY_AGE = { old: [...OLD, ...FRESH], fresh: [...FRESH, ...OLD] } as const;
const severalFor = (offer: Offer): readonly number[] => (offer.version === "1.0" ? BY_AGE.old : BY_AGE.fresh);

const SINGLE_WRITABLE: readonly number[] = [ContentFormat.Cbor, ContentFormat.Text];

const COMPOSITE: readonly number[] = [
  ContentFormat.SenmlCbor,
  ContentFormat.SenmlJson,
  ContentFormat.Lwm2mCbor,
];
const ETCH: readonly number[] = [ContentFormat.SenmlEtchCbor, ContentFormat.SenmlEtchJson];

const firstOf = (wanted: readonly number[], offer: Offer): number | undefined =>
  wanted.find((format) => offer.formats.includes(format));

/**
 * Accept of a read or observe. A single resource is answered in the device's own default, which is the
 * smallest; so is everything when the device did not say what it can, except that LwM2M 1.0 means TLV then.
 */
export function acceptFor(path: Path, multiple: boolean, offer: Offer): number | undefined {
  if (path.kind === "resource-instance" || (path.kind === "resource" && !multiple)) return undefined;
  return firstOf(severalFor(offer), offer);
}

/** Content-Format of a write or create; TLV, which every version knows, where nothing else was offered. */
export function writeFormatFor(path: Path, entries: readonly Entry[], offer: Offer): number {
  const [first] = entries;
  const single = entries.length === 1 && first !== undefined && first.path.equals(path);
  // Large opaque values go as they are: a package is not wrapped, and can be written while it arrives.
  if (single && first.value instanceof Uint8Array && first.value.length > 1024) return ContentFormat.Opaque;
  const offered = firstOf(severalFor(offer), offer) ?? (single ? firstOf(SINGLE_WRITABLE, offer) : undefined);
  return offered ?? ContentFormat.Tlv;
}

/** Content-Format of a composite read or observe (FETCH): SenML-ETCH from 1.2 on. */
export function fetchFormatFor(offer: Offer): number {
  const etch = offer.version === "1.2" ? firstOf(ETCH, offer) : undefined;
  return etch ?? firstOf(COMPOSITE.slice(0, 2), offer) ?? ContentFormat.SenmlCbor;
}

export const patchFormatFor = fetchFormatFor;

/** Accept of a composite read. */
export const compositeAcceptFor = (offer: Offer): number =>
  firstOf(COMPOSITE, offer) ?? ContentFormat.SenmlCbor;
