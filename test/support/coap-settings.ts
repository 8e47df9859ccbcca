import { UnitConversion } from "#core/config/convert.ts";
import { fillDefaults } from "#core/settings/defaults.ts";
import type { JsonSchema } from "#core/settings/json-schema.ts";

/** Settings as a configuration file gives them, defaults filled in and units converted. */
export function parseDefaults<Settings>(schema: unknown, given: Record<string, unknown> = {}): Settings {
  const tree = fillDefaults(schema as JsonSchema, given);
  const units = new UnitConversion(() => undefined);
  const settings = units.convert(schema as JsonSchema, tree) as Settings;
  if (units.problems.length > 0) throw new Error(JSON.stringify(units.problems));
  return settings;
}
