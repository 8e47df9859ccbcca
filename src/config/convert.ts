import { UNIT } from "../lib/setting.ts";
import { parseCount, parseDuration, parseSize } from "../lib/units.ts";
import { isTree, schemaOfKey } from "../settings/defaults.ts";
import { describe, quoted } from "../settings/describe.ts";
import { chosen, type JsonSchema } from "../settings/json-schema.ts";
import type { Path } from "../settings/path.ts";
import { type ConfigProblem, type Locate, problem } from "../settings/problem.ts";

type Written = string | number;

function parse(unit: unknown, value: Written): number | undefined {
  if (unit === "duration") return parseDuration(value);
  return unit === "size" ? parseSize(value) : parseCount(value);
}

/** Turns what people write (`30s`, `64KB`, `unlimited`) into numbers, and checks the bounds given in such units. */
export class UnitConversion {
  readonly problems: ConfigProblem[] = [];
  readonly #locate: Locate;

  constructor(locate: Locate) {
    this.#locate = locate;
  }

  /** A copy of the value; give it only what has passed validation. */
  convert(of: JsonSchema, value: unknown, path: Path = []): unknown {
    const schema = chosen(of, value);
    if (schema[UNIT] !== undefined && value !== undefined)
      return this.#number(schema, value as Written, path);
    if (schema.anyOf) {
      const section = isTree(value) ? schema.anyOf.find((branch) => branch.properties) : undefined;
      return section === undefined ? value : this.convert(section, value, path);
    }
    if (Array.isArray(value)) {
      const { items } = schema;
      return items ? value.map((item, index) => this.convert(items, item, [...path, index])) : value;
    }
    if (!isTree(value)) return value;
    const entries = Object.entries(value).map(([key, item]) => {
      const inner = schemaOfKey(schema, key);
      return [key, inner === undefined ? item : this.convert(inner, item, [...path, key])];
    });
    return Object.fromEntries(entries);
  }

  #number(schema: JsonSchema, written: Written, path: Path): number {
    const unit = schema[UNIT];
    const value = parse(unit, written);
    const minimum = schema["x-minimum"] as Written | undefined;
    const maximum = schema["x-maximum"] as Written | undefined;
    const fits =
      value !== undefined &&
      (minimum === undefined || value >= (parse(unit, minimum) ?? 0)) &&
      (maximum === undefined || value <= (parse(unit, maximum) ?? Number.POSITIVE_INFINITY));
    if (!fits) {
      const shown = quoted(written);
      const finding = { path, says: `is ${shown}`, value: shown, allowed: describe(schema) };
      this.problems.push(problem(this.#locate, finding));
    }
    return value ?? 0;
  }
}
