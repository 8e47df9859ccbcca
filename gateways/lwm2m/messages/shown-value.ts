/** Values as the JSON on the MQTT side shows them. */
import { encodeBase64 } from "../content/base64.ts";
import type { Json, JsonObject } from "../content/exact-json.ts";
import { absoluteTime } from "../content/senml.ts";
import { type Entry, formatObjectLink, isObjectLink, type Value } from "../content/value.ts";
import { type Definitions, impliedVersion, type ObjectVersions } from "../objects/model.ts";

/** Opaque in base64, links as `object:instance`, integers exact, null for nothing and for what JSON cannot say. */
export function shownValue(value: Value | undefined): Json {
  if (value === undefined) return null;
  if (value instanceof Uint8Array) return encodeBase64(value);
  if (isObjectLink(value)) return formatObjectLink(value);
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}

/** Adds name, type and units of the definitions to each item; see the setting `describeContent`. */
export interface Description {
  readonly definitions: Definitions;
  readonly versions: ObjectVersions;
  /** Version of LwM2M. */
  readonly version: string;
}

/** `now` in seconds since the Unix epoch, for times that are relative to it. */
export function shownContent(
  entries: readonly Entry[],
  now: number,
  description: Description | undefined,
): JsonObject[] {
  return entries.map((entry) => ({
    path: entry.path.toString(),
    value: shownValue(entry.value),
    ...(entry.time === undefined ? undefined : { time: absoluteTime(entry.time, now) }),
    ...(description === undefined ? undefined : described(entry, description)),
  }));
}

function described(entry: Entry, { definitions, versions, version }: Description): JsonObject {
  const object = entry.path.object ?? -1;
  const said = entry.path.prefix === "" ? versions.get(object) : undefined;
  const resource = definitions.resource(entry.path, said ?? impliedVersion(object, version));
  if (resource === undefined) return {};
  const units = resource.units === "" ? {} : { units: resource.units };
  return { name: resource.name, ...(resource.type === undefined ? {} : { type: resource.type }), ...units };
}
