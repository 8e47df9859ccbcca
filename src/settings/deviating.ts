import { isDeepStrictEqual } from "node:util";
import { isTree } from "./defaults.ts";
import type { JsonSchema } from "./json-schema.ts";

/** Whatever stands here. */
const ANYTHING: JsonSchema = {};

/**
 * The schema of those places alone where a tree is not what the defaults make by themselves; undefined when there are
 * none. Compiling a schema takes a hundred times longer than checking with it, and most of a configuration is defaults.
 */
export function deviating(schema: JsonSchema, tree: unknown, defaults: unknown): JsonSchema | undefined {
  if (isDeepStrictEqual(tree, defaults)) return undefined;
  if (!isTree(tree) || !isTree(defaults) || !isSection(schema)) return schema;
  const properties: Record<string, JsonSchema> = {};
  for (const [key, of] of Object.entries(schema.properties ?? {})) {
    properties[key] = deviating(of, tree[key], defaults[key]) ?? ANYTHING;
  }
  if (schema.patternProperties === undefined) return { ...schema, properties };
  const patterns: Record<string, JsonSchema> = {};
  for (const [pattern, of] of Object.entries(schema.patternProperties)) {
    const named = new RegExp(pattern, "u");
    const keys = Object.keys(tree).filter((key) => !Object.hasOwn(properties, key) && named.test(key));
    // One that no default has is looked at as a whole, and so are the others then: thousands of rules have one schema.
    const isWhole = keys.some((key) => !Object.hasOwn(defaults, key));
    patterns[pattern] = isWhole ? of : ANYTHING;
    if (!isWhole)
      for (const key of keys) properties[key] = deviating(of, tree[key], defaults[key]) ?? ANYTHING;
  }
  return { ...schema, properties, patternProperties: patterns };
}

/** Its keys may be looked at one by one: nothing in the schema is about several of them. */
const isSection = ({ properties, patternProperties, anyOf, oneOf, ...further }: JsonSchema): boolean =>
  (properties !== undefined || patternProperties !== undefined) &&
  Object.keys(patternProperties ?? {}).length <= 1 &&
  anyOf === undefined &&
  oneOf === undefined &&
  !["allOf", "not", "if", "$ref", "dependentRequired", "dependentSchemas"].some(
    (keyword) => keyword in further,
  );
