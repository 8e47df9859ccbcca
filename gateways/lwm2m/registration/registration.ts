/** The registration interface as values: what Register and Update say (LwM2M 1.1 §6.2, 1.2 §6.2). */

import { concat, utf8 } from "#core/lib/bytes.ts";
import { err, ok, type Result } from "#core/lib/result.ts";
import { after, type Duration, type Instant, seconds } from "#core/lib/time.ts";
import { type Code, Response } from "#gateways/coap/stack/message/codes.ts";
import type { ObjectList, ObjectLists } from "./object-list.ts";

/** Lifetime of a registration that names none, in seconds (LwM2M 1.1 §6.2.1). */
const LIFETIME_DEFAULT = 86_400;

/** What is known of a registered device. */
export interface Registration {
  readonly ep: string;
  /** As the device asked, in seconds. */
  readonly lt: number;
  /** `1.0`, `1.1` or `1.2`. */
  readonly version: string;
  /** As the device wrote it. */
  readonly lwm2m: string;
  readonly b: string;
  readonly queueMode: boolean;
  /** Objects, versions, formats and alternate path; shared between devices that sent the same. */
  readonly list: ObjectList;
  /** Query fields that the specification does not know, without secrets. */
  readonly custom: Readonly<Record<string, string>>;
}

export interface Credentials {
  readonly clientId: string;
  readonly username: string;
  readonly password: string | undefined;
}

export interface RefusedRegistration {
  readonly code: Code;
  readonly reason: string;
}

export interface RegistrationRules {
  readonly versions: readonly string[];
  readonly lifetimeMin: Duration;
  readonly lifetimeMax: Duration;
  /** `clamp` registers and counts with the nearest allowed lifetime; `refuse` answers 4.00. */
  readonly lifetimeOutside: "clamp" | "refuse";
  readonly endpointNameMax: number;
  /** Profile ids (LwM2M 1.2 §6.2.1) and the object lists that they stand for. */
  readonly profileIds: readonly { readonly pid: string; readonly objects: string }[];
}

type Refused = Result<never, RefusedRegistration>;
const refuse = (code: Code, reason: string): Refused => err({ code, reason });

/** Uri-Query parts by name; the first of a repeated name counts. A part without `=` is an empty text. */
export function readQuery(parts: readonly string[]): Map<string, string> {
  const query = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf("=");
    const name = equals === -1 ? part : part.slice(0, equals);
    if (!query.has(name)) query.set(name, equals === -1 ? "" : part.slice(equals + 1));
  }
  return query;
}

/** Wildcards and separators would break out of the device's own topics. */
const UNSAFE_NAME = /[+#/\p{Cc}]/u;

/**
 * Reads a Register. `identity` is what the transport has proven; with it the endpoint name may be missing
 * (LwM2M 1.1 §6.2.1).
 */
export function readRegister(
  query: ReadonlyMap<string, string>,
  payload: Uint8Array,
  identity: string | undefined,
  rules: RegistrationRules,
  lists: ObjectLists,
): Result<Registration, RefusedRegistration> {
  const ep = query.get("ep") ?? identity ?? "";
  if (ep === "") return refuse(Response.BadRequest, "ep is missing");
  if (ep.length > rules.endpointNameMax || UNSAFE_NAME.test(ep))
    return refuse(Response.BadRequest, "ep is not usable");
  const lwm2m = query.get("lwm2m");
  if (lwm2m === undefined) return refuse(Response.BadRequest, "lwm2m is missing");
  const said = versionOf(lwm2m);
  if (said === undefined) return refuse(Response.BadRequest, "lwm2m is not a version");
  // 4.12 makes a client try a lower version (LwM2M 1.1 §6.2.1, table 6.4.1-1).
  const version = rules.versions.find((known) => known === said);
  if (version === undefined) return refuse(Response.PreconditionFailed, `version ${said} is not supported`);
  const lt = readLifetime(query.get("lt"), LIFETIME_DEFAULT, rules);
  if (!lt.ok) return lt;
  const binding = readBinding(query.get("b"), "U");
  if (!binding.ok) return binding;
  const pid = query.get("pid");
  if (pid === undefined && payload.length === 0 && version === "1.2")
    return refuse(Response.Conflict, "neither an object list nor a profile id");
  const list = readList(pid, payload, rules, lists);
  if (!list.ok) return list;
  // Mandatory (LwM2M 1.1 §6.2.1, table 6.2.1-1); a device without any object is none.
  if (list.value.objects.length === 0) return refuse(Response.BadRequest, "the object list names no object");
  return ok({
    ep,
    lt: lt.value,
    version,
    // The text of the setting, which all devices share.
    lwm2m: lwm2m === version ? version : lwm2m,
    b: binding.value,
    queueMode: query.has("Q") || binding.value.includes("Q") || POWER_SAVING_APNS.has(query.get("apn") ?? ""),
    list: list.value,
    custom: customFields(query),
  });
}

/**
 * The objects that all profile ids and the payload name together. Where one is not known, 4.09 makes the device
 * register with its whole list (LwM2M 1.2 §6.2.1).
 */
function readList(
  pid: string | undefined,
  payload: Uint8Array,
  rules: RegistrationRules,
  lists: ObjectLists,
): Result<ObjectList, RefusedRegistration> {
  const parts: Uint8Array[] = payload.length === 0 ? [] : [payload];
  for (const id of pid === undefined ? [] : pid.replaceAll('"', "").split(",")) {
    const profile = rules.profileIds.find((known) => known.pid === id);
    if (profile === undefined) return refuse(Response.Conflict, `profile id ${id} is not known`);
    parts.push(utf8(profile.objects));
  }
  const separated = parts.flatMap((part, index) => (index === 0 ? [part] : [COMMA, part]));
  const list = lists.read(separated.length === 1 ? (separated[0] as Uint8Array) : concat(...separated));
  return list === undefined ? refuse(Response.BadRequest, "the object list is not readable") : ok(list);
}

const COMMA = utf8(",");

/** What an Update changes; absent fields stay as they are (LwM2M 1.1 §6.2.2). */
export function readUpdate(
  query: ReadonlyMap<string, string>,
  payload: Uint8Array,
  before: Registration,
  rules: RegistrationRules,
  lists: ObjectLists,
): Result<Registration, RefusedRegistration> {
  const lt = readLifetime(query.get("lt"), before.lt, rules);
  if (!lt.ok) return lt;
  const binding = readBinding(query.get("b"), before.b);
  if (!binding.ok) return binding;
  const pid = query.get("pid");
  const list =
    payload.length === 0 && pid === undefined ? ok(undefined) : readList(pid, payload, rules, lists);
  if (!list.ok) return list;
  const bindingSaid = query.has("b") || query.has("Q");
  const fields = customFields(query);
  const custom = fields === NO_FIELDS ? before.custom : { ...before.custom, ...fields };
  const changed = {
    ...before,
    lt: lt.value,
    b: binding.value,
    queueMode: bindingSaid ? query.has("Q") || binding.value.includes("Q") : before.queueMode,
    custom,
  };
  if (list.value === undefined) return ok(changed);
  return ok({
    ...changed,
    list: completed(list.value, before.list),
  });
}

/** An update need not repeat the root link. */
function completed(list: ObjectList, before: ObjectList): ObjectList {
  const root = list.root === "/" ? before.root : list.root;
  const formats = list.formats.length === 0 ? before.formats : list.formats;
  return root === list.root && formats === list.formats ? list : { ...list, root, formats };
}

/** `1`, `1.0`, `1.0.2`: only major and minor count. */
function versionOf(lwm2m: string): string | undefined {
  const match = /^(\d{1,2})(?:\.(\d{1,2}))?(?:\.\d{1,2})?$/.exec(lwm2m);
  return match === null ? undefined : `${match[1]}.${match[2] ?? "0"}`;
}

function readLifetime(
  given: string | undefined,
  before: number,
  rules: RegistrationRules,
): Result<number, RefusedRegistration> {
  if (given === undefined) return ok(before);
  if (!/^\d{1,10}$/.test(given)) return refuse(Response.BadRequest, "lt is not a number of seconds");
  const lifetime = Number(given);
  const outside = seconds(lifetime) < rules.lifetimeMin || seconds(lifetime) > rules.lifetimeMax;
  if (outside && rules.lifetimeOutside === "refuse") return refuse(Response.BadRequest, "lt is out of range");
  return ok(lifetime);
}

/** How long a registration really lasts; 0 asks for the longest there is. */
export function allowedLifetime(lt: number, rules: RegistrationRules): Duration {
  if (lt === 0) return rules.lifetimeMax;
  return Math.min(Math.max(seconds(lt), rules.lifetimeMin), rules.lifetimeMax) as Duration;
}

/** An operator sees a device overdue from its lifetime's end, while the grace is still there. */
export const promisedUntil = (renewedAt: Instant, lt: number, rules: RegistrationRules): Instant =>
  after(renewedAt, allowedLifetime(lt, rules));

/** Letters of the bindings: U UDP, T TCP, S SMS, N non-IP, M MQTT, H HTTP, Q queue mode (LwM2M 1.2 §6.2.1.2). */
function readBinding(given: string | undefined, before: string): Result<string, RefusedRegistration> {
  if (given === undefined || given === "") return ok(before);
  return /^[UTSNMHQ]{1,7}$/.test(given) ? ok(given) : refuse(Response.BadRequest, "b is not a binding mode");
}

/** Access points whose devices sleep without saying Q: NB-IoT with power saving mode. */
const POWER_SAVING_APNS: ReadonlySet<string> = new Set([
  "Ctnb",
  "psmA.eDRX0.ctnb",
  "psmC.eDRX0.ctnb",
  "psmF.eDRXC.ctnb",
]);

const NO_FIELDS: Readonly<Record<string, string>> = {};
const STANDARD: ReadonlySet<string> = new Set(["ep", "lt", "lwm2m", "b", "Q", "sms", "pid"]);
const SECRET = /pass|pwd|secret|token|psk|key/i;

/** Fields beyond the standard go into reports, but never a password. */
function customFields(query: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  let custom: Record<string, string> | undefined;
  for (const [name, value] of query) {
    const kept = name === "sms" || name === "pid" || !(STANDARD.has(name) || SECRET.test(name));
    if (!kept || name === "__proto__") continue;
    custom ??= {};
    custom[name] = value;
  }
  return custom ?? NO_FIELDS;
}

/** Client id, user name and password, as the gateway that applications come from takes them from the query. */
export function readCredentials(query: ReadonlyMap<string, string>, ep: string): Credentials {
  return {
    clientId: query.get("device_id") || ep,
    username: query.get("imei") || ep,
    password: query.get("password"),
  };
}
