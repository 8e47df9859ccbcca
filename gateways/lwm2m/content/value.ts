import type { Path } from "../objects/path.ts";

/** Data types of resources (LwM2M 1.1 Appendix C; unsigned and corelnk since 1.1). */
export type ResourceType =
  | "string"
  | "integer"
  | "unsigned"
  | "float"
  | "boolean"
  | "opaque"
  | "time"
  | "objlnk"
  | "corelnk";

/** An object link: 65535:65535 links to nothing. */
export interface ObjectLink {
  readonly object: number;
  readonly instance: number;
}

/** Integers beyond 2^53 are `bigint`, so that all 64 bits arrive. Times are seconds since the Unix epoch. */
export type Value = string | number | bigint | boolean | Uint8Array | ObjectLink;

/** One resource or resource instance with its value; every content format decodes to a list of these. */
export interface Entry {
  readonly path: Path;
  /** `undefined`: the path alone (a composite read), or a value removed (RFC 8790 null). */
  readonly value: Value | undefined;
  readonly type: ResourceType | undefined;
  /** When it was measured, in seconds since the Unix epoch; absent means now. */
  readonly time?: number | undefined;
}

/** The type that the definition gives to the resource at a path, if it is known. */
export type TypeOf = (path: Path) => ResourceType | undefined;
/** Whether the definition says that a resource has instances; `undefined` when it is not known. */
export type MultipleOf = (path: Path) => boolean | undefined;

/** What a content format may ask of the object definitions. */
export interface Types {
  readonly typeOf: TypeOf;
  readonly multipleOf: MultipleOf;
  /** Range or enumeration of the definition as it stands there; empty when there is none. */
  readonly rangeOf?: (path: Path) => string;
}

export const NO_TYPES: Types = { typeOf: () => undefined, multipleOf: () => undefined };

export const isObjectLink = (value: Value): value is ObjectLink =>
  typeof value === "object" && !(value instanceof Uint8Array);

export const INT64_MIN = -(2n ** 63n);
export const INT64_MAX = 2n ** 63n - 1n;
export const UINT64_MAX = 2n ** 64n - 1n;

/** A `number` where it is exact, else the `bigint` itself. */
export const narrow = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;

/** Reads `10:3`. */
export function parseObjectLink(text: string): ObjectLink | undefined {
  const match = /^(\d{1,5}):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const object = Number(match[1]);
  const instance = Number(match[2]);
  return object <= 65_535 && instance <= 65_535 ? { object, instance } : undefined;
}

export const formatObjectLink = (link: ObjectLink): string => `${link.object}:${link.instance}`;

/** Integers of up to 64 bits in decimal; `undefined` when the text is not one. */
export function parseInteger(text: string): number | bigint | undefined {
  if (!/^[+-]?\d{1,20}$/.test(text)) return undefined;
  const value = narrow(BigInt(text.startsWith("+") ? text.slice(1) : text));
  return value >= INT64_MIN && value <= UINT64_MAX ? value : undefined;
}

/** A decimal number (LwM2M 1.1 Appendix C, text format of floats; exponents are tolerated). */
export function parseFloatText(text: string): number | undefined {
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** True when the value may stand for the type; numbers are checked for range. */
export function fits(value: Value, type: ResourceType): boolean {
  switch (type) {
    case "string":
    case "corelnk":
      return typeof value === "string";
    case "integer":
    case "time":
      return isInteger(value) && value >= INT64_MIN && value <= INT64_MAX;
    case "unsigned":
      return isInteger(value) && value >= 0 && value <= UINT64_MAX;
    case "float":
      return typeof value === "number" || typeof value === "bigint";
    case "boolean":
      return typeof value === "boolean";
    case "opaque":
      return value instanceof Uint8Array;
    case "objlnk":
      return isObjectLink(value);
  }
}

const isInteger = (value: Value): value is number | bigint =>
  typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));
