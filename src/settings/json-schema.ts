/** A JSON Schema as this folder walks it. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  /** Sections told apart by their `kind`, which is a constant in each. */
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly minProperties?: number;
  readonly [keyword: string]: unknown;
}

/** Keyword: the keys of an object that stay absent until somebody sets them, unless they have a default. */
export const OPTIONAL = "x-optional";

/** Objects take no unknown keys, so that a misspelled one is found. */
export function closed(schema: JsonSchema): JsonSchema {
  const copy: Record<string, unknown> = { ...schema };
  if (schema.properties) {
    copy["properties"] = mapped(schema.properties, closed);
    copy["additionalProperties"] ??= false;
    // Defaults are filled in before validation: whoever edits a file may leave out what has one.
    const required = (schema.required ?? []).filter((key) => !hasDefault(schema.properties?.[key]));
    if (required.length > 0) copy["required"] = required;
    else delete copy["required"];
    const optional = Object.keys(schema.properties).filter((key) => !schema.required?.includes(key));
    if (optional.length > 0) copy[OPTIONAL] = optional;
  }
  if (schema.patternProperties) copy["patternProperties"] = mapped(schema.patternProperties, closed);
  if (typeof schema.additionalProperties === "object") {
    copy["additionalProperties"] = closed(schema.additionalProperties);
  }
  if (schema.items) copy["items"] = closed(schema.items);
  if (schema.anyOf) copy["anyOf"] = schema.anyOf.map(closed);
  if (schema.oneOf) copy["oneOf"] = schema.oneOf.map(closed);
  return copy;
}

const mapped = (schemas: Readonly<Record<string, JsonSchema>>, change: (schema: JsonSchema) => JsonSchema) =>
  Object.fromEntries(Object.entries(schemas).map(([key, schema]) => [key, change(schema)]));

/** An object of which every required key has a default is there by itself. */
function hasDefault(schema: JsonSchema | undefined): boolean {
  if (schema === undefined) return false;
  if (schema.default !== undefined) return true;
  const { properties } = schema;
  if (properties === undefined) return false;
  return (schema.required ?? []).every((key) => hasDefault(properties[key]));
}

/** The keyword that tells `ajv` by which key to choose among `oneOf`. */
const DISCRIMINATOR = "discriminator";
export const byKind = { [DISCRIMINATOR]: { propertyName: "kind" } };

/** The section that a value's `kind` chooses; the schema itself where there is nothing to choose. */
export function chosen(schema: JsonSchema, value: unknown): JsonSchema {
  if (schema.oneOf === undefined || typeof value !== "object" || value === null) return schema;
  const { kind } = value as { readonly kind?: unknown };
  return schema.oneOf.find((section) => section.properties?.["kind"]?.const === kind) ?? schema;
}
