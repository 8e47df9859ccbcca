import { type Static, Type } from "@sinclair/typebox";
import { durationSetting, sizeSetting } from "#core/lib/setting.ts";

/** Most that a remaining length can say, with the fixed header (MQTT 5 §2.1.4). */
export const PACKET_SIZE_MAX = 268_435_455 + 5;

const flag = (value: boolean, description: string) => Type.Boolean({ default: value, description });

const whole = (minimum: number, maximum: number, value: number, description: string) =>
  Type.Integer({ minimum, maximum, default: value, description });

const text = (maxLength: number, description: string) => Type.String({ default: "", maxLength, description });

/** Options of the MQTT gateway; its listeners, mountpoint, rates and sessions are the core's. */
export const schema = Type.Object({
  versions: Type.Array(Type.Union([Type.Literal("3.1"), Type.Literal("3.1.1"), Type.Literal("5.0")]), {
    default: ["3.1", "3.1.1", "5.0"],
    minItems: 1,
    uniqueItems: true,
    description: "Protocol versions that clients may speak",
  }),
  packetTimeout: durationSetting({
    default: "120s",
    minimum: "1s",
    description: "Time that a packet may take to arrive once its first octet is here",
  }),
  maximumConnectSize: sizeSetting({
    default: "128KB",
    minimum: "64B",
    maximum: PACKET_SIZE_MAX,
    description: "Largest CONNECT packet",
  }),
  maximumItems: whole(
    1,
    1_000_000,
    4096,
    "Topic filters and user properties in one packet; a client that sends more is disconnected",
  ),
  receiveMaximum: whole(1, 65_535, 1024, "QoS 1 and 2 messages that a client may send without an answer"),
  inflightMaximum: whole(
    1,
    65_535,
    1024,
    "QoS 1 and 2 messages on their way to one client; its own Receive Maximum may ask for fewer",
  ),
  topicAliasMaximum: whole(0, 65_535, 64, "Topic aliases that a client may set; 0 for none"),
  outgoingTopicAliases: whole(
    0,
    65_535,
    16,
    "Topic aliases that the gateway sets towards one client that allows them; 0 for none",
  ),
  maximumQoS: Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)], {
    default: 2,
    description: "Highest QoS at which clients may publish and are sent messages",
  }),
  retainAvailable: flag(true, "Clients may publish retained messages"),
  wildcardSubscriptions: flag(true, "Filters may hold + and #"),
  sharedSubscriptions: flag(true, "Filters may be $share/<group>/<filter> and $queue/<filter>"),
  subscriptionIdentifiers: flag(true, "MQTT 5 subscriptions may carry an identifier"),
  keepAliveFactor: Type.Number({
    minimum: 1,
    maximum: 10,
    default: 1.5,
    description: "A client is lost when nothing came from it for its keep alive times this factor",
  }),
  serverKeepAlive: durationSetting({
    default: 0,
    maximum: "65535s",
    description:
      "Longest keep alive of MQTT 5 clients, also of those that want none; in whole seconds; 0 leaves it to them",
  }),
  maximumClientIdLength: whole(1, 65_535, 1024, "Longest client identifier, in characters"),
  strictClientIdLength: flag(false, "Hold MQTT 3.1 clients to identifiers of at most 23 characters"),
  reasonStrings: flag(true, "Tell MQTT 5 clients in words what was wrong"),
  validatePayloadFormat: flag(false, "Refuse a payload that is declared to be UTF-8 text and is not"),
  refusedPublish: Type.Union([Type.Literal("acknowledge"), Type.Literal("disconnect")], {
    default: "acknowledge",
    description:
      "What a refused publish comes to where no reason can be given (MQTT 3, QoS 0): acknowledged as usual and dropped, or the end of the connection",
  }),
  fullQueue: Type.Union([Type.Literal("drop"), Type.Literal("refuse")], {
    default: "drop",
    description:
      "What becomes of a QoS 1 or 2 message of an MQTT 5 client for which some subscriber's queue has no room. drop: it is accepted, and that queue drops by session.queue.drop. refuse: nobody gets it, and its publisher is told, by reason code 0x97",
  }),
  responseInformation: text(
    1024,
    "Response Information for MQTT 5 clients that ask for it; %c is the client id",
  ),
  serverReference: text(1024, "Server named to MQTT 5 clients when this one stops or is unavailable"),
});

export type MqttConfig = Static<typeof schema>;
