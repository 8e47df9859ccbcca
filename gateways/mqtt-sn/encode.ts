/** Messages to bytes: MQTT-SN 1.2 §5, always in the shortest length form. */
import * as p from "./packets.ts";

const qosBits = (qos: p.WireQoS): number => (qos & 3) << p.QOS_SHIFT;

/** An empty message of a type with room for `size` octets; the variable part is the last `size` octets. */
function frame(type: number, size: number): Uint8Array {
  if (size + p.SHORT_HEADER <= p.SHORT_LENGTH_MAX) {
    const bytes = new Uint8Array(size + p.SHORT_HEADER);
    bytes[0] = bytes.length;
    bytes[1] = type;
    return bytes;
  }
  const bytes = new Uint8Array(size + p.LONG_HEADER);
  bytes[0] = p.LONG_LENGTH;
  setWord(bytes, 1, bytes.length);
  bytes[3] = type;
  return bytes;
}

function setWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}

/** Octets that a message with `size` octets of variable part has on the wire. */
export const encodedLength = (size: number): number =>
  size + (size + p.SHORT_HEADER <= p.SHORT_LENGTH_MAX ? p.SHORT_HEADER : p.LONG_HEADER);

/** Octets of a PUBLISH before its data, and of a REGISTER before its name, without the header. */
export const PUBLISH_FIXED = 5;
export const REGISTER_FIXED = 4;

export function encodeBare(type: number): Uint8Array {
  return frame(type, 0);
}

export function encodeReturnCode(type: p.WithReturnCode["type"], returnCode: number): Uint8Array {
  const bytes = frame(type, 1);
  bytes[2] = returnCode;
  return bytes;
}

export function encodeMessageAck(type: p.MessageAck["type"], messageId: number): Uint8Array {
  const bytes = frame(type, 2);
  setWord(bytes, 2, messageId);
  return bytes;
}

export function encodeTopicAck(
  type: p.TopicAck["type"],
  topicId: number,
  messageId: number,
  returnCode: number,
): Uint8Array {
  const bytes = frame(type, 5);
  setWord(bytes, 2, topicId);
  setWord(bytes, 4, messageId);
  bytes[6] = returnCode;
  return bytes;
}

export function encodeSubAck(
  qos: p.WireQoS,
  topicId: number,
  messageId: number,
  returnCode: number,
): Uint8Array {
  const bytes = frame(p.SUBACK, 6);
  bytes[2] = qosBits(qos);
  setWord(bytes, 3, topicId);
  setWord(bytes, 5, messageId);
  bytes[7] = returnCode;
  return bytes;
}

export function encodeRegister(topicId: number, messageId: number, topic: Uint8Array): Uint8Array {
  const bytes = frame(p.REGISTER, REGISTER_FIXED + topic.length);
  const at = bytes.length - topic.length - REGISTER_FIXED;
  setWord(bytes, at, topicId);
  setWord(bytes, at + 2, messageId);
  bytes.set(topic, at + REGISTER_FIXED);
  return bytes;
}

export function encodePublish(
  duplicate: boolean,
  qos: p.WireQoS,
  retain: boolean,
  topicIdType: p.TopicIdType,
  topicId: number,
  messageId: number,
  payload: Uint8Array,
): Uint8Array {
  const bytes = frame(p.PUBLISH, PUBLISH_FIXED + payload.length);
  const at = bytes.length - payload.length - PUBLISH_FIXED;
  bytes[at] = (duplicate ? p.FLAG_DUP : 0) | qosBits(qos) | (retain ? p.FLAG_RETAIN : 0) | topicIdType;
  setWord(bytes, at + 1, topicId);
  setWord(bytes, at + 3, messageId);
  bytes.set(payload, at + PUBLISH_FIXED);
  return bytes;
}

/** MQTT-SN 1.2 §5.5: what goes to a device behind a forwarder. */
export function encodeEncapsulated(radius: number, node: Uint8Array, message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(3 + node.length + message.length);
  bytes[0] = 3 + node.length;
  bytes[1] = p.ENCAPSULATED;
  bytes[2] = radius & 3;
  bytes.set(node, 3);
  bytes.set(message, 3 + node.length);
  return bytes;
}

/** A message with its variable part as octets. */
function frameOf(type: number, ...body: readonly (number | Uint8Array)[]): Uint8Array {
  let size = 0;
  for (const part of body) size += typeof part === "number" ? 1 : part.length;
  const bytes = frame(type, size);
  let at = bytes.length - size;
  for (const part of body) {
    if (typeof part === "number") {
      bytes[at++] = part;
    } else {
      bytes.set(part, at);
      at += part.length;
    }
  }
  return bytes;
}

const flagged = (qos: p.WireQoS, duplicate: boolean, retain: boolean, low: number): number =>
  (duplicate ? p.FLAG_DUP : 0) | qosBits(qos) | (retain ? p.FLAG_RETAIN : 0) | low;

/** Any message; the shortest length form. What a gateway sends often has its own function above. */
export function encode(packet: p.Packet): Uint8Array {
  switch (packet.type) {
    case p.ADVERTISE:
      return frameOf(packet.type, packet.gatewayId, packet.duration >> 8, packet.duration & 0xff);
    case p.SEARCHGW:
      return frameOf(packet.type, packet.radius);
    case p.GWINFO:
      return frameOf(packet.type, packet.gatewayId, packet.address);
    case p.CONNECT: {
      const flags = (packet.will ? p.FLAG_WILL : 0) | (packet.cleanSession ? p.FLAG_CLEAN_SESSION : 0);
      const { protocolId, duration, clientId } = packet;
      return frameOf(packet.type, flags, protocolId, duration >> 8, duration & 0xff, clientId);
    }
    case p.CONNACK:
    case p.WILLTOPICRESP:
    case p.WILLMSGRESP:
      return encodeReturnCode(packet.type, packet.returnCode);
    case p.WILLTOPICREQ:
    case p.WILLMSGREQ:
    case p.PINGRESP:
      return encodeBare(packet.type);
    case p.WILLTOPIC:
    case p.WILLTOPICUPD:
      if (packet.topic === undefined) return encodeBare(packet.type);
      return frameOf(packet.type, flagged(packet.qos, false, packet.retain, 0), packet.topic);
    case p.WILLMSG:
    case p.WILLMSGUPD:
      return frameOf(packet.type, packet.payload);
    case p.PINGREQ:
      return frameOf(packet.type, packet.clientId);
    case p.DISCONNECT:
      if (packet.duration === undefined) return encodeBare(packet.type);
      return frameOf(packet.type, packet.duration >> 8, packet.duration & 0xff);
    default:
      return encodeExchange(packet);
  }
}

type Exchange = p.Register | p.TopicAck | p.Publish | p.MessageAck | p.Subscribe | p.SubAck | p.Encapsulated;

function encodeExchange(packet: Exchange): Uint8Array {
  switch (packet.type) {
    case p.REGISTER:
      return encodeRegister(packet.topicId, packet.messageId, packet.topic);
    case p.REGACK:
    case p.PUBACK:
      return encodeTopicAck(packet.type, packet.topicId, packet.messageId, packet.returnCode);
    case p.PUBLISH: {
      const { duplicate, qos, retain, topicIdType, topicId, messageId, payload } = packet;
      return encodePublish(duplicate, qos, retain, topicIdType, topicId, messageId, payload);
    }
    case p.PUBCOMP:
    case p.PUBREC:
    case p.PUBREL:
    case p.UNSUBACK:
      return encodeMessageAck(packet.type, packet.messageId);
    case p.SUBSCRIBE:
    case p.UNSUBSCRIBE: {
      const flags = flagged(packet.qos, packet.duplicate, false, packet.topicIdType);
      return frameOf(packet.type, flags, packet.messageId >> 8, packet.messageId & 0xff, packet.topic);
    }
    case p.SUBACK:
      return encodeSubAck(packet.qos, packet.topicId, packet.messageId, packet.returnCode);
    case p.ENCAPSULATED:
      return encodeEncapsulated(packet.radius, packet.node, packet.message);
  }
}
