import { createRequire } from "node:module";
import type * as ajv from "ajv";
import type { ErrorObject, ValidateFunction } from "ajv";
import type formats from "ajv-formats";
import { isTree, schemaOfKey } from "./defaults.ts";
import { describe, HIDDEN, quoted, shownValue } from "./describe.ts";
import { deviating } from "./deviating.ts";
import { inheritedNames } from "./inherited.ts";
import { chosen, type JsonSchema } from "./json-schema.ts";
import { nearest } from "./nearest.ts";
import { isWithin, type Path, valueAt } from "./path.ts";
import { type ConfigProblem, type Locate, problem } from "./problem.ts";
import { illFormed } from "./well-formed.ts";

/** Keys whose values no message shows, whatever their schema says. */
const SECRET_NAME = /pass(word|phrase)|secret/i;

/** Ajv says `/rules/0/who`; a number is a list position only where the value there is a list. */
function pathOf(error: ErrorObject, tree: unknown): Path {
  const steps = error.instancePath.split("/").slice(1);
  const path: (string | number)[] = [];
  let at = tree;
  for (const step of steps) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(at) ? Number(key) : key);
    at = valueAt(at, [path.at(-1)!]);
  }
  return path;
}

/** Of a key that is not known: the key itself. */
function placeOf(error: ErrorObject, tree: unknown): Path {
  const path = pathOf(error, tree);
  const unknown: unknown = error.params["additionalProperty"];
  return typeof unknown === "string" ? [...path, unknown] : path;
}

/** The schema that governs a path; for `anyOf`, the branch that is a section; for `oneOf`, the one of that kind. */
export function schemaAt(schema: JsonSchema, path: Path, tree: unknown): JsonSchema | undefined {
  let at: JsonSchema = schema;
  let value = tree;
  for (const step of path) {
    const section: JsonSchema = at.anyOf?.find((branch) => branch.properties) ?? at;
    const inner = typeof step === "number" ? section.items : schemaOfKey(section, step);
    if (inner === undefined) return undefined;
    value = valueAt(value, [step]);
    at = chosen(inner, value);
  }
  return at;
}

function toProblem(error: ErrorObject, schema: JsonSchema, tree: unknown, locate: Locate): ConfigProblem {
  const path = pathOf(error, tree);
  const governing = schemaAt(schema, path, tree);
  if (error.keyword === "discriminator") return unknownKind(path, governing, tree, locate);
  if (error.keyword === "additionalProperties")
    return unknownKey(error.params["additionalProperty"] as string, path, governing, locate);
  if (error.keyword === "required") {
    const missing = [...path, error.params["missingProperty"] as string];
    const wanted = schemaAt(schema, missing, tree);
    return problem(locate, { path: missing, says: "is missing", allowed: wanted && describe(wanted) });
  }
  const found = valueAt(tree, path);
  const value = shownAt(path, governing, found);
  const says = found === undefined || found === null ? "is empty" : `is ${value}`;
  return problem(locate, { path, says, value, allowed: governing && describe(governing) });
}

const shownAt = (path: Path, schema: JsonSchema | undefined, value: unknown): string =>
  SECRET_NAME.test(String(path.at(-1))) ? HIDDEN : shownValue(schema, value);

function illFormedText(path: Path, schema: JsonSchema, tree: unknown, locate: Locate): ConfigProblem {
  const found = valueAt(tree, path);
  const isText = typeof found === "string";
  const value = isText ? shownAt(path, schemaAt(schema, path, tree), found) : undefined;
  return problem(locate, {
    path,
    says: `${value === undefined ? "is a key" : `is ${value},`} with half a surrogate pair in it`,
    ...(value === undefined ? {} : { value }),
    allowed: 'whole characters, written as they are or as a pair of escapes such as "\\ud83d\\ude00"',
  });
}

function unknownKind(
  path: Path,
  schema: JsonSchema | undefined,
  tree: unknown,
  locate: Locate,
): ConfigProblem {
  const at = [...path, "kind"];
  const kinds = (schema?.oneOf ?? []).map((section) => String(section.properties?.["kind"]?.const));
  const found = valueAt(tree, at);
  const says = found === undefined ? "is missing" : `is ${quoted(found)}`;
  const meant = typeof found === "string" ? nearest(found, kinds) : undefined;
  return problem(locate, { path: at, says, allowed: `one of ${kinds.join(", ")}`, nearest: meant });
}

/** A name that every object has: no key of ours, and none of a section whose names are free. */
function inheritedName(
  path: Path,
  schema: JsonSchema,
  tree: unknown,
  locate: Locate,
): ConfigProblem | undefined {
  const [around, name] = [path.slice(0, -1), path.at(-1)];
  const section = schemaAt(schema, around, tree);
  const { properties, patternProperties, additionalProperties } = section ?? {};
  if (properties !== undefined && patternProperties === undefined && additionalProperties === false)
    return unknownKey(String(name), around, section, locate);
  // What is in it is somebody else's, such as a JSON Schema with a property of that name.
  const isForeign = (properties ?? patternProperties ?? additionalProperties) === undefined;
  if (isForeign && name !== "__proto__") return undefined;
  return problem(locate, { path, says: "is not a known key", allowed: "a name that not every object has" });
}

function unknownKey(key: string, path: Path, schema: JsonSchema | undefined, locate: Locate): ConfigProblem {
  const section = schema?.anyOf?.find((branch) => branch.properties) ?? schema;
  const known = Object.keys(section?.properties ?? {});
  const meant = nearest(key, known);
  const allowed = known.length === 0 ? "a name of letters, digits, - and _" : `one of ${known.join(", ")}`;
  return problem(locate, { path: [...path, key], says: "is not a known key", allowed, nearest: meant });
}

/**
 * One problem for each wrong place: an `anyOf` that failed is told by what lies deeper, where something does,
 * and only the first of several complaints about one value is kept.
 */
function distinct(errors: readonly ErrorObject[], tree: unknown): readonly ErrorObject[] {
  const isBelow = (error: ErrorObject, above: ErrorObject) =>
    error.schemaPath.startsWith(`${above.schemaPath}/`) &&
    (error.instancePath !== above.instancePath || error.keyword === "additionalProperties");
  const alternatives = errors.filter((error) => error.keyword === "anyOf");
  const seen = new Set<string>();
  return errors.filter((error) => {
    const above = alternatives.find(
      (one) => one !== error && error.schemaPath.startsWith(`${one.schemaPath}/`),
    );
    if (above !== undefined && !isBelow(error, above)) return false;
    if (error.keyword === "anyOf" && isTree(valueAt(tree, pathOf(error, tree)))) {
      if (errors.some((other) => other !== error && isBelow(other, error))) return false;
    }
    const place = `${error.instancePath} ${error.params["additionalProperty"] ?? error.params["missingProperty"] ?? ""}`;
    if (seen.has(place)) return false;
    seen.add(place);
    return true;
  });
}

/** As patterns are compiled here, with the flag `u`: without it `\p` is a mere `p`. */
function isPattern(text: string): boolean {
  try {
    new RegExp(text, "u");
    return true;
  } catch {
    return false;
  }
}

/** Compiling takes longer than checking, and a reload checks the same schema again. */
const compiled = new WeakMap<JsonSchema, ValidateFunction>();

/** Loaded when something is to be checked: a configuration of defaults needs none of it. */
const require = createRequire(import.meta.url);

function compile(schema: JsonSchema): ValidateFunction {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const { Ajv } = require("ajv") as typeof ajv;
  // The schema is ours, and held to its own by a test: to read the schema of schemas would take as long as all the rest.
  const checker = new Ajv({
    ...{ allErrors: true, strict: false, discriminator: true },
    ...{ meta: false, validateSchema: false },
  });
  (require("ajv-formats") as typeof formats).default(checker, ["date-time"]);
  checker.addFormat("regex", isPattern);
  const check = checker.compile(schema);
  compiled.set(schema, check);
  return check;
}

/**
 * Checks a configuration with its defaults filled in. `defaults`: what they make of nothing, which is not looked at where
 * the tree is the same.
 */
export function validate(
  schema: JsonSchema,
  tree: unknown,
  locate: Locate,
  defaults?: unknown,
): readonly ConfigProblem[] {
  const looked = defaults === undefined ? schema : deviating(schema, tree, defaults);
  if (looked === undefined) return [];
  const halves = [...illFormed(tree)];
  const names = [...inheritedNames(tree)];
  const said = [
    ...halves.map((path) => illFormedText(path, schema, tree, locate)),
    ...names.flatMap((path) => inheritedName(path, schema, tree, locate) ?? []),
  ];
  const check = compile(looked);
  if (check(tree)) return said;
  const others = distinct(check.errors ?? [], tree).filter(
    (error) => ![...halves, ...names].some((path) => isWithin(placeOf(error, tree), path)),
  );
  return [...said, ...others.map((error) => toProblem(error, schema, tree, locate))];
}
