/** What the core tells of clients and deliveries, as events of rules. */
import type { QoS } from "../bus/message.ts";
import type { Delivery, Outcome } from "../contract/delivery.ts";
import type { Identity } from "../contract/identity.ts";
import type { Drop, SessionFollower } from "../session/context.ts";
import type { Session } from "../session/session.ts";
import type { EventKind } from "./event-names.ts";
import { connectionFields, messageFields, publisherFields } from "./events.ts";
import type { Rules } from "./rules.ts";
import type { Value } from "./value.ts";

/** A client that comes or goes, as the door tells of it. */
export interface ComingOrGoing {
  readonly gateway: string;
  readonly listener: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly at: number;
}

export interface HowItCame {
  readonly cleanStart: boolean;
  readonly sessionPresent: boolean;
  readonly keepAlive: number;
}

/** Of MQTT's versions the number on the wire [MQTT-3.1.2-2]; of others their own. */
const VERSIONS: Readonly<Record<string, number>> = { "3.1": 3, "3.1.1": 4, "5.0": 5 };

/** Our reasons, as EMQX 5 names them. */
const REASONS: Readonly<Record<string, string>> = {
  closed: "normal",
  lost: "tcp_closed",
  expected: "normal",
  "taken-over": "takenover",
  kicked: "kicked",
  forbidden: "not_authorized",
};

/** Words for why a delivery was dropped. */
const DROPS: Readonly<Record<Drop, string>> = { full: "queue_full", expired: "expired", away: "qos0_msg" };

const ofClient = (client: ComingOrGoing): Record<string, Value> => ({
  ...publisherFields(client),
  ...connectionFields(client),
  listener: client.listener,
  mountpoint: undefined,
  timestamp: client.at,
});

function protocolOf(protocol: string): Record<string, Value> {
  const at = protocol.lastIndexOf(" ");
  const [name, version] = at < 0 ? [protocol, ""] : [protocol.slice(0, at), protocol.slice(at + 1)];
  return { proto_name: name, proto_ver: VERSIONS[version] ?? version };
}

/** Tells rules of what happens to clients. */
export class Happenings {
  readonly #rules: Rules;
  readonly #node: string;
  readonly #newId: () => string;

  constructor(rules: Rules, node: string, newId: () => string) {
    this.#rules = rules;
    this.#node = node;
    this.#newId = newId;
  }

  connected(client: ComingOrGoing, { cleanStart, sessionPresent, keepAlive }: HowItCame): void {
    this.#rules.happened("client_connected", () => ({
      ...ofClient(client),
      ...protocolOf(client.protocol),
      keepalive: keepAlive,
      clean_start: cleanStart,
      session_present: sessionPresent,
      connected_at: client.at,
      is_bridge: false,
      auth_result: "success",
      connack: 0,
      conn_props: {},
    }));
  }

  disconnected(client: ComingOrGoing, reason: string): void {
    this.#rules.happened("client_disconnected", () => ({
      ...ofClient(client),
      ...protocolOf(client.protocol),
      reason: REASONS[reason] ?? reason,
      reason_code: REASONS[reason] ?? reason,
      disconnected_at: client.at,
      disconn_props: {},
    }));
  }

  subscribed(identity: Identity, filter: string, qos: QoS): void {
    this.#subscription("session_subscribed", identity, filter, qos);
  }

  unsubscribed(identity: Identity, filter: string): void {
    this.#subscription("session_unsubscribed", identity, filter, undefined);
  }

  #subscription(kind: EventKind, identity: Identity, filter: string, qos: QoS | undefined): void {
    this.#rules.happened(kind, () => {
      const { address, port } = identity.peer;
      const one = { topic: filter, ...(qos === undefined ? {} : { qos }) };
      return {
        ...publisherFields(identity),
        ...connectionFields({ ...identity, address, port }),
        ...one,
        topic_filters: [one],
        [qos === undefined ? "unsub_props" : "sub_props"]: {},
      };
    });
  }

  /** Attached to sessions while some rule is for what it tells. */
  get follower(): SessionFollower | undefined {
    const hears = (["message_delivered", "message_acked", "delivery_dropped"] as const).some((kind) =>
      this.#rules.hears(kind),
    );
    return hears ? this.#follower : undefined;
  }

  readonly #follower: SessionFollower = {
    handed: (session, delivery) => this.#delivery("message_delivered", session, delivery),
    settled: (session, delivery, outcome: Outcome) => {
      if (outcome === "done") this.#delivery("message_acked", session, delivery);
    },
    dropped: (session, delivery, why: Drop) =>
      this.#delivery("delivery_dropped", session, delivery, DROPS[why]),
  };

  #delivery(kind: EventKind, session: Session, delivery: Delivery, reason?: string): void {
    const { message, topic, qos } = delivery;
    this.#rules.happened(
      kind,
      () => {
        const { gateway, clientId, username, identity } = session;
        const { address, port } = identity?.peer ?? {};
        const at = message.publisher.indexOf(":");
        return {
          ...messageFields(message, this.#newId(), this.#node),
          ...publisherFields({ gateway, clientId, username }),
          ...connectionFields({
            ...{ gateway, clientId, username },
            ...(address === undefined ? {} : { address, port: port ?? 0 }),
          }),
          from_clientid: message.publisher.slice(at + 1),
          topic,
          qos,
          ...(reason === undefined ? {} : { reason }),
          ...(kind === "message_acked" ? { puback_props: {} } : {}),
        };
      },
      message,
    );
  }
}
