/** What of a device lives as long as its session, so that a restart of either side loses no observation. */
import {
  formatExactJson,
  isJsonObject,
  type Json,
  type JsonObject,
  parseExactJson,
} from "./content/exact-json.ts";
import {
  type ObservationTable,
  type Observed,
  recalledObservation,
  rememberedObservation,
} from "./observations.ts";

/** Changes when an older memo can no longer be read. */
const FORMAT = 1;

/**
 * Undefined when there is nothing to remember, which is so of most devices. A text, because echoed fields may
 * hold integers that plain JSON tools would round.
 */
export function remember(
  observations: ObservationTable,
  firmware: JsonObject | undefined,
): string | undefined {
  if (observations.size === 0 && firmware === undefined) return undefined;
  return formatExactJson({
    format: FORMAT,
    observations: observations.values().map(rememberedObservation),
    firmware,
  });
}

export interface Recalled {
  readonly observations: readonly Omit<Observed, "ask">[];
  readonly firmware: Json | undefined;
}

const NOTHING: Recalled = { observations: [], firmware: undefined };

export function recall(memo: unknown): Recalled {
  if (typeof memo !== "string") return NOTHING;
  const json = parseExactJson(memo);
  if (!json.ok || !isJsonObject(json.value) || json.value["format"] !== FORMAT) return NOTHING;
  const { observations, firmware } = json.value;
  if (!Array.isArray(observations)) return NOTHING;
  return { observations: observations.flatMap((item) => recalledObservation(item) ?? []), firmware };
}
