/** What the core says, in the words of EMQX 5. */
import type { Refusal } from "../contract/answers.ts";
import type { Drop, SessionEnd, Stopped } from "../session/context.ts";
import type { Departure } from "../session/sessions.ts";
import { userProperties } from "./events.ts";
import type { Value } from "./value.ts";

/** How a client left. */
export interface HowItLeft {
  readonly how: Departure;
  readonly stopped: Stopped | undefined;
  readonly said: object | undefined;
}

/** Why clients and sessions have gone, as EMQX 5 names it; what that has no name for has ours. */
const REASONS: Readonly<Record<Departure | SessionEnd, string>> = {
  closed: "normal",
  parted: "normal",
  expected: "normal",
  lost: "tcp_closed",
  silent: "keepalive_timeout",
  refused: "protocol_error",
  "taken-over": "takenover",
  discarded: "discarded",
  kicked: "kicked",
  forbidden: "not_authorized",
  expired: "expired",
  shutdown: "shutdown",
  rate: "rate",
  unavailable: "unavailable",
  overload: "overload",
  unproven: "unproven",
};

/** Why a session has ended. */
export const endOf = (why: SessionEnd): string => REASONS[why];

/** A failure of its gateway's, which is our bug, closes a channel with this. */
const FAILURE = "internal error";

/** `reason`: what the core says of it. */
export const reasonOf = ({ how, stopped }: HowItLeft, reason: string): string =>
  reason === FAILURE ? "internal_error" : REASONS[stopped ?? how];

/** Why a message at QoS 2 was not taken, as EMQX 5 names it. */
export const UNTAKEN = { full: "receive_maximum_exceeded", duplicate: "packet_identifier_inuse" } as const;

/** Words for why a delivery was dropped. */
export const DROPS: Readonly<Record<Drop, string>> = {
  full: "queue_full",
  expired: "expired",
  away: "qos0_msg",
  deleted: "deleted",
  "no-local": "no_local",
};

/** Reason codes of a CONNACK, and what the chain says, in the words of EMQX 5. */
export const CODES: Readonly<Record<Refusal, string>> = {
  unauthenticated: "bad_username_or_password",
  forbidden: "not_authorized",
  banned: "banned",
  malformed: "client_identifier_not_valid",
  congested: "server_busy",
  quota: "quota_exceeded",
  "too-large": "packet_too_large",
  unavailable: "server_unavailable",
};

/** Who has decided, as EMQX 5 names it. */
export function sourceOf(rule: string): string {
  if (rule === "superuser") return rule;
  if (rule === "authorization.sources") return "source";
  return rule.startsWith("no rule") ? "default" : "file";
}

/** Of MQTT's versions the number on the wire [MQTT-3.1.2-2]; of others their own. */
const VERSIONS: Readonly<Record<string, number>> = { "3.1": 3, "3.1.1": 4, "5.0": 5 };

export function protocolOf(protocol: string): Record<string, Value> {
  const at = protocol.lastIndexOf(" ");
  const [name, version] = at < 0 ? [protocol, ""] : [protocol.slice(0, at), protocol.slice(at + 1)];
  return { proto_name: name, proto_ver: VERSIONS[version] ?? version };
}

/** Properties of a packet by the names of MQTT 5 (§2.2.2.2), as EMQX writes them. */
export function namedProperties(properties: object = {}): Record<string, Value> {
  const named: Record<string, Value> = {};
  for (const [key, value] of Object.entries(properties)) {
    if (key === "userProperties") Object.assign(named, userProperties(value as [string, string][]));
    else named[key.replaceAll(/(^.|[A-Z])/g, (letter) => `-${letter.toUpperCase()}`).slice(1)] = value;
  }
  return named;
}
