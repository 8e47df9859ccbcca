import { UNIT } from "../lib/setting.ts";
import type { JsonSchema } from "./json-schema.ts";
import { SECRET } from "./kinds.ts";

const UNITS: Readonly<Record<string, string>> = {
  duration: "a length of time such as 100ms, 30s, 5m, 1h, 7d, forever, or plain seconds",
  size: "a size such as 512B, 64KB, 1MB, 2GB, unlimited, or plain bytes",
  count: "a number of 0 or more, or unlimited",
};

export const quoted = (value: unknown): string => {
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length > 120 ? `${shown.slice(0, 117)}...` : shown;
};

/** Stands in messages for a value that is a secret. */
export const HIDDEN = "(hidden)";

/** A value for a message: secrets stay hidden. */
export const shownValue = (schema: JsonSchema | undefined, value: unknown): string =>
  schema?.[SECRET] === true ? HIDDEN : quoted(value);

const words = (values: readonly unknown[]): string => values.map(String).join(", ");

/** Bounds that bound nothing are not worth a word. */
const bound = (value: unknown, idle: readonly unknown[]): unknown =>
  idle.includes(value) ? undefined : value;

function range(schema: JsonSchema): string {
  const hasUnit = schema[UNIT] !== undefined;
  const minimum = bound(hasUnit ? schema["x-minimum"] : schema.minimum, hasUnit ? [0, "0", "0s", "0ms"] : []);
  const maximum = bound(hasUnit ? schema["x-maximum"] : schema.maximum, ["forever", "unlimited"]);
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `, at least ${minimum}`;
  return maximum === undefined ? "" : `, at most ${maximum}`;
}

function describeType(schema: JsonSchema, type: string): string {
  switch (type) {
    case "integer":
      return `an integer${range(schema)}`;
    case "number":
      return `a number${range(schema)}`;
    case "boolean":
      return "true or false";
    case "array": {
      const items = schema.items === undefined ? "" : describe(schema.items);
      return items === "a text" ? "a list of texts" : items === "" ? "a list" : `a list of: ${items}`;
    }
    case "object":
      return describeSection(schema);
    case "null":
      return "nothing";
    default:
      return describeText(schema);
  }
}

function describeSection(schema: JsonSchema): string {
  const keys = Object.keys(schema.properties ?? {});
  return keys.length === 0 ? "a section" : `a section with the keys ${keys.join(", ")}`;
}

function describeText(schema: JsonSchema): string {
  if (schema.format === "regex") return "a regular expression";
  if (schema.format === "date-time") return "a time such as 2030-01-31T12:00:00Z";
  if (schema.pattern !== undefined) return `a text that matches ${schema.pattern}`;
  return schema.minLength === undefined ? "a text" : "a text that is not empty";
}

/** What a key takes, in words: the "allowed" of error messages and of the annotated file. */
export function describe(schema: JsonSchema): string {
  const unit = schema[UNIT];
  if (typeof unit === "string") return `${UNITS[unit] ?? unit}${range(schema)}`;
  if (schema.enum) return `one of ${words(schema.enum)}`;
  if (schema.const !== undefined) return String(schema.const);
  if (schema.anyOf) {
    const constants = schema.anyOf.filter((branch) => branch.const !== undefined);
    if (constants.length === schema.anyOf.length) return `one of ${words(constants.map((one) => one.const))}`;
    return schema.anyOf.map(describe).join(", or ");
  }
  if (schema.oneOf) {
    return `a section of one kind of ${words(schema.oneOf.map((one) => one.properties?.["kind"]?.const))}`;
  }
  const types = typeof schema.type === "string" ? [schema.type] : (schema.type ?? []);
  if (types.length === 0) return "any value";
  return types.map((type) => describeType(schema, type)).join(" or ");
}
