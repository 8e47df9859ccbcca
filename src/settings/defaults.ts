import { put } from "../lib/own-member.ts";
import { chosen, type JsonSchema, OPTIONAL } from "./json-schema.ts";

export type Tree = Record<string, unknown>;

export const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `over` laid on `base`: sections are merged key by key, everything else is replaced, if something is there (not `null`). */
export function merge(base: unknown, over: unknown): unknown {
  if (!isTree(base) || !isTree(over)) return over ?? base ?? over;
  const merged: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    put(merged, key, merge(Object.hasOwn(base, key) ? base[key] : undefined, value));
  }
  return merged;
}

/** The schema of one key of a section, its named keys first. */
export function schemaOfKey(schema: JsonSchema, key: string): JsonSchema | undefined {
  if (schema.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key];
  for (const [pattern, of] of Object.entries(schema.patternProperties ?? {})) {
    if (new RegExp(pattern, "u").test(key)) return of;
  }
  return typeof schema.additionalProperties === "object" ? schema.additionalProperties : undefined;
}

/** The value with everything that has a default filled in; an empty section (`null`) counts as absent. */
export function fillDefaults(of: JsonSchema, value: unknown): unknown {
  const given = value ?? undefined;
  const schema = chosen(of, given);
  if (schema.anyOf !== undefined || schema.oneOf !== undefined)
    return given ?? structuredClone(schema.default);
  const present = merge(structuredClone(schema.default), given);
  if (isTree(present) || (present === undefined && schema.properties !== undefined)) {
    return fillSection(schema, (present as Tree | undefined) ?? {});
  }
  if (Array.isArray(present) && schema.items) {
    const { items } = schema;
    return present.map((item) => fillDefaults(items, item));
  }
  return present;
}

function fillSection(schema: JsonSchema, section: Tree): Tree {
  const filled: Tree = {};
  const optional = (schema[OPTIONAL] as readonly string[] | undefined) ?? [];
  for (const [key, of] of Object.entries(schema.properties ?? {})) {
    const given = section[key] ?? undefined;
    if (given === undefined && optional.includes(key) && of.default === undefined) continue;
    const value = fillDefaults(of, given);
    if (value !== undefined) filled[key] = value;
  }
  for (const [key, given] of Object.entries(section)) {
    if (given === undefined || Object.hasOwn(schema.properties ?? {}, key)) continue;
    const of = schemaOfKey(schema, key);
    // One of unknown name, or of somebody's own, may have been left empty by mistake: that is looked at.
    put<unknown>(filled, key, of === undefined ? given : (fillDefaults(of, given) ?? given));
  }
  return filled;
}
