/** The messages of MQTT-SN 1.2 §5 as values, and the numbers that the specification gives them. */

/** MQTT-SN 1.2 §5.2.2, Table 3. The order of the QoS 2 messages is PUBCOMP, PUBREC, PUBREL. */
export const ADVERTISE = 0x00;
export const SEARCHGW = 0x01;
export const GWINFO = 0x02;
export const CONNECT = 0x04;
export const CONNACK = 0x05;
export const WILLTOPICREQ = 0x06;
export const WILLTOPIC = 0x07;
export const WILLMSGREQ = 0x08;
export const WILLMSG = 0x09;
export const REGISTER = 0x0a;
export const REGACK = 0x0b;
export const PUBLISH = 0x0c;
export const PUBACK = 0x0d;
export const PUBCOMP = 0x0e;
export const PUBREC = 0x0f;
export const PUBREL = 0x10;
export const SUBSCRIBE = 0x12;
export const SUBACK = 0x13;
export const UNSUBSCRIBE = 0x14;
export const UNSUBACK = 0x15;
export const PINGREQ = 0x16;
export const PINGRESP = 0x17;
export const DISCONNECT = 0x18;
export const WILLTOPICUPD = 0x1a;
export const WILLTOPICRESP = 0x1b;
export const WILLMSGUPD = 0x1c;
export const WILLMSGRESP = 0x1d;
export const ENCAPSULATED = 0xfe;

/** MQTT-SN 1.2 §5.2.1: the first octet that announces a length in the next two. */
export const LONG_LENGTH = 0x01;
/** Octets of length and type in the two length forms. */
export const SHORT_HEADER = 2;
export const LONG_HEADER = 4;
/** The longest message that a one-octet length can announce. */
export const SHORT_LENGTH_MAX = 255;

/** MQTT-SN 1.2 §5.3.4, Table 4. */
export const FLAG_DUP = 0x80;
export const FLAG_RETAIN = 0x10;
export const FLAG_WILL = 0x08;
export const FLAG_CLEAN_SESSION = 0x04;
export const FLAG_TOPIC_ID_TYPE = 0x03;
export const QOS_SHIFT = 5;

/** Names by message type, for counters and notes. */
export const MESSAGE_NAMES: Readonly<Record<number, string>> = {
  [ADVERTISE]: "ADVERTISE",
  [SEARCHGW]: "SEARCHGW",
  [GWINFO]: "GWINFO",
  [CONNECT]: "CONNECT",
  [CONNACK]: "CONNACK",
  [WILLTOPICREQ]: "WILLTOPICREQ",
  [WILLTOPIC]: "WILLTOPIC",
  [WILLMSGREQ]: "WILLMSGREQ",
  [WILLMSG]: "WILLMSG",
  [REGISTER]: "REGISTER",
  [REGACK]: "REGACK",
  [PUBLISH]: "PUBLISH",
  [PUBACK]: "PUBACK",
  [PUBCOMP]: "PUBCOMP",
  [PUBREC]: "PUBREC",
  [PUBREL]: "PUBREL",
  [SUBSCRIBE]: "SUBSCRIBE",
  [SUBACK]: "SUBACK",
  [UNSUBSCRIBE]: "UNSUBSCRIBE",
  [UNSUBACK]: "UNSUBACK",
  [PINGREQ]: "PINGREQ",
  [PINGRESP]: "PINGRESP",
  [DISCONNECT]: "DISCONNECT",
  [WILLTOPICUPD]: "WILLTOPICUPD",
  [WILLTOPICRESP]: "WILLTOPICRESP",
  [WILLMSGUPD]: "WILLMSGUPD",
  [WILLMSGRESP]: "WILLMSGRESP",
  [ENCAPSULATED]: "ENCAPSULATED",
};

/** MQTT-SN 1.2 §5.3.8; other values are reserved, 0x02 is MQTT-SN 2.0. */
export const PROTOCOL_ID = 0x01;

/** MQTT-SN 1.2 §5.3.10. On receipt anything but 0 is a rejection; only these are ever sent. */
export type ReturnCode = 0 | 1 | 2 | 3;
export const ACCEPTED = 0;
export const CONGESTION = 1;
export const INVALID_TOPIC_ID = 2;
export const NOT_SUPPORTED = 3;

/** MQTT-SN 1.2 §5.3.4: normal id (or a name in SUBSCRIBE), predefined id, short name, reserved. */
export type TopicIdType = 0 | 1 | 2 | 3;
export const NORMAL = 0;
export const PREDEFINED = 1;
export const SHORT = 2;

/** MQTT-SN 1.2 §5.3.4: -1 is a publish without a connection. */
export type WireQoS = -1 | 0 | 1 | 2;

/** MQTT-SN 1.2 §5.3.11: 0x0000 and 0xFFFF are never assigned. */
export const TOPIC_ID_MIN = 0x0001;
export const TOPIC_ID_MAX = 0xfffe;

/** Longest wireless node id that is accepted in an encapsulated message, in octets. */
export const NODE_ID_MAX = 64;

export interface Advertise {
  readonly type: typeof ADVERTISE;
  readonly gatewayId: number;
  /** Seconds until the next one, 0 to 65,535. */
  readonly duration: number;
}
export interface SearchGw {
  readonly type: typeof SEARCHGW;
  readonly radius: number;
}
export interface GwInfo {
  readonly type: typeof GWINFO;
  readonly gatewayId: number;
  /** Only when a client sends it; empty else. */
  readonly address: Uint8Array;
}
export interface Connect {
  readonly type: typeof CONNECT;
  readonly will: boolean;
  readonly cleanSession: boolean;
  readonly protocolId: number;
  /** Keep-alive in seconds, 0 for none. */
  readonly duration: number;
  readonly clientId: Uint8Array;
}
export interface WithReturnCode {
  readonly type: typeof CONNACK | typeof WILLTOPICRESP | typeof WILLMSGRESP;
  readonly returnCode: number;
}
/** A message that is its type and nothing more. */
export interface Bare {
  readonly type: typeof WILLTOPICREQ | typeof WILLMSGREQ | typeof PINGRESP;
}
export interface WillTopic {
  readonly type: typeof WILLTOPIC | typeof WILLTOPICUPD;
  readonly qos: WireQoS;
  readonly retain: boolean;
  /** Undefined in the two-octet form, which deletes the will. */
  readonly topic: Uint8Array | undefined;
}
export interface WillMessage {
  readonly type: typeof WILLMSG | typeof WILLMSGUPD;
  readonly payload: Uint8Array;
}
export interface Register {
  readonly type: typeof REGISTER;
  readonly topicId: number;
  readonly messageId: number;
  readonly topic: Uint8Array;
}
export interface TopicAck {
  readonly type: typeof REGACK | typeof PUBACK;
  readonly topicId: number;
  readonly messageId: number;
  readonly returnCode: number;
}
export interface Publish {
  readonly type: typeof PUBLISH;
  readonly duplicate: boolean;
  readonly qos: WireQoS;
  readonly retain: boolean;
  readonly topicIdType: TopicIdType;
  /** A short name is its two octets read as a number. */
  readonly topicId: number;
  readonly messageId: number;
  readonly payload: Uint8Array;
}
/** Of a client with a connection. */
export type ConnectedPublish = Publish & { readonly qos: 0 | 1 | 2 };

export interface MessageAck {
  readonly type: typeof PUBCOMP | typeof PUBREC | typeof PUBREL | typeof UNSUBACK;
  readonly messageId: number;
}
export interface Subscribe {
  readonly type: typeof SUBSCRIBE | typeof UNSUBSCRIBE;
  readonly duplicate: boolean;
  readonly qos: WireQoS;
  readonly topicIdType: TopicIdType;
  readonly messageId: number;
  /** The name, or the two octets of a predefined id or a short name. */
  readonly topic: Uint8Array;
}
export interface SubAck {
  readonly type: typeof SUBACK;
  readonly qos: WireQoS;
  readonly topicId: number;
  readonly messageId: number;
  readonly returnCode: number;
}
export interface PingReq {
  readonly type: typeof PINGREQ;
  /** Empty but from a sleeper (MQTT-SN 1.2 §6.14). */
  readonly clientId: Uint8Array;
}
export interface Disconnect {
  readonly type: typeof DISCONNECT;
  /** Seconds of sleep; undefined in the two-octet form. */
  readonly duration: number | undefined;
}
export interface Encapsulated {
  readonly type: typeof ENCAPSULATED;
  /** 0 to 3; only relevant from the gateway (MQTT-SN 1.2 §5.5). */
  readonly radius: number;
  readonly node: Uint8Array;
  /** One complete message, undecoded. */
  readonly message: Uint8Array;
}

export type Packet =
  | Advertise
  | SearchGw
  | GwInfo
  | Connect
  | WithReturnCode
  | Bare
  | WillTopic
  | WillMessage
  | Register
  | TopicAck
  | Publish
  | MessageAck
  | Subscribe
  | SubAck
  | PingReq
  | Disconnect
  | Encapsulated;
