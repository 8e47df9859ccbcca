/** What of a device lives as long as its session, so that a restart of either side loses no observation. */
import { formatExactJson, isJsonObject, parseExactJson } from "./content/exact-json.ts";
import { type Observed, recalledObservation, rememberedObservation } from "./observations.ts";
import type { Registration } from "./registration.ts";

/** Changes when an older memo can no longer be read. */
const FORMAT = 1;

/** A text, because echoed fields may hold integers that plain JSON tools would round. */
export const remember = (
  location: string,
  registration: Registration,
  observations: ReadonlyMap<string, Observed>,
): string =>
  formatExactJson({
    format: FORMAT,
    location,
    registration: { ...registration },
    observations: [...observations.values()].map(rememberedObservation),
  });

export function recalledObservations(memo: unknown): Omit<Observed, "ask">[] {
  if (typeof memo !== "string") return [];
  const json = parseExactJson(memo);
  if (!json.ok || !isJsonObject(json.value) || json.value["format"] !== FORMAT) return [];
  const { observations } = json.value;
  if (!Array.isArray(observations)) return [];
  return observations.flatMap((item) => recalledObservation(item) ?? []);
}
