/** The configuration as an operator looks at it: each key with its value, meaning, and where the value comes from. */
import { UNIT } from "../lib/setting.ts";
import type { Duration } from "../lib/time.ts";
import { formatDuration, formatSize } from "../lib/units.ts";
import { fillDefaults, isTree, schemaOfKey, type Tree } from "../settings/defaults.ts";
import { describe, HIDDEN } from "../settings/describe.ts";
import type { JsonSchema } from "../settings/json-schema.ts";
import { SECRET } from "../settings/kinds.ts";
import { type Path, showPath, valueAt } from "../settings/path.ts";
import { isLive, type RestartOf } from "./diff.ts";

export interface ShownSetting {
  readonly key: string;
  /** Secrets hidden; undefined where nothing is set. */
  readonly value: unknown;
  readonly default: unknown;
  readonly meaning: string;
  readonly takes: string;
  /** `default`, a line of the file, `api`, an environment variable, a flag. */
  readonly origin: string;
  /** A change takes effect while running; else at a restart. */
  readonly live: boolean;
  /** It was changed, and what was there before is in force until a restart. */
  readonly pending: boolean;
}

interface Around {
  readonly defaults: unknown;
  originOf(path: Path): string | undefined;
  readonly restartOf: RestartOf;
  /** Keys that wait for a restart. */
  readonly pending?: ReadonlySet<string>;
}

/** A value as people write it, with secrets hidden wherever they are in it. */
export function masked(schema: JsonSchema | undefined, value: unknown): unknown {
  if (value === undefined) return undefined;
  if (schema?.[SECRET] === true) return HIDDEN;
  if (typeof value === "number" && schema?.[UNIT] === "duration") return formatDuration(value as Duration);
  if (typeof value === "number" && schema?.[UNIT] === "size") return formatSize(value);
  if (Array.isArray(value)) return value.map((item) => masked(itemSchema(schema, item), item));
  if (!isTree(value)) return value;
  const of = formOf(schema, value);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      masked(of === undefined ? undefined : schemaOfKey(of, key), item),
    ]),
  );
}

const itemSchema = (schema: JsonSchema | undefined, item: unknown): JsonSchema | undefined =>
  schema?.items === undefined ? undefined : formOf(schema.items, item);

/** Of several forms the one that has the keys of this value. */
export function formOf(schema: JsonSchema, value: unknown): JsonSchema;
export function formOf(schema: JsonSchema | undefined, value: unknown): JsonSchema | undefined;
export function formOf(schema: JsonSchema | undefined, value: unknown): JsonSchema | undefined {
  const forms = schema?.anyOf ?? schema?.oneOf;
  if (forms === undefined || !isTree(value)) return schema;
  const kind = value["kind"];
  return (
    forms.find((form) => form.properties?.["kind"]?.const === kind && kind !== undefined) ??
    forms.find((form) => Object.keys(value).every((key) => schemaOfKey(form, key) !== undefined)) ??
    schema
  );
}

/** Every key of the configuration that is there, in the order of the schema. */
export function* shownConfig(
  schema: JsonSchema,
  config: unknown,
  around: Omit<Around, "defaults">,
): Generator<ShownSetting> {
  yield* section(schema, config as Tree, [], { ...around, defaults: fillDefaults(schema, {}) });
}

function* section(schema: JsonSchema, values: Tree, path: Path, around: Around): Generator<ShownSetting> {
  const named = Object.keys(schema.properties ?? {});
  const others = Object.keys(values).filter((key) => !named.includes(key));
  for (const key of [...named, ...others]) {
    const of = schemaOfKey(schema, key);
    const value = values[key];
    const here = [...path, key];
    const open = of !== undefined && (of.properties !== undefined || of.patternProperties !== undefined);
    if (open && isTree(value)) yield* section(of, value, here, around);
    else if (!open || value !== undefined) yield setting(of, value, here, around);
  }
}

function setting(schema: JsonSchema | undefined, value: unknown, path: Path, around: Around): ShownSetting {
  const usual = valueAt(around.defaults, path);
  return {
    key: showPath(path),
    value: masked(schema, value),
    default: masked(schema, usual),
    meaning: schema?.description ?? "",
    takes: schema === undefined ? "" : describe(schema),
    origin: around.originOf(path) ?? "default",
    live: isLive(path, around.restartOf),
    pending: around.pending?.has(showPath(path)) ?? false,
  };
}
