/** Single values from the environment and from `--set`, laid over what the file says. */
import { parse } from "yaml";
import { isTree, schemaOfKey, type Tree } from "../settings/defaults.ts";
import { isInherited } from "../settings/inherited.ts";
import { chosen, type JsonSchema } from "../settings/json-schema.ts";
import { nearest } from "../settings/nearest.ts";
import { NESTING_MAX, tooDeepAt } from "../settings/nesting.ts";
import { isWithin, type Path } from "../settings/path.ts";
import { type ConfigProblem, problem } from "../settings/problem.ts";

const ENVIRONMENT_PREFIX = "ISTHMUS_";
/** Names the file; no setting. */
export const FILE_VARIABLE = "ISTHMUS_CONFIG";

/** One value to set, and what to call its origin. */
export interface Override {
  readonly steps: readonly string[];
  readonly value: string;
  readonly origin: string;
  /** Orchestrators put variables of their own under our prefix; those are passed over. */
  readonly lenient: boolean;
}

/** `ISTHMUS_GATEWAYS__MQTT__LISTENERS__TCP__PORT=2883`: a double underscore between keys, case ignored. */
export function environmentOverrides(environment: Readonly<Record<string, string | undefined>>): Override[] {
  const overrides: Override[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || name === FILE_VARIABLE || value === undefined) continue;
    const steps = name.slice(ENVIRONMENT_PREFIX.length).split("__");
    overrides.push({ steps, value, origin: `environment variable ${name}`, lenient: steps.length === 1 });
  }
  return overrides.sort((a, b) => (a.origin < b.origin ? -1 : 1));
}

/** `gateways.mqtt.listeners.tcp.port=2883`, as given to `--set`. */
export function flagOverride(flag: string): Override {
  const equals = flag.indexOf("=");
  const key = equals === -1 ? flag : flag.slice(0, equals);
  const value = equals === -1 ? "" : flag.slice(equals + 1);
  const steps = key.split(".").flatMap((step) => step.replaceAll(/\[(\d+)\]/g, ".$1").split("."));
  return { steps, value, origin: `--set ${key}`, lenient: false };
}

/** A key as people may write it: case, `-` and `_` do not count. */
export const plain = (word: string): string => word.replaceAll(/[_-]/g, "").toLowerCase();

interface SetBy {
  readonly path: Path;
  readonly origin: string;
  /** For a whole tree that was laid: by what is below the path. */
  readonly where: string | ((below: Path) => string);
}

/** The values of all sources so far, and where each override came from. */
export class OverriddenValues {
  readonly values: Tree;
  readonly problems: ConfigProblem[] = [];
  readonly warnings: string[] = [];
  readonly #schema: JsonSchema;
  readonly #origins: SetBy[] = [];

  constructor(schema: JsonSchema, values: Tree) {
    this.#schema = schema;
    this.values = structuredClone(values);
  }

  /** Which override set this path, the last one first. */
  originOf(path: Path): string | undefined {
    return this.#setBy(path)?.origin;
  }

  /** Where that stands. */
  whereIs(path: Path): string | undefined {
    const set = this.#setBy(path);
    return typeof set?.where === "function" ? set.where(path.slice(set.path.length)) : set?.where;
  }

  #setBy(path: Path): SetBy | undefined {
    return this.#origins.findLast((known) => isWithin(path, known.path));
  }

  /** A value that needs no reading. `where`: what messages call its place, or that of what is below it. */
  lay(path: readonly string[], value: unknown, origin: string, where: SetBy["where"]): void {
    assign(this.values, this.#schema, path, structuredClone(value));
    this.#origins.push({ path, origin, where });
  }

  apply(override: Override): void {
    const path: (string | number)[] = [];
    let schema: JsonSchema = this.#schema;
    let at: unknown = this.values;
    let fallback: unknown;
    for (const step of override.steps) {
      const key = keyFor(schema, at ?? schema.default ?? fallback, step);
      if (key === undefined) {
        this.#unknown(override, schema, [...path, step], step);
        return;
      }
      path.push(key);
      fallback = childOf(schema.default ?? fallback, key);
      schema = (typeof key === "number" ? schema.items : schemaOfKey(schema, key)) ?? {};
      at = childOf(at, key);
      schema = chosen(schema, at);
    }
    const origin = override.origin;
    const value = this.#parsed(override, schema, path);
    if (value === UNREADABLE) return;
    assign(this.values, this.#schema, path, value);
    this.#origins.push({ path, origin, where: origin });
  }

  #parsed(override: Override, schema: JsonSchema, path: Path): unknown {
    if (schema.type === "string") return override.value;
    let says = `is nested more than ${NESTING_MAX} deep`;
    if (tooDeepAt(override.value) === undefined) {
      try {
        return parse(override.value);
      } catch {
        says = `cannot be read as YAML: ${override.value}`;
      }
    }
    this.problems.push(problem(() => override.origin, { path, says }));
    return UNREADABLE;
  }

  #unknown(override: Override, schema: JsonSchema, path: Path, step: string): void {
    const known = Object.keys(schema.properties ?? {});
    if (override.lenient) {
      this.#passedOver(override, step, known);
      return;
    }
    const meant = nearest(step, known);
    const allowed = known.length === 0 ? undefined : `one of ${known.join(", ")}`;
    const says = "is not a known key";
    this.problems.push(problem(() => override.origin, { path, says, allowed, nearest: meant }));
  }

  /** A variable that looks like a key of ours is probably meant as one: `ISTHMUS_LOG_LEVEL` for `ISTHMUS_LOG__LEVEL`. */
  #passedOver({ origin }: Override, step: string, known: readonly string[]): void {
    const parts = step.toLowerCase().split("_");
    const section = known.find((key) => plain(key) === parts[0]);
    const meant =
      parts.length > 1 && section !== undefined
        ? `${ENVIRONMENT_PREFIX}${parts[0]}__${parts.slice(1).join("_")}`.toUpperCase()
        : nearest(plain(step), known.map(plain))?.toUpperCase().replace(/^/, ENVIRONMENT_PREFIX);
    if (meant !== undefined)
      this.warnings.push(`${origin} is no setting and is passed over; did you mean ${meant}?`);
  }
}

const UNREADABLE = Symbol("unreadable");

function childOf(value: unknown, key: string | number): unknown {
  return typeof value === "object" && value !== null ? (value as Tree)[key] : undefined;
}

/** The key as it is really written: case, `-` and `_` do not count. A new name is taken as it comes. */
function keyFor(schema: JsonSchema, value: unknown, step: string): string | number | undefined {
  if (isInherited(step.toLowerCase())) return undefined;
  if (schema.items !== undefined) return /^\d{1,4}$/.test(step) ? Number(step) : undefined;
  const sections = [schema, ...(schema.oneOf ?? [])];
  const named = sections.flatMap(({ properties = {} }) => Object.keys(properties));
  const known = [...named, ...(isTree(value) ? Object.keys(value) : [])];
  const exact = known.find((key) => key === step) ?? known.find((key) => plain(key) === plain(step));
  if (exact !== undefined) return exact;
  return schemaOfKey(schema, step) === undefined ? undefined : step.toLowerCase();
}

/** Sets a value, making the sections and lists on the way; a list that is not there starts as its default. */
function assign(tree: Tree, schema: JsonSchema, path: Path, value: unknown): void {
  let at = tree;
  let of: JsonSchema = schema;
  path.forEach((key, index) => {
    of = (typeof key === "number" ? of.items : schemaOfKey(of, key)) ?? {};
    if (index === path.length - 1) {
      at[key] = value;
      return;
    }
    const next = at[key];
    if (typeof next !== "object" || next === null)
      at[key] = of.items ? structuredClone(of.default ?? []) : {};
    at = at[key] as Tree;
  });
}
