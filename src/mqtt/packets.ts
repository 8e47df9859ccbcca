/** The control packets of MQTT 3.1, 3.1.1 and 5.0 as values. PUBLISH and its answers have no object: see `codec`. */
import type { QoS } from "../bus/message.ts";
import type { DecodeError } from "../lib/result.ts";
import type { Properties } from "./properties.ts";
import type { ReasonCode } from "./reason-codes.ts";

export const PacketType = {
  CONNECT: 1,
  CONNACK: 2,
  PUBLISH: 3,
  PUBACK: 4,
  PUBREC: 5,
  PUBREL: 6,
  PUBCOMP: 7,
  SUBSCRIBE: 8,
  SUBACK: 9,
  UNSUBSCRIBE: 10,
  UNSUBACK: 11,
  PINGREQ: 12,
  PINGRESP: 13,
  DISCONNECT: 14,
  AUTH: 15,
} as const;

/** Answers to PUBLISH and to each other: a packet identifier and, in MQTT 5, a reason. */
export type Acknowledgement =
  | typeof PacketType.PUBACK
  | typeof PacketType.PUBREC
  | typeof PacketType.PUBREL
  | typeof PacketType.PUBCOMP;

/** Names by number, for notes and metrics; 0 is not assigned. */
export const PACKET_NAMES: readonly string[] = ["reserved", ...Object.keys(PacketType)];

/** Protocol level on the wire: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. */
export type ProtocolVersion = 3 | 4 | 5;

export const VERSION_NAMES = { 3: "MQTT 3.1", 4: "MQTT 3.1.1", 5: "MQTT 5.0" } as const;

/** What the peer sent wrong, and the reason code that says so in MQTT 5. */
export interface PacketError extends DecodeError {
  readonly code: ReasonCode;
}

export interface WillPacket {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: Readonly<Properties>;
}

export interface ConnectPacket {
  readonly version: ProtocolVersion;
  /** The client is a broker that passes messages on. */
  readonly bridge: boolean;
  readonly clientId: string;
  /** Clean Session before MQTT 5. */
  readonly cleanStart: boolean;
  /** Seconds; 0 turns the supervision off. */
  readonly keepAlive: number;
  readonly properties: Readonly<Properties>;
  readonly will: WillPacket | undefined;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
}

export interface ConnackPacket {
  readonly sessionPresent: boolean;
  /** Before MQTT 5 what its return code means. */
  readonly reason: ReasonCode;
  readonly properties: Readonly<Properties>;
}

export interface Subscription {
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: 0 | 1 | 2;
}

export interface SubscribePacket {
  readonly packetId: number;
  readonly properties: Readonly<Properties>;
  readonly subscriptions: readonly Subscription[];
}

export interface UnsubscribePacket {
  readonly packetId: number;
  readonly properties: Readonly<Properties>;
  readonly filters: readonly string[];
}

/** SUBACK, and UNSUBACK, which has no codes before MQTT 5. */
export interface CodesPacket {
  readonly packetId: number;
  readonly properties: Readonly<Properties>;
  /** One for each filter, in their order; below 0x80 in SUBACK the QoS that was granted. */
  readonly codes: readonly ReasonCode[];
}

/** DISCONNECT and AUTH: a reason and properties. */
export interface ReasonPacket {
  readonly reason: ReasonCode;
  readonly properties: Readonly<Properties>;
}

/** A well-formed packet that breaks a rule; the rule is not about one octet, so there is no offset. */
export const breach = (code: ReasonCode, clause: string, problem: string): PacketError => ({
  code,
  clause,
  at: 0,
  problem,
});
