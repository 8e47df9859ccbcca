/** What of a device lives as long as its session, so that a restart of either side loses nothing. */

import type { Peer } from "#core/contract/peer.ts";
import { utf8 } from "#core/lib/bytes.ts";
import type { Duration, Instant } from "#core/lib/time.ts";
import {
  formatExactJson,
  isJsonObject,
  type Json,
  type JsonObject,
  parseExactJson,
} from "../content/exact-json.ts";
import {
  type ObservationTable,
  type Observed,
  recalledObservation,
  rememberedObservation,
} from "../observing/observations.ts";
import { formatObjectList, type ObjectList, type ObjectLists } from "./object-list.ts";
import type { Registration } from "./registration.ts";

/** Changes when an older memo can no longer be read. */
const FORMAT = 1;

/** A registration, and what tells after a restart of the gateway that a request comes from its device. */
export interface KeptRegistration {
  readonly location: string;
  readonly username: string;
  /** The last Register or Update, from which the lifetime runs. */
  readonly renewedAt: Instant;
  readonly peer: Pick<Peer, "transport" | "address" | "port" | "identity">;
  readonly registration: Registration;
}

/** What a device calls itself and its objects: bytes that it chooses. */
export const weightOf = ({ ep, custom, list }: Registration): number =>
  ep.length +
  textOf(list).length +
  Object.entries(custom).reduce((sum, [name, value]) => sum + name.length + value.length, 0);

/** A text, because echoed fields may hold integers that plain JSON tools would round. */
export function remember(
  kept: KeptRegistration,
  observations: ObservationTable,
  firmware: JsonObject | undefined,
): string {
  const values = observations.size === 0 ? undefined : observations.values().map(rememberedObservation);
  return formatExactJson({ format: FORMAT, registration: written(kept), observations: values, firmware });
}

/** Beside what the memo holds already. */
export function withRegistration(memo: unknown, kept: KeptRegistration): string {
  return formatExactJson({ ...read(memo), format: FORMAT, registration: written(kept) });
}

/** Of a device whose registration has ended: its observations and its firmware order, if there are any. */
export function withoutRegistration(memo: unknown): string | undefined {
  const json = read(memo);
  if (json === undefined) return undefined;
  const { observations, firmware } = json;
  if (observations === undefined && firmware === undefined) return undefined;
  return formatExactJson({ ...json, registration: undefined });
}

export interface Recalled {
  readonly observations: readonly Omit<Observed, "ask">[];
  readonly firmware: Json | undefined;
}

export function recall(memo: unknown): Recalled {
  const { observations, firmware } = read(memo) ?? {};
  const list = Array.isArray(observations) ? (observations as readonly Json[]) : [];
  return { observations: list.flatMap((item) => recalledObservation(item) ?? []), firmware };
}

/** `undefined` when the memo holds none, or one of another make. */
export function recallRegistration(memo: unknown, lists: ObjectLists): KeptRegistration | undefined {
  const kept = read(memo)?.["registration"];
  if (!isJsonObject(kept) || !isJsonObject(kept["custom"])) return undefined;
  const fields = kept as unknown as Omit<Kept, "objects">;
  const list = lists.read(utf8(String(kept["objects"])));
  if (list === undefined || !isWhole(fields)) return undefined;
  const { ep, lt, version, lwm2m, b, queueMode, custom } = fields;
  const { location, username, transport, address, port, identity } = fields;
  return {
    location,
    username,
    renewedAt: fields.renewedAt as Instant,
    peer: { transport, address, port, identity },
    registration: { ep, lt, version, lwm2m, b, queueMode, custom, list },
  };
}

/** The same memo, its registration renewed later by so much. */
export function movedRegistration(memo: unknown, by: Duration): unknown {
  const json = read(memo);
  const kept = json?.["registration"];
  if (!isJsonObject(kept) || typeof kept["renewedAt"] !== "number") return memo;
  const renewedAt = Math.floor(kept["renewedAt"] + by);
  return formatExactJson({ ...json, registration: { ...kept, renewedAt } });
}

/** As it stands in the memo. */
type Kept = Omit<KeptRegistration, "peer" | "registration"> &
  KeptRegistration["peer"] &
  Omit<Registration, "list"> & { readonly objects: string };

const TEXTS = ["location", "username", "transport", "address", "ep", "version", "lwm2m", "b"] as const;
const NUMBERS = ["renewedAt", "port", "lt"] as const;

const isWhole = (kept: Omit<Kept, "objects">): boolean =>
  TEXTS.every((name) => typeof kept[name] === "string") &&
  NUMBERS.every((name) => typeof kept[name] === "number");

function written({ location, username, renewedAt, peer, registration }: KeptRegistration): JsonObject {
  const { list, ...said } = registration;
  const at = { location, username, renewedAt: Math.floor(renewedAt), ...peer };
  return { ...at, ...said, objects: textOf(list) };
}

/** Devices share their lists, and so the texts of them. */
const texts = new WeakMap<ObjectList, string>();

function textOf(list: ObjectList): string {
  let text = texts.get(list);
  if (text === undefined) {
    text = formatObjectList(list);
    texts.set(list, text);
  }
  return text;
}

function read(memo: unknown): JsonObject | undefined {
  if (typeof memo !== "string") return undefined;
  const json = parseExactJson(memo);
  return json.ok && isJsonObject(json.value) && json.value["format"] === FORMAT ? json.value : undefined;
}
