/** The properties of MQTT 5 (MQTT 5 §2.2.2.2): which there are, of what type, in which packets. */
import { PacketType } from "./packets.ts";

/** As they stand in one packet. Numbers are the wire's: intervals in seconds, flags 0 or 1. */
export interface Properties {
  payloadFormat?: 0 | 1;
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  /** Of a SUBSCRIBE. */
  subscriptionIdentifier?: number;
  /** Of a PUBLISH: all subscriptions that it goes out for [MQTT-3.3.4-3..5]. */
  subscriptionIdentifiers?: readonly number[];
  sessionExpiryInterval?: number;
  assignedClientIdentifier?: string;
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  requestProblemInformation?: 0 | 1;
  willDelayInterval?: number;
  requestResponseInformation?: 0 | 1;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQoS?: 0 | 1;
  retainAvailable?: 0 | 1;
  userProperties?: readonly (readonly [name: string, value: string])[];
  maximumPacketSize?: number;
  wildcardSubscriptionAvailable?: 0 | 1;
  subscriptionIdentifiersAvailable?: 0 | 1;
  sharedSubscriptionAvailable?: 0 | 1;
}

/** Names of the table; a PUBLISH alone may hold one of them several times, and has a field of its own for that. */
type PropertyName = Exclude<keyof Properties, "subscriptionIdentifiers">;
type PropertyType =
  | "flag" // one octet, 0 or 1
  | "uint16"
  | "uint32"
  | "variable" // variable byte integer
  | "string"
  | "binary"
  | "pair";

export interface PropertyRule {
  readonly id: number;
  readonly name: PropertyName;
  readonly type: PropertyType;
  /** Bit `1 << PacketType` of the packets that it may stand in, and bits for `WILL` and `SERVER_DISCONNECT`. */
  readonly within: number;
  /** Zero is a protocol error. */
  readonly positive: boolean;
}

const { CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP } = PacketType;
const { SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, DISCONNECT, AUTH } = PacketType;
/** The will has properties of its own inside CONNECT (MQTT 5 §3.1.3.2). */
export const WILL = 0;
/** The one packet in which server and client may say different things [MQTT-3.14.2-2]; `DISCONNECT` is a client's. */
export const SERVER_DISCONNECT = 16;
const ACKS = [PUBACK, PUBREC, PUBREL, PUBCOMP] as const;
const DISCONNECTS = [DISCONNECT, SERVER_DISCONNECT] as const;

function rule(
  id: number,
  name: PropertyName,
  type: PropertyType,
  packets: readonly number[],
  positive = false,
): PropertyRule {
  return { id, name, type, within: packets.reduce((bits, packet) => bits | (1 << packet), 0), positive };
}

export const PROPERTY_RULES: readonly PropertyRule[] = [
  rule(0x01, "payloadFormat", "flag", [PUBLISH, WILL]),
  rule(0x02, "messageExpiryInterval", "uint32", [PUBLISH, WILL]),
  rule(0x03, "contentType", "string", [PUBLISH, WILL]),
  rule(0x08, "responseTopic", "string", [PUBLISH, WILL]),
  rule(0x09, "correlationData", "binary", [PUBLISH, WILL]),
  // A client must not send it in PUBLISH, which is a protocol error and not a malformed packet [MQTT-3.3.4-6].
  rule(0x0b, "subscriptionIdentifier", "variable", [SUBSCRIBE, PUBLISH], true),
  rule(0x11, "sessionExpiryInterval", "uint32", [CONNECT, CONNACK, DISCONNECT]),
  rule(0x12, "assignedClientIdentifier", "string", [CONNACK]),
  rule(0x13, "serverKeepAlive", "uint16", [CONNACK]),
  rule(0x15, "authenticationMethod", "string", [CONNECT, CONNACK, AUTH]),
  rule(0x16, "authenticationData", "binary", [CONNECT, CONNACK, AUTH]),
  rule(0x17, "requestProblemInformation", "flag", [CONNECT]),
  rule(0x18, "willDelayInterval", "uint32", [WILL]),
  rule(0x19, "requestResponseInformation", "flag", [CONNECT]),
  rule(0x1a, "responseInformation", "string", [CONNACK]),
  rule(0x1c, "serverReference", "string", [CONNACK, SERVER_DISCONNECT]),
  rule(0x1f, "reasonString", "string", [CONNACK, ...ACKS, SUBACK, UNSUBACK, ...DISCONNECTS, AUTH]),
  rule(0x21, "receiveMaximum", "uint16", [CONNECT, CONNACK], true),
  rule(0x22, "topicAliasMaximum", "uint16", [CONNECT, CONNACK]),
  rule(0x23, "topicAlias", "uint16", [PUBLISH]),
  rule(0x24, "maximumQoS", "flag", [CONNACK]),
  rule(0x25, "retainAvailable", "flag", [CONNACK]),
  rule(0x26, "userProperties", "pair", [
    CONNECT,
    WILL,
    CONNACK,
    PUBLISH,
    ...ACKS,
    SUBSCRIBE,
    SUBACK,
    UNSUBSCRIBE,
    UNSUBACK,
    ...DISCONNECTS,
    AUTH,
  ]),
  rule(0x27, "maximumPacketSize", "uint32", [CONNECT, CONNACK], true),
  rule(0x28, "wildcardSubscriptionAvailable", "flag", [CONNACK]),
  rule(0x29, "subscriptionIdentifiersAvailable", "flag", [CONNACK]),
  rule(0x2a, "sharedSubscriptionAvailable", "flag", [CONNACK]),
];

/** Rules by identifier; a hole is an identifier that MQTT 5 does not assign. */
export const PROPERTY_BY_ID: readonly (PropertyRule | undefined)[] = (() => {
  const byId: (PropertyRule | undefined)[] = new Array(0x2b).fill(undefined);
  for (const each of PROPERTY_RULES) byId[each.id] = each;
  return byId;
})();

export const NO_PROPERTIES: Readonly<Properties> = Object.freeze({});
