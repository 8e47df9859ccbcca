/** What of a device lives as long as its session, so that a restart of either side loses no observation. */
import {
  formatExactJson,
  isJsonObject,
  type Json,
  type JsonObject,
  parseExactJson,
} from "./content/exact-json.ts";
import { type Observed, recalledObservation, rememberedObservation } from "./observations.ts";
import type { Registration } from "./registration.ts";

/** Changes when an older memo can no longer be read. */
const FORMAT = 1;

/** A text, because echoed fields may hold integers that plain JSON tools would round. */
export const remember = (
  location: string,
  registration: Registration,
  observations: ReadonlyMap<string, Observed>,
  firmware: JsonObject | undefined,
): string =>
  formatExactJson({
    format: FORMAT,
    location,
    registration: { ...registration },
    observations: [...observations.values()].map(rememberedObservation),
    firmware,
  });

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
