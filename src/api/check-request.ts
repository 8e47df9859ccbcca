/** Checks the parts of a request against their schemas, and says what is wrong: field, value, and what is allowed. */
import { createRequire } from "node:module";
import type { TSchema } from "@sinclair/typebox";
import type * as ajv from "ajv";
import type { Ajv, ErrorObject, ValidateFunction } from "ajv";
import type formats from "ajv-formats";
import { describe } from "../settings/describe.ts";
import type { JsonSchema } from "../settings/json-schema.ts";
import { nearest } from "../settings/nearest.ts";
import { type FieldError, Refused } from "./problem.ts";
import type { Route } from "./route.ts";

type Part = FieldError["in"];

/** So many of the mistakes of one request are named. */
const ERRORS_MAX = 20;
const VALUE_LENGTH_MAX = 200;
const SECRET_NAME = /pass(word|phrase)|secret|psk|token/i;

const options = { strict: false, allErrors: false, useDefaults: true } as const;
/** Made with the first request that has something to check. */
let checkers: { readonly ofTexts: Ajv; readonly ofBodies: Ajv } | undefined;

function makeCheckers(): { readonly ofTexts: Ajv; readonly ofBodies: Ajv } {
  const require = createRequire(import.meta.url);
  const { Ajv } = require("ajv") as typeof ajv;
  // Texts of an address stand for numbers and booleans as well.
  const ofTexts = new Ajv({ ...options, allErrors: true, coerceTypes: true });
  // One error at a time: what all mistakes of a large body together cost is up to who sends it.
  const ofBodies = new Ajv(options);
  for (const checker of [ofTexts, ofBodies]) {
    (require("ajv-formats") as typeof formats).default(checker, ["date-time"]);
  }
  return { ofTexts, ofBodies };
}

export type CheckPart = (value: unknown) => readonly FieldError[];

/** Objects take no unknown keys unless they say what such keys hold. */
function closed(schema: JsonSchema): JsonSchema {
  const copy: Record<string, unknown> = { ...schema };
  const mapped = (of: Readonly<Record<string, JsonSchema>>): object =>
    Object.fromEntries(Object.entries(of).map(([key, inner]) => [key, closed(inner)]));
  if (schema.properties !== undefined) {
    copy["properties"] = mapped(schema.properties);
    copy["additionalProperties"] ??= false;
  }
  if (schema.patternProperties !== undefined) copy["patternProperties"] = mapped(schema.patternProperties);
  if (typeof schema.additionalProperties === "object") {
    copy["additionalProperties"] = closed(schema.additionalProperties);
  }
  if (schema.items !== undefined) copy["items"] = closed(schema.items);
  if (schema.anyOf !== undefined) copy["anyOf"] = schema.anyOf.map(closed);
  return copy;
}

/** A schema as JSON Schema, closed: what validates, and what the document shows. */
export const jsonSchemaOf = (schema: TSchema): JsonSchema =>
  closed(JSON.parse(JSON.stringify(schema)) as JsonSchema);

export function checkerOf(schema: TSchema, part: Part): CheckPart {
  let made: { readonly json: JsonSchema; readonly check: ValidateFunction } | undefined;
  return (value) => {
    made ??= makeCheck(schema, part);
    const { json, check } = made;
    if (check(value)) return [];
    return (check.errors ?? []).slice(0, ERRORS_MAX).map((error) => fieldError(error, json, value, part));
  };
}

function makeCheck(schema: TSchema, part: Part): { json: JsonSchema; check: ValidateFunction } {
  checkers ??= makeCheckers();
  const json = jsonSchemaOf(schema);
  return { json, check: (part === "body" ? checkers.ofBodies : checkers.ofTexts).compile(json) };
}

const unescaped = (step: string): string => step.replaceAll("~1", "/").replaceAll("~0", "~");

function shortened(value: unknown): unknown {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return value;
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX)}…` : text;
}

function fieldError(error: ErrorObject, schema: JsonSchema, whole: unknown, part: Part): FieldError {
  const steps = error.instancePath.split("/").slice(1).map(unescaped);
  let at: JsonSchema | undefined = schema;
  let value: unknown = whole;
  for (const step of steps) {
    at = innerOf(at, step);
    value = (value as Record<string, unknown> | undefined)?.[step];
  }
  const name = (more: string): string =>
    part === "body" ? `${error.instancePath}${more === "" ? "" : `/${more}`}` : more || steps.join(".");
  if (error.keyword === "additionalProperties") {
    const unknown = String(error.params["additionalProperty"]);
    const known = Object.keys(at?.properties ?? {});
    const meant = nearest(unknown, known);
    const fix =
      meant === undefined
        ? `known are: ${known.length === 0 ? "none" : known.join(", ")}`
        : `did you mean ${meant}? Known are: ${known.join(", ")}`;
    return { in: part, field: name(shortened(unknown) as string), detail: "is not known here", fix };
  }
  if (error.keyword === "required") {
    const missing = String(error.params["missingProperty"]);
    const wanted = innerOf(at, missing);
    return {
      in: part,
      field: name(missing),
      detail: "is missing",
      ...(wanted === undefined ? {} : { fix: describe(wanted) }),
    };
  }
  const secret = SECRET_NAME.test(steps.at(-1) ?? "");
  return {
    in: part,
    field: name(""),
    ...(value === undefined ? {} : { value: secret ? "(hidden)" : shortened(value) }),
    detail: error.message ?? "is not allowed",
    ...(at === undefined ? {} : { fix: describe(at) }),
  };
}

const innerOf = (schema: JsonSchema | undefined, step: string): JsonSchema | undefined =>
  (Object.hasOwn(schema?.properties ?? {}, step) ? schema?.properties?.[step] : undefined) ??
  schema?.items ??
  (typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined) ??
  Object.values(schema?.patternProperties ?? {})[0];

/** The check of all parts of a route's requests; throws `Refused`. */
export function requestChecker({ params, query, body, bodyOptional = false, bodyTypes = [] }: Route) {
  const checks = {
    path: params === undefined ? undefined : checkerOf(params, "path"),
    query: query === undefined ? undefined : checkerOf(query, "query"),
    body: body === undefined ? undefined : checkerOf(body, "body"),
  };
  return (asked: { readonly path: unknown; readonly query: object; readonly body: unknown }): void => {
    const errors: FieldError[] = [...(checks.path?.(asked.path) ?? [])];
    if (checks.query !== undefined) errors.push(...checks.query(asked.query));
    else for (const field of Object.keys(asked.query)) errors.push(needless(field));
    const hasBody = asked.body !== undefined && asked.body !== null;
    if (checks.body !== undefined && (hasBody || !bodyOptional))
      errors.push(...checks.body(asked.body ?? {}));
    if (checks.body === undefined && bodyTypes.length === 0 && hasBody && !isEmpty(asked.body)) {
      errors.push({ in: "body", field: "", detail: "is not expected here", fix: "send no body" });
    }
    const [first] = errors;
    if (first === undefined) return;
    const where = first.field === "" ? first.in : `${first.in} ${first.field}`;
    throw new Refused("invalid-request", `${where}: ${first.detail}`, {
      errors: errors.slice(0, ERRORS_MAX),
    });
  };
}

const isEmpty = (body: unknown): boolean => typeof body === "object" && Object.keys(body ?? {}).length === 0;

const needless = (field: string): FieldError => ({
  in: "query",
  field: shortened(field) as string,
  detail: "is not known here",
  fix: "this request takes no query",
});
