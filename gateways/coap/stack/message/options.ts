/** Option numbers and what each may hold (RFC 7252 §5.10 and the RFC that assigns each). */

export const Option = {
  IfMatch: 1,
  UriHost: 3,
  ETag: 4,
  IfNoneMatch: 5,
  Observe: 6,
  UriPort: 7,
  LocationPath: 8,
  OSCORE: 9,
  UriPath: 11,
  ContentFormat: 12,
  MaxAge: 14,
  UriQuery: 15,
  HopLimit: 16,
  Accept: 17,
  QBlock1: 19,
  LocationQuery: 20,
  EDHOC: 21,
  Block2: 23,
  Block1: 27,
  Size2: 28,
  QBlock2: 31,
  ProxyUri: 35,
  ProxyScheme: 39,
  Size1: 60,
  Echo: 252,
  NoResponse: 258,
  RequestTag: 292,
} as const;

/** The receiver must understand it or refuse the message (RFC 7252 §5.4.1). */
export const isCritical = (option: number): boolean => (option & 1) === 1;
/** Only proxies care (RFC 7252 §5.4.2). */
export const isUnsafe = (option: number): boolean => (option & 2) === 2;
/** Not part of the cache key, although safe to forward (RFC 7252 §5.4.2). */
export const isNoCacheKey = (option: number): boolean => (option & 0x1e) === 0x1c;

export interface OptionForm {
  readonly repeatable: boolean;
  /** Bytes of the value. */
  readonly shortest: number;
  readonly longest: number;
}

const form = (shortest: number, longest: number, repeatable = false): OptionForm => ({
  repeatable,
  shortest,
  longest,
});

/** Options that this stack understands. What is missing here is unknown: ignored, or 4.02 when critical. */
const FORMS: readonly (readonly [number, OptionForm])[] = [
  [Option.IfMatch, form(0, 8, true)],
  [Option.UriHost, form(1, 255)],
  [Option.ETag, form(1, 8, true)],
  [Option.IfNoneMatch, form(0, 0)],
  [Option.Observe, form(0, 3)],
  [Option.UriPort, form(0, 2)],
  [Option.LocationPath, form(0, 255, true)],
  [Option.UriPath, form(0, 255, true)],
  [Option.ContentFormat, form(0, 2)],
  [Option.MaxAge, form(0, 4)],
  [Option.UriQuery, form(0, 255, true)],
  [Option.HopLimit, form(1, 1)],
  [Option.Accept, form(0, 2)],
  [Option.LocationQuery, form(0, 255, true)],
  [Option.Block2, form(0, 3)],
  [Option.Block1, form(0, 3)],
  [Option.Size2, form(0, 4)],
  [Option.ProxyUri, form(1, 1034)],
  [Option.ProxyScheme, form(1, 255)],
  [Option.Size1, form(0, 4)],
  [Option.Echo, form(1, 40)],
  [Option.NoResponse, form(0, 1)],
  [Option.RequestTag, form(0, 8, true)],
];

/** Sparse by option number; all known numbers are small, so an array is the fastest map. */
const BY_NUMBER: (OptionForm | undefined)[] = [];
for (const [number, entry] of FORMS) BY_NUMBER[number] = entry;

export const optionForm = (number: number): OptionForm | undefined => BY_NUMBER[number];

/** An option to send: opaque bytes, text, or an unsigned integer in its shortest form (RFC 7252 §3.2). */
export interface OptionValue {
  readonly number: number;
  readonly value: Uint8Array | string | number;
}

export const option = (number: number, value: Uint8Array | string | number): OptionValue => ({
  number,
  value,
});

const NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(Option).map(([name, number]) => [number, name]),
);

/** For diagnostic payloads: `Uri-Query (15)` or `option 9`. */
export function describeOption(number: number): string {
  const name = NAMES[number];
  if (name === undefined) return `option ${number}`;
  return `${name.replace(/([a-z])([A-Z])/g, "$1-$2")} (${number})`;
}
