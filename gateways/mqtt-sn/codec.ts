/** Bytes to messages: MQTT-SN 1.2 §5. One datagram holds one message. */
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import * as p from "./packets.ts";

const QOS_OF_BITS: readonly p.WireQoS[] = [0, 1, 2, -1];
const qosOf = (flags: number): p.WireQoS => QOS_OF_BITS[(flags >> p.QOS_SHIFT) & 3] ?? 0;

const octet = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0;
export const word = (bytes: Uint8Array, at: number): number => (octet(bytes, at) << 8) | octet(bytes, at + 1);

/** A name or client id up to the end. Some clients send the NUL with it that ends it in their memory. */
export function name(bytes: Uint8Array, at: number): Uint8Array {
  const last = bytes.length - 1;
  return bytes.subarray(at, last > at && bytes[last] === 0 ? last : bytes.length);
}

/** Paho's library counts one octet for the length where it writes three, in messages of exactly this size. */
const MISCOUNTED = 258;
const isMiscounted = (bytes: Uint8Array): boolean =>
  bytes.length === MISCOUNTED && octet(bytes, 0) === p.LONG_LENGTH && word(bytes, 1) === MISCOUNTED - 2;

/** The message that a datagram holds. Its length says where it ends (§5.2.1); what is behind it is padding. */
export function messageIn(datagram: Uint8Array): Uint8Array {
  const long = octet(datagram, 0) === p.LONG_LENGTH;
  const length = long ? word(datagram, 1) : octet(datagram, 0);
  if (length >= datagram.length || length < (long ? p.LONG_HEADER : p.SHORT_HEADER)) return datagram;
  return isMiscounted(datagram) ? datagram : datagram.subarray(0, length);
}

/** Octets before the variable part, or 0 when the length field is malformed or is not the message's size. */
export function headerLength(bytes: Uint8Array): number {
  if (octet(bytes, 0) === p.LONG_LENGTH) {
    const fits = bytes.length >= p.LONG_HEADER && word(bytes, 1) === bytes.length;
    return fits || isMiscounted(bytes) ? p.LONG_HEADER : 0;
  }
  return bytes.length >= p.SHORT_HEADER && octet(bytes, 0) === bytes.length ? p.SHORT_HEADER : 0;
}

/** Reads one datagram. Byte slices in the result are views of `datagram`. */
export function decode(datagram: Uint8Array): Result<p.Packet, DecodeError> {
  if (octet(datagram, 1) === p.ENCAPSULATED && octet(datagram, 0) !== p.LONG_LENGTH)
    return decodeEncapsulated(datagram);
  const bytes = messageIn(datagram);
  const header = headerLength(bytes);
  if (header === 0) return decodeError("MQTT-SN 1.2 §5.2.1", 0, "the length is more than there is");
  return decodeBody(octet(bytes, header - 1), bytes, header);
}

function decodeBody(type: number, bytes: Uint8Array, at: number): Result<p.Packet, DecodeError> {
  const size = bytes.length - at;
  switch (type) {
    case p.PUBLISH:
      return decodePublish(bytes, at);
    case p.PUBACK:
    case p.REGACK:
      return size === 5
        ? ok({
            type,
            topicId: word(bytes, at),
            messageId: word(bytes, at + 2),
            returnCode: octet(bytes, at + 4),
          })
        : wrongSize(type, at);
    case p.PUBCOMP:
    case p.PUBREC:
    case p.PUBREL:
    case p.UNSUBACK:
      return size === 2 ? ok({ type, messageId: word(bytes, at) }) : wrongSize(type, at);
    case p.SUBSCRIBE:
    case p.UNSUBSCRIBE:
      return decodeSubscribe(type, bytes, at);
    case p.REGISTER:
      return size >= 4
        ? ok({
            type,
            topicId: word(bytes, at),
            messageId: word(bytes, at + 2),
            topic: name(bytes, at + 4),
          })
        : wrongSize(type, at);
    case p.PINGREQ:
      return ok({ type, clientId: name(bytes, at) });
    case p.DISCONNECT:
      if (size === 0) return ok({ type, duration: undefined });
      // A widespread library for Arduino counts its header twice, and sends two octets too many.
      return size === 2 || size === 4 ? ok({ type, duration: word(bytes, at) }) : wrongSize(type, at);
    case p.CONNECT:
      return decodeConnect(bytes, at);
    case p.WILLTOPIC:
    case p.WILLTOPICUPD:
    case p.WILLMSG:
    case p.WILLMSGUPD:
      return ok(decodeWill(type, bytes, at));
    default:
      return decodeRare(type, bytes, at);
  }
}

/** Discovery, and what only a gateway sends. */
function decodeRare(type: number, bytes: Uint8Array, at: number): Result<p.Packet, DecodeError> {
  const size = bytes.length - at;
  switch (type) {
    case p.ADVERTISE:
      return size === 3
        ? ok({ type, gatewayId: octet(bytes, at), duration: word(bytes, at + 1) })
        : wrongSize(type, at);
    case p.SEARCHGW:
      return size === 1 ? ok({ type, radius: octet(bytes, at) }) : wrongSize(type, at);
    case p.GWINFO:
      return size >= 1
        ? ok({ type, gatewayId: octet(bytes, at), address: bytes.subarray(at + 1) })
        : wrongSize(type, at);
    case p.CONNACK:
    case p.WILLTOPICRESP:
    case p.WILLMSGRESP:
      return size === 1 ? ok({ type, returnCode: octet(bytes, at) }) : wrongSize(type, at);
    case p.WILLTOPICREQ:
    case p.WILLMSGREQ:
    case p.PINGRESP:
      return size === 0 ? ok({ type }) : wrongSize(type, at);
    case p.SUBACK:
      return size === 6
        ? ok({
            type,
            qos: qosOf(octet(bytes, at)),
            topicId: word(bytes, at + 1),
            messageId: word(bytes, at + 3),
            returnCode: octet(bytes, at + 5),
          })
        : wrongSize(type, at);
    default:
      return decodeError("MQTT-SN 1.2 §5.2.2", at - 1, `message type 0x${type.toString(16)} is reserved`);
  }
}

const wrongSize = (type: number, at: number): ReturnType<typeof decodeError> =>
  decodeError(
    CLAUSES[type] ?? "MQTT-SN 1.2 §5.4",
    at,
    `${p.MESSAGE_NAMES[type] ?? "message"} of a wrong size`,
  );

function decodeConnect(bytes: Uint8Array, at: number): Result<p.Packet, DecodeError> {
  if (bytes.length - at < 4) return wrongSize(p.CONNECT, at);
  const flags = octet(bytes, at);
  return ok({
    type: p.CONNECT,
    will: (flags & p.FLAG_WILL) !== 0,
    cleanSession: (flags & p.FLAG_CLEAN_SESSION) !== 0,
    protocolId: octet(bytes, at + 1),
    duration: word(bytes, at + 2),
    clientId: name(bytes, at + 4),
  });
}

function decodePublish(bytes: Uint8Array, at: number): Result<p.Publish, DecodeError> {
  if (bytes.length - at < 5) return decodeError("MQTT-SN 1.2 §5.4.12", at, "PUBLISH of a wrong size");
  const flags = octet(bytes, at);
  return ok({
    type: p.PUBLISH,
    duplicate: (flags & p.FLAG_DUP) !== 0,
    qos: qosOf(flags),
    retain: (flags & p.FLAG_RETAIN) !== 0,
    topicIdType: (flags & p.FLAG_TOPIC_ID_TYPE) as p.TopicIdType,
    topicId: word(bytes, at + 1),
    messageId: word(bytes, at + 3),
    payload: bytes.subarray(at + 5),
  });
}

function decodeSubscribe(
  type: p.Subscribe["type"],
  bytes: Uint8Array,
  at: number,
): Result<p.Packet, DecodeError> {
  if (bytes.length - at < 3) return wrongSize(type, at);
  const flags = octet(bytes, at);
  let topicIdType = (flags & p.FLAG_TOPIC_ID_TYPE) as p.TopicIdType;
  const topic = topicIdType === p.NORMAL ? name(bytes, at + 3) : bytes.subarray(at + 3);
  // Several clients call each name of up to two octets short; one of a single octet is just a name (§6.7).
  if (topicIdType === p.SHORT && topic.length === 1) topicIdType = p.NORMAL;
  if ((topicIdType === p.PREDEFINED || topicIdType === p.SHORT) && topic.length !== 2) {
    return decodeError(CLAUSES[type] ?? "", at + 3, "a topic id or short name has two octets");
  }
  return ok({
    type,
    // Only SUBSCRIBE has DUP and QoS (MQTT-SN 1.2 §5.4.15, §5.4.17).
    duplicate: type === p.SUBSCRIBE && (flags & p.FLAG_DUP) !== 0,
    qos: type === p.SUBSCRIBE ? qosOf(flags) : 0,
    topicIdType,
    messageId: word(bytes, at + 1),
    topic,
  });
}

function decodeWill(
  type: p.WillTopic["type"] | p.WillMessage["type"],
  bytes: Uint8Array,
  at: number,
): p.Packet {
  if (type === p.WILLMSG || type === p.WILLMSGUPD) return { type, payload: bytes.subarray(at) };
  if (bytes.length === at) return { type, qos: 0, retain: false, topic: undefined };
  const flags = octet(bytes, at);
  return {
    type,
    qos: qosOf(flags),
    retain: (flags & p.FLAG_RETAIN) !== 0,
    topic: willTopic(bytes, at + 1),
  };
}

/** A library for Arduino leaves the length of its CONNECT in WILLTOPIC: NUL ends the name, and rubbish is behind it. */
function willTopic(bytes: Uint8Array, at: number): Uint8Array {
  const end = bytes.indexOf(0, at);
  return bytes.subarray(at, end > at ? end : bytes.length);
}

/** MQTT-SN 1.2 §5.5: here the length counts up to the node id, and the message behind it has its own. */
function decodeEncapsulated(bytes: Uint8Array): Result<p.Encapsulated, DecodeError> {
  const clause = "MQTT-SN 1.2 §5.5";
  const length = octet(bytes, 0);
  if (length < 4 || length - 3 > p.NODE_ID_MAX) return decodeError(clause, 0, "node id of a wrong size");
  if (bytes.length < length + p.SHORT_HEADER) return decodeError(clause, length, "no message inside");
  if (octet(bytes, length + 1) === p.ENCAPSULATED && octet(bytes, length) !== p.LONG_LENGTH) {
    return decodeError(clause, length, "an encapsulated message inside another");
  }
  return ok({
    type: p.ENCAPSULATED,
    radius: octet(bytes, 2) & 3,
    node: bytes.subarray(3, length),
    message: bytes.subarray(length),
  });
}

/** Where each message is specified, for decode errors. */
const CLAUSES: Readonly<Record<number, string>> = {
  [p.ADVERTISE]: "MQTT-SN 1.2 §5.4.1",
  [p.SEARCHGW]: "MQTT-SN 1.2 §5.4.2",
  [p.GWINFO]: "MQTT-SN 1.2 §5.4.3",
  [p.CONNECT]: "MQTT-SN 1.2 §5.4.4",
  [p.CONNACK]: "MQTT-SN 1.2 §5.4.5",
  [p.WILLTOPICREQ]: "MQTT-SN 1.2 §5.4.6",
  [p.WILLMSGREQ]: "MQTT-SN 1.2 §5.4.8",
  [p.REGISTER]: "MQTT-SN 1.2 §5.4.10",
  [p.REGACK]: "MQTT-SN 1.2 §5.4.11",
  [p.PUBLISH]: "MQTT-SN 1.2 §5.4.12",
  [p.PUBACK]: "MQTT-SN 1.2 §5.4.13",
  [p.PUBCOMP]: "MQTT-SN 1.2 §5.4.14",
  [p.PUBREC]: "MQTT-SN 1.2 §5.4.14",
  [p.PUBREL]: "MQTT-SN 1.2 §5.4.14",
  [p.SUBSCRIBE]: "MQTT-SN 1.2 §5.4.15",
  [p.SUBACK]: "MQTT-SN 1.2 §5.4.16",
  [p.UNSUBSCRIBE]: "MQTT-SN 1.2 §5.4.17",
  [p.UNSUBACK]: "MQTT-SN 1.2 §5.4.18",
  [p.PINGRESP]: "MQTT-SN 1.2 §5.4.20",
  [p.DISCONNECT]: "MQTT-SN 1.2 §5.4.21",
  [p.WILLTOPICRESP]: "MQTT-SN 1.2 §5.4.24",
  [p.WILLMSGRESP]: "MQTT-SN 1.2 §5.4.25",
};
