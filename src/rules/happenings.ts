/** What the core tells of clients and deliveries, as events of rules. */
import type { Message, QoS } from "../bus/message.ts";
import type { Refusal } from "../contract/answers.ts";
import type { Delivery, Outcome } from "../contract/delivery.ts";
import type { Identity } from "../contract/identity.ts";
import { type Instant, inSeconds } from "../lib/time.ts";
import type { Drop, SessionFollower } from "../session/context.ts";
import type { SessionState } from "../session/session-state.ts";
import type { EventKind } from "./event-names.ts";
import {
  CODES,
  DROPS,
  endOf,
  type HowItLeft,
  namedProperties,
  protocolOf,
  reasonOf,
  sourceOf,
  UNTAKEN,
} from "./event-words.ts";
import { connectionFields, messageFields, publisherFields, wholeMilliseconds } from "./events.ts";
import type { Rules } from "./rules.ts";
import type { Value } from "./value.ts";

/** Who comes to a door, as that tells of it. */
interface Comer {
  readonly gateway: string;
  readonly listener: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly address: string;
  readonly port: number;
}

/** A right that was asked about. */
type Judged = { readonly identity: Identity; readonly qos: QoS } & (
  | { readonly action: "publish"; readonly topic: string }
  | { readonly action: "subscribe"; readonly filter: string }
);

interface DoorFollower {
  authenticated(who: Comer, refusal: Refusal | undefined, superuser: boolean): void;
  refused(who: Comer, refusal: Refusal): void;
  untaken(identity: Identity, message: Message, why: "full" | "duplicate"): void;
  rested(identity: Identity, until: Instant | undefined): void;
  readonly authorized: ((asked: Judged, allowed: boolean, by: () => string) => void) | undefined;
}

/** A client that comes or goes, as the door tells of it. */
export interface ComingOrGoing extends Comer {
  readonly protocol: string;
  readonly mountpoint: string;
  readonly at: number;
}

export interface HowItCame {
  readonly cleanStart: boolean;
  readonly sessionPresent: boolean;
  readonly keepAlive: number;
  readonly expiry: number;
  readonly properties: object | undefined;
  readonly loop: { readonly local: string | undefined };
}

/** Who is in has been let in: a field of EMQ X 4.0. */
const LET_IN = { auth_result: "success" } as const;

const ofClient = (client: ComingOrGoing): Record<string, Value> => ({
  ...LET_IN,
  ...publisherFields(client),
  ...connectionFields(client),
  listener: client.listener,
  mountpoint: mountpointOf(client.mountpoint),
  timestamp: wholeMilliseconds(client.at),
});

function ofSession({
  gateway,
  clientId,
  username,
  identity,
  mountpoint,
}: SessionState): Record<string, Value> {
  const { address, port } = identity?.peer ?? {};
  const by = { gateway, clientId, username };
  return {
    ...LET_IN,
    ...publisherFields(by),
    ...connectionFields({ ...by, ...(address === undefined ? {} : { address, port: port ?? 0 }) }),
    mountpoint: mountpointOf(mountpoint),
  };
}

const TOLD_BY_DOORS: readonly EventKind[] = [
  "client_connack",
  "client_check_authn_complete",
  "client_asleep",
  "client_awake",
  "message_dropped",
];

const ofComer = (who: Comer): Record<string, Value> => ({
  ...publisherFields(who),
  ...connectionFields(who),
  listener: who.listener,
});

/** Unset where there is none, as in EMQX. */
const mountpointOf = (mountpoint: string): Value => (mountpoint === "" ? undefined : mountpoint);

const TOLD_BY_SESSIONS: readonly EventKind[] = [
  "message_delivered",
  "message_acked",
  "delivery_dropped",
  "session_created",
  "session_resumed",
  "session_subscribed",
  "session_unsubscribed",
  "session_terminated",
];

/** Tells rules of what happens to clients. */
export class Happenings {
  readonly #rules: Rules;
  readonly #node: string;
  readonly #newId: () => string;
  readonly #usernameOf: (publisher: string) => string | undefined;

  /** `usernameOf`: of who has a session, by gateway and client id. */
  constructor(
    rules: Rules,
    node: string,
    newId: () => string,
    usernameOf: (publisher: string) => string | undefined,
  ) {
    this.#usernameOf = usernameOf;
    this.#rules = rules;
    this.#node = node;
    this.#newId = newId;
  }

  connected(client: ComingOrGoing, how: HowItCame): void {
    const fields = () => ({
      ...ofClient(client),
      ...protocolOf(client.protocol),
      sockname: how.loop.local,
      keepalive: how.keepAlive,
      clean_start: how.cleanStart,
      expiry_interval: Math.min(how.expiry, 0xffff_ffff),
      conn_props: namedProperties(how.properties),
    });
    this.#rules.happened("client_connack", () => ({ ...fields(), reason_code: "success" }));
    this.#rules.happened("client_connected", () => ({
      ...fields(),
      session_present: how.sessionPresent,
      connected_at: wholeMilliseconds(client.at),
      is_bridge: false,
      connack: 0,
    }));
  }

  disconnected(client: ComingOrGoing, reason: string, left: HowItLeft): void {
    this.#rules.happened("client_disconnected", () => ({
      ...ofClient(client),
      ...protocolOf(client.protocol),
      reason: reasonOf(left, reason),
      reason_code: reasonOf(left, reason),
      disconnected_at: wholeMilliseconds(client.at),
      disconn_props: namedProperties(left.said),
    }));
  }

  #session(kind: EventKind, session: SessionState, more: Readonly<Record<string, Value>> = {}): void {
    this.#rules.happened(kind, () => ({
      ...ofSession(session),
      ...more,
      expiry_interval: Math.round(Math.min(inSeconds(session.expiry), 0xffff_ffff)),
    }));
  }

  /** Attached to doors while some rule is for what it tells. */
  get doorFollower(): DoorFollower | undefined {
    const rights = this.#rules.hears("client_check_authz_complete");
    if (!rights && !TOLD_BY_DOORS.some((kind) => this.#rules.hears(kind))) return undefined;
    return {
      authenticated: (who, refusal, superuser) => this.#authenticated(who, refusal, superuser),
      untaken: (identity, message, why) => this.#untaken(identity, message, why),
      rested: (identity, until) => this.#rested(identity, until),
      refused: (who, refusal) =>
        this.#rules.happened("client_connack", () => ({ ...ofComer(who), reason_code: CODES[refusal] })),
      authorized: rights ? (asked, allowed, by) => this.#authorized(asked, allowed, by) : undefined,
    };
  }

  /** A device that says so sleeps, and is not lost (MQTT-SN 1.2 §6.14). */
  #rested(identity: Identity, until: Instant | undefined): void {
    const { address, port } = identity.peer;
    const kind = until === undefined ? "client_awake" : "client_asleep";
    this.#rules.happened(kind, () => ({
      ...ofComer({ ...identity, address, port }),
      ...(until === undefined ? {} : { asleep_until: wholeMilliseconds(until) }),
    }));
  }

  #untaken(identity: Identity, message: Message, why: keyof typeof UNTAKEN): void {
    const { address, port } = identity.peer;
    this.#rules.happened("message_dropped", () => ({
      ...ofComer({ ...identity, address, port }),
      ...messageFields(message, message.id ?? this.#newId(), this.#node),
      reason: UNTAKEN[why],
    }));
  }

  #authenticated(who: Comer, refusal: Refusal | undefined, superuser: boolean): void {
    this.#rules.happened("client_check_authn_complete", () => ({
      ...ofComer(who),
      reason_code: refusal === undefined ? "success" : CODES[refusal],
      auth_result: refusal === undefined ? "success" : CODES[refusal],
      is_anonymous: refusal === undefined && who.username === undefined,
      is_superuser: superuser,
    }));
  }

  #authorized(asked: Judged, allowed: boolean, by: () => string): void {
    const { action, identity, qos } = asked;
    const { address, port } = identity.peer;
    this.#rules.happened("client_check_authz_complete", () => {
      const rule = by();
      return {
        ...ofComer({ ...identity, address, port }),
        topic: asked.action === "publish" ? asked.topic : asked.filter,
        action,
        qos,
        result: allowed ? "allow" : "deny",
        authz_source: sourceOf(rule),
        authz_rule: rule,
      };
    });
  }

  #subscription(kind: EventKind, session: SessionState, filter: string, qos: QoS | undefined): void {
    this.#rules.happened(kind, () => {
      const one = { topic: filter, ...(qos === undefined ? {} : { qos }) };
      return {
        ...ofSession(session),
        ...one,
        topic_filters: [one],
        [qos === undefined ? "unsub_props" : "sub_props"]: namedProperties(session.occupant?.said),
      };
    });
  }

  /** Attached to sessions while some rule is for what it tells. */
  get follower(): SessionFollower | undefined {
    const hears = TOLD_BY_SESSIONS.some((kind) => this.#rules.hears(kind));
    return hears ? this.#follower : undefined;
  }

  readonly #follower: SessionFollower = {
    opened: (session, present) => this.#session(present ? "session_resumed" : "session_created", session),
    ended: (session, why) => this.#session("session_terminated", session, { reason: endOf(why) }),
    subscribed: (session, filter, qos) => this.#subscription("session_subscribed", session, filter, qos),
    unsubscribed: (session, filter) => this.#subscription("session_unsubscribed", session, filter, undefined),
    handed: (session, delivery) => this.#delivery("message_delivered", session, delivery),
    settled: (session, delivery, outcome: Outcome) => {
      if (outcome === "done") this.#delivery("message_acked", session, delivery);
    },
    dropped: (session, delivery, why: Drop) =>
      this.#delivery("delivery_dropped", session, delivery, DROPS[why]),
  };

  #delivery(kind: EventKind, session: SessionState, delivery: Delivery, reason?: string): void {
    const { message, qos } = delivery;
    this.#rules.happened(
      kind,
      () => {
        const at = message.publisher.indexOf(":");
        return {
          ...messageFields(message, message.id ?? this.#newId(), this.#node),
          ...ofSession(session),
          from_clientid: message.publisher.slice(at + 1),
          from_username: this.#usernameOf(message.publisher),
          qos,
          ...(reason === undefined ? {} : { reason }),
          ...(kind === "message_acked" ? { puback_props: namedProperties(session.occupant?.said) } : {}),
        };
      },
      message,
    );
  }
}
