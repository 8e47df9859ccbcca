/** What a change of the configuration does while it runs. */
import { HIDDEN } from "../settings/describe.ts";
import type { JsonSchema } from "../settings/json-schema.ts";
import { valueAt } from "../settings/path.ts";
import { schemaAt } from "../settings/validate.ts";
import { type ConfigChange, diffConfig, type RestartOf } from "./diff.ts";
import type { Config } from "./schema.ts";
import { masked } from "./shown-config.ts";

/**
 * live: at once. listener: the listener is closed and opened, and its clients connect again. gateway: the gateway is started
 * again, with all its listeners. restart: when the process is.
 */
export const EFFECTS = ["live", "listener", "gateway", "restart"] as const;
export type Effect = (typeof EFFECTS)[number];

export interface EffectiveChange {
  readonly key: string;
  /** As people write them, secrets hidden; absent for nothing. */
  readonly before?: unknown;
  readonly after?: unknown;
  readonly effect: Effect;
  /** The listener or gateway that it has an effect on: `mqtt.tcp`, `mqtt`. */
  readonly of?: string;
}

type Where = Pick<EffectiveChange, "effect" | "of">;

/** Keys of a gateway from outside: which code it is, and what watches over that. */
const OF_CODE: readonly unknown[] = ["module", "stuckAfter"];

function effectOf({ path, live }: ConfigChange): Where {
  if (live) return { effect: "live" };
  const [section, gateway, key, listener] = path;
  if (section !== "gateways" || OF_CODE.includes(key)) return { effect: "restart" };
  if (key === "listeners" && listener !== undefined)
    return { effect: "listener", of: `${gateway}.${listener}` };
  return { effect: "gateway", of: String(gateway) };
}

/** Everything that differs, with what comes of it. A rule or connector is shown as a whole where it comes or goes. */
export function effectsOf(
  schema: JsonSchema,
  before: Config,
  after: Config,
  restartOf: RestartOf,
): readonly EffectiveChange[] {
  return diffConfig(before, after, restartOf).map((change) => {
    const shown = (value: unknown, tree: unknown): unknown => {
      if (value === undefined) return undefined;
      const of = schemaAt(schema, change.path, tree);
      return of === undefined ? HIDDEN : masked(of, value);
    };
    const was = shown(change.before, before);
    const is = shown(change.after, after);
    return {
      key: change.key,
      ...(was === undefined ? {} : { before: was }),
      ...(is === undefined ? {} : { after: is }),
      ...effectOf(change),
    };
  });
}

/** What stands at a dotted key, secrets hidden. */
export function shownAt(schema: JsonSchema, config: Config, path: readonly string[]): unknown {
  const value = valueAt(config, path);
  if (value === undefined) return undefined;
  const of = schemaAt(schema, path, config);
  return of === undefined ? HIDDEN : masked(of, value);
}
