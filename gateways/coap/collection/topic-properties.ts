import { decode, encode, Tagged } from "cborg";
import { sameBytes } from "#core/lib/bytes.ts";

/** Keys of the CBOR map (draft-ietf-core-coap-pubsub-21, "CoAP Pubsub Parameters"). */
export const Key = {
  topicName: 0,
  topicData: 1,
  resourceType: 2,
  topicContentFormat: 3,
  topicType: 4,
  expirationDate: 5,
  maxSubscribers: 6,
  observerCheck: 7,
  initialize: 8,
} as const;

export const RESOURCE_TYPE_DATA = "core.ps.data";
/** RFC 7641's 24 hours. */
const OBSERVER_CHECK_DEFAULT = 86_400;
const EPOCH_TAG = 1;

/** Topic properties by key; an expiration date is seconds since 1970. */
export type Properties = Map<number, string | number | Uint8Array>;

const isText = (value: unknown): value is string => typeof value === "string" && value.length <= 1024;
const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** Epoch seconds may have a fraction (RFC 8949 §3.4.2). */
const isDate = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= 0;

const VALID: ReadonlyMap<number, (value: unknown) => boolean> = new Map<number, (value: unknown) => boolean>([
  [Key.topicName, isText],
  [Key.topicData, isText],
  [Key.resourceType, isText],
  [Key.topicContentFormat, (value) => isCount(value) && value <= 0xffff],
  [Key.topicType, isText],
  [Key.expirationDate, isDate],
  [Key.maxSubscribers, isCount],
  [Key.observerCheck, (value) => isCount(value) && value > 0],
  [Key.initialize, (value) => value instanceof Uint8Array],
]);

/** Of a record in the store. */
export const isProperty = (key: unknown, value: unknown): boolean =>
  typeof key === "number" && VALID.get(key)?.(value) === true;

const decodeAny = (bytes: Uint8Array): unknown =>
  decode(bytes, { useMaps: true, tags: Tagged.preserve(EPOCH_TAG) });

/** The map of a request, or what is wrong with it. */
export function readProperties(bytes: Uint8Array): Properties | string {
  let map: unknown;
  try {
    map = decodeAny(bytes);
  } catch {
    return "not CBOR";
  }
  if (!(map instanceof Map)) return "not a CBOR map";
  const properties: Properties = new Map();
  for (const [key, given] of map as Map<unknown, unknown>) {
    // Dates come as tag 1, which says epoch seconds (RFC 8949 §3.4.2).
    const value = given instanceof Tagged && key === Key.expirationDate ? given.value : given;
    const valid = typeof key === "number" ? VALID.get(key) : undefined;
    // A key may be anything in CBOR, also what would be very long as a text.
    if (valid === undefined) return `topic property ${typeof key === "number" ? key : "key"} is unknown`;
    if (!valid(value)) return `topic property ${String(key)} has a wrong value`;
    properties.set(key as number, value as string);
  }
  return properties;
}

/** The keys that a FETCH asks for, or what is wrong with them. */
export function readKeys(bytes: Uint8Array): number[] | string {
  try {
    const keys = decodeAny(bytes);
    const numbers = Array.isArray(keys) && keys.every((key) => Number.isInteger(key));
    return numbers ? (keys as number[]) : "not a CBOR array of topic property keys";
  } catch {
    return "not CBOR";
  }
}

/** The map in the order of its keys. */
export function writeProperties(properties: Properties): Uint8Array {
  const map = new Map<number, unknown>();
  for (const [key, value] of [...properties].sort(([a], [b]) => a - b)) {
    if (key !== Key.initialize)
      map.set(key, key === Key.expirationDate ? new Tagged(EPOCH_TAG, value) : value);
  }
  return encode(map);
}

/** A topic's properties as they are read: with those that it has by default. */
export function shown(properties: Properties): Properties {
  if (properties.has(Key.observerCheck)) return properties;
  return new Map(properties).set(Key.observerCheck, OBSERVER_CHECK_DEFAULT);
}

/** Whether every property of a filter is there with the same value. */
export function matches(properties: Properties, filter: Properties): boolean {
  const all = shown(properties);
  for (const [key, wanted] of filter) {
    const value = all.get(key);
    if (
      wanted instanceof Uint8Array
        ? !(value instanceof Uint8Array && sameBytes(value, wanted))
        : value !== wanted
    ) {
      return false;
    }
  }
  return true;
}
