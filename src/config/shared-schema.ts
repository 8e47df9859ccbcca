/** The JSON Schema file says once what stands in many places, such as a chain of authenticators. */
import type { JsonSchema } from "../settings/json-schema.ts";

/** Shorter texts are easier to read where they stand. */
const SHARED_FROM = 250;
/** Under these keywords stand names of an operator's, and no schemas by themselves. */
const NAMED = ["properties", "patternProperties"];

type Node = Readonly<Record<string, unknown>>;
const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * The same schema, with each part that occurs more than once under `definitions` and a `$ref` where it stood (draft 7: a
 * reference has no other keywords beside it).
 */
export function withDefinitions(schema: JsonSchema): JsonSchema {
  const counts = new Map<string, number>();
  count(schema, counts);
  const names = new Map<string, string>();
  const definitions: Record<string, unknown> = {};

  const nameFor = (wanted: string): string => {
    let name = wanted;
    for (let number = 2; name in definitions; number++) name = `${wanted}-${number}`;
    return name;
  };
  /** `key`: what the part is called where it is met first. */
  const shared = (part: unknown, key: string, isSchema: boolean): unknown => {
    if (Array.isArray(part)) return part.map((item) => shared(item, key, isSchema));
    if (!isNode(part)) return part;
    const text = isSchema ? JSON.stringify(part) : "";
    if ((counts.get(text) ?? 0) < 2) return inside(part, key, isSchema);
    let name = names.get(text);
    if (name === undefined) {
      name = nameFor(kindOf(part) ?? key);
      names.set(text, name);
      // It has its place before those within it.
      definitions[name] = {};
      definitions[name] = inside(part, key, true);
    }
    return { $ref: `#/definitions/${name}` };
  };
  const inside = (part: Node, key: string, isSchema: boolean): Node =>
    Object.fromEntries(
      Object.entries(part).map(([name, value]) => {
        // A pattern is no name.
        if (!isSchema) return [name, shared(value, /^[\w-]+$/.test(name) ? name : key, true)];
        if (NAMED.includes(name)) return [name, shared(value, key, false)];
        return [name, holdsSchemas(name) ? shared(value, key, true) : value];
      }),
    );

  const whole = inside(schema as Node, "isthmus", true);
  return { ...whole, definitions };
}

const holdsSchemas = (keyword: string): boolean =>
  ["items", "anyOf", "oneOf", "additionalProperties"].includes(keyword);

const kindOf = ({ properties }: Node): string | undefined => {
  const kind = isNode(properties) ? properties["kind"] : undefined;
  return isNode(kind) && typeof kind["const"] === "string" ? kind["const"] : undefined;
};

function count(schema: unknown, counts: Map<string, number>): void {
  if (Array.isArray(schema)) {
    for (const item of schema) count(item, counts);
    return;
  }
  if (!isNode(schema)) return;
  const text = JSON.stringify(schema);
  if (text.length >= SHARED_FROM) {
    const before = counts.get(text) ?? 0;
    counts.set(text, before + 1);
    // What stands within has been counted with the first.
    if (before > 0) return;
  }
  for (const [keyword, value] of Object.entries(schema)) {
    if (NAMED.includes(keyword)) for (const inner of Object.values(value as Node)) count(inner, counts);
    else if (holdsSchemas(keyword)) count(value, counts);
  }
}
