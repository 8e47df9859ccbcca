import { put } from "../../lib/own-member.ts";
import { isEqual } from "../sql/operators.ts";
import { asText, isArray, isMap, member, putAt, type Value, type ValueMap } from "../value.ts";
import { any, count, type FunctionTable, fail, key, list, map, of, ofMany, optional } from "./define.ts";

function nth(name: string, place: number, values: readonly Value[]): Value {
  if (place < 1 || place > values.length)
    throw fail(name, `there is no place ${place} in a list of ${values.length}`);
  return values[place - 1];
}

function end(name: string, values: readonly Value[], at: 0 | -1): Value {
  if (values.length === 0) throw fail(name, "the list is empty");
  return values.at(at);
}

/** `sublist(length, list)` or `sublist(start, length, list)`; places count from 1. */
function sublist(name: string, given: readonly Value[]): Value {
  const values = given.at(-1);
  const [start, length] = given.length === 2 ? [1, given[0]] : [given[0], given[1]];
  if (!isArray(values)) throw fail(name, "the last argument must be a list");
  if (!isCount(start) || start === 0 || !isCount(length))
    throw fail(name, "a place is a whole number from 1, and a length one from 0");
  return values.slice(start - 1, start - 1 + length);
}

const isCount = (value: Value): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** A key, a path written with dots, or a list of keys. */
function pathOf(name: string, keys: Value): readonly string[] {
  if (typeof keys === "string") return [keys];
  if (typeof keys === "number") return [String(keys)];
  if (!isArray(keys) || keys.length === 0) throw fail(name, "needs a key or a list of keys");
  return keys.map((each) => {
    if (typeof each === "string" || typeof each === "number") return String(each);
    throw fail(name, "needs keys that are texts");
  });
}

function getAt(name: string, keys: Value, from: Value, otherwise: Value): Value {
  let at = from;
  for (const each of pathOf(name, keys)) {
    at = member(at, each);
    if (at === undefined) return otherwise;
  }
  return at;
}

function withMember(name: string, keys: Value, value: Value, into: ValueMap): ValueMap {
  const changed: Record<string, Value> = {};
  for (const each of Object.keys(into)) put(changed, each, into[each]);
  putAt(changed, pathOf(name, keys), value);
  return changed;
}

function entriesToMap(name: string, entries: readonly Value[]): ValueMap {
  const made: Record<string, Value> = {};
  for (const entry of entries) {
    const [name_, value] = isArray(entry) ? entry : [member(entry, "key"), member(entry, "value")];
    if (typeof name_ !== "string") throw fail(name, "needs entries of a key that is a text, and a value");
    put(made, name_, value);
  }
  return made;
}

const hsetArgs = (values: ValueMap): Value =>
  Object.entries(values).flatMap(([name, value]) =>
    isMap(value) || isArray(value) || value === undefined ? [] : [name, asText(value)],
  );

const dotted = (keys: Value): Value =>
  typeof keys === "string" && keys.includes(".") ? keys.split(".") : keys;

export const COLLECTIONS: FunctionTable = {
  map_get: of([any, map, optional(any)], function (keys, from, otherwise) {
    return getAt(this.name, dotted(keys), from, otherwise);
  }),
  map_put: of([any, any, map], function (keys, value, into) {
    return withMember(this.name, dotted(keys), value, into);
  }),
  mget: of([any, map, optional(any)], function (keys, from, otherwise) {
    return getAt(this.name, keys, from, otherwise);
  }),
  mput: of([any, any, map], function (keys, value, into) {
    return withMember(this.name, keys, value, into);
  }),
  map_new: of([], () => ({})),
  map_size: of([map], (from) => Object.keys(from).length),
  map_keys: of([map], (from) => Object.keys(from)),
  map_values: of([map], (from) => Object.values(from)),
  map_to_entries: of([map], (from) => Object.entries(from).map(([name, value]) => ({ key: name, value }))),
  entries_to_map: of([list], function (entries) {
    return entriesToMap(this.name, entries);
  }),
  map_has: of([key, map], (name, from) => Object.hasOwn(from, name)),
  map_to_redis_hset_args: of([map], hsetArgs),
  nth: of([count, list], function (place, values) {
    return nth(this.name, place, values);
  }),
  first: of([list], function (values) {
    return end(this.name, values, 0);
  }),
  last: of([list], function (values) {
    return end(this.name, values, -1);
  }),
  length: of([list], (values) => values.length),
  sublist: ofMany(any, 2, (given) => sublist("sublist", given)),
  contains: of([any, list], (value, values) => values.some((each) => isEqual(each, value))),
};
