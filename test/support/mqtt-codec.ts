/** Our codec at a server's end, in the notation of `mqtt-packet`, so that each can be held against the other. */
import mqttPacket from "mqtt-packet";
import { Message, type MessageProperties, type QoS } from "#core/bus/message.ts";
import { FOREVER, type Instant, seconds } from "#core/lib/time.ts";
import { decodeConnect, decodeGreeting } from "#core/mqtt/codec/decode-connect.ts";
import { decodePublish, publishHead } from "#core/mqtt/codec/decode-publish.ts";
import { decodeAcknowledgement, decodeAuth, decodeDisconnect } from "#core/mqtt/codec/decode-reason.ts";
import { decodeSubscribe, decodeUnsubscribe } from "#core/mqtt/codec/decode-subscribe.ts";
import { encodeConnack3, encodeConnack5 } from "#core/mqtt/codec/encode-connack.ts";
import {
  encodeIndividualPublish,
  encodeSharedPublish,
  publishHeader,
} from "#core/mqtt/codec/encode-publish.ts";
import {
  encodeAcknowledgement,
  encodeAuth,
  encodeDisconnect,
  encodeReasonedAcknowledgement,
} from "#core/mqtt/codec/encode-reason.ts";
import { encodeCodes, encodeUnsuback3 } from "#core/mqtt/codec/encode-suback.ts";
import { frame, readFixedHeader } from "#core/mqtt/codec/fixed-header.ts";
import { PINGRESP } from "#core/mqtt/codec/ping.ts";
import { Reader } from "#core/mqtt/codec/reader.ts";
import { TopicCache } from "#core/mqtt/codec/topic-cache.ts";
import type { Acknowledgement, PacketError, ProtocolVersion } from "#core/mqtt/packets.ts";
import { PACKET_NAMES, PacketType } from "#core/mqtt/packets.ts";
import { NO_PROPERTIES, type Properties } from "#core/mqtt/properties.ts";
import type { ReasonCode, ReturnCode } from "#core/mqtt/reason-codes.ts";

export type Plain = Record<string, unknown>;
export type Decoded = { readonly packet: Plain } | { readonly error: PacketError };

/** More than any test sends. */
export const ITEMS = 1_000_000;

const NAMES: Readonly<Record<string, string>> = { payloadFormat: "payloadFormatIndicator" };
const TRUTHS = new Set([
  "payloadFormatIndicator",
  "requestProblemInformation",
  "requestResponseInformation",
  "retainAvailable",
  "wildcardSubscriptionAvailable",
  "subscriptionIdentifiersAvailable",
  "sharedSubscriptionAvailable",
]);

/** Properties in the foreign notation; nothing when there are none. */
export function foreign(properties: Readonly<Properties>): Plain {
  const plain: Plain = {};
  for (const [name, value] of Object.entries(properties)) {
    const theirs = NAMES[name] ?? name;
    if (name === "userProperties") plain[theirs] = pairs(value as [string, string][]);
    else if (name === "subscriptionIdentifiers") {
      const ids = value as readonly number[];
      plain["subscriptionIdentifier"] = ids.length === 1 ? ids[0] : [...ids];
    } else
      plain[theirs] = TRUTHS.has(theirs)
        ? value === 1
        : value instanceof Uint8Array
          ? Buffer.from(value)
          : value;
  }
  return Object.keys(plain).length === 0 ? {} : { properties: plain };
}

function pairs(list: readonly (readonly [string, string])[]): Plain {
  const plain: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of list) {
    const known = plain[name];
    plain[name] = known === undefined ? value : [known, value].flat();
  }
  return { ...plain };
}

type BodyOf = (
  type: number,
  reader: Reader,
  version: ProtocolVersion,
  bytes: Uint8Array,
  body: number,
) => Plain;

/** Decodes a whole packet of a client as a server does. */
export const decodeClientPacket = (bytes: Uint8Array, version: ProtocolVersion): Decoded =>
  decodePacket(bytes, version, bodyOf);

export function decodePacket(bytes: Uint8Array, version: ProtocolVersion, bodyOf: BodyOf): Decoded {
  const found = readFixedHeader(bytes, 0, 1 << 28);
  if (typeof found !== "string") return { error: found };
  if (found === "incomplete" || frame.end !== bytes.length) throw new Error("not one whole packet");
  const type = (bytes[0] as number) >> 4;
  const { body, end } = frame;
  if (type === PacketType.PUBLISH) return publishOf(bytes, body, end, version);
  const reader = new Reader(bytes, 0, body, end, ITEMS);
  const packet = bodyOf(type, reader, version, bytes, body);
  return reader.error === undefined ? { packet } : { error: reader.error };
}

export function publishOf(bytes: Uint8Array, body: number, end: number, version: ProtocolVersion): Decoded {
  const head = publishHead();
  const source = { version, topics: new TopicCache(), maximumItems: ITEMS };
  const error = decodePublish(head, source, bytes, 0, body, end);
  if (error !== undefined) return { error };
  const first = bytes[0] as number;
  const packet = {
    cmd: "publish",
    topic: head.topic,
    payload: Buffer.from(bytes.subarray(head.payloadAt, end)),
    qos: (first >> 1) & 3,
    retain: (first & 1) === 1,
    dup: (first & 8) !== 0,
    ...(head.packetId === 0 ? {} : { messageId: head.packetId }),
    ...foreign(head.properties),
  };
  return { packet };
}

function bodyOf(
  type: number,
  reader: Reader,
  version: ProtocolVersion,
  bytes: Uint8Array,
  body: number,
): Plain {
  const cmd = PACKET_NAMES[type]?.toLowerCase() ?? "";
  switch (type) {
    case PacketType.CONNECT:
      return connectOf(reader, version);
    case PacketType.SUBSCRIBE: {
      const { packetId, properties, subscriptions } = decodeSubscribe(reader, version);
      const list = subscriptions.map(({ filter, qos, noLocal, retainAsPublished, retainHandling }) =>
        version === 5
          ? { topic: filter, qos, nl: noLocal, rap: retainAsPublished, rh: retainHandling }
          : { topic: filter, qos },
      );
      return { cmd, messageId: packetId, subscriptions: list, ...foreign(properties) };
    }
    case PacketType.UNSUBSCRIBE: {
      const { packetId, properties, filters } = decodeUnsubscribe(reader, version);
      return { cmd, messageId: packetId, unsubscriptions: filters, ...foreign(properties) };
    }
    case PacketType.DISCONNECT: {
      const { reason, properties } = decodeDisconnect(reader, version);
      return { cmd, ...(version === 5 ? { reasonCode: reason } : {}), ...foreign(properties) };
    }
    case PacketType.AUTH: {
      const { reason, properties } = decodeAuth(reader);
      return { cmd, reasonCode: reason, ...foreign(properties) };
    }
    case PacketType.PINGREQ:
      return { cmd };
    default:
      return acknowledgementOf(type, reader, version, bytes, body);
  }
}

/** The properties of an acknowledgement are not kept: what they say is for people. */
export const acknowledgementOf: BodyOf = (type, reader, version, bytes, body) => {
  const { reason } = decodeAcknowledgement(reader, type as Acknowledgement, version);
  const messageId = ((bytes[body] as number) << 8) | (bytes[body + 1] as number);
  const cmd = PACKET_NAMES[type]?.toLowerCase() ?? "";
  return { cmd, messageId, ...(version === 5 ? { reasonCode: reason } : {}) };
};

function connectOf(reader: Reader, version: ProtocolVersion): Plain {
  const greeting = decodeGreeting(reader);
  const speaks = greeting.kind === "speaks" ? greeting : { version, bridge: false };
  const packet = decodeConnect(reader, speaks.version, speaks.bridge);
  const { will, username, password } = packet;
  return {
    cmd: "connect",
    protocolId: packet.version === 3 ? "MQIsdp" : "MQTT",
    protocolVersion: packet.version,
    ...(packet.bridge ? { bridgeMode: true } : {}),
    clean: packet.cleanStart,
    clientId: packet.clientId,
    keepalive: packet.keepAlive,
    ...foreign(packet.properties),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: Buffer.from(password) }),
    ...(will === undefined
      ? {}
      : {
          will: {
            topic: will.topic,
            payload: Buffer.from(will.payload),
            qos: will.qos,
            retain: will.retain,
            ...foreign(will.properties),
          },
        }),
  };
}

/** Encodes a packet as a server does. */
export function encodeServerPacket(packet: Plain, version: ProtocolVersion): Uint8Array {
  const { cmd, messageId } = packet as { cmd: string; messageId: number };
  const reason = (packet["reasonCode"] ?? packet["returnCode"] ?? 0) as ReasonCode;
  const properties = ours(packet["properties"] as Plain | undefined);
  switch (cmd) {
    case "connack": {
      const present = packet["sessionPresent"] as boolean;
      if (version === 5) return encodeConnack5(present, reason, properties).slice();
      return encodeConnack3(present, reason as number as ReturnCode).slice();
    }
    case "publish":
      return encodePublish(packet, version, properties);
    case "suback":
      return encodeCodes(PacketType.SUBACK, messageId, packet["granted"] as number[], version).slice();
    case "unsuback":
      if (version !== 5) return encodeUnsuback3(messageId).slice();
      return encodeCodes(PacketType.UNSUBACK, messageId, packet["granted"] as number[], version).slice();
    case "pingresp":
      return PINGRESP.slice();
    case "disconnect":
      return encodeDisconnect(reason, properties).slice();
    case "auth":
      return encodeAuth(reason, properties).slice();
    default:
      return encodeAnswer(packet);
  }
}

export function encodeAnswer(packet: Plain): Uint8Array {
  const { cmd, messageId } = packet as { cmd: string; messageId: number };
  const reason = (packet["reasonCode"] ?? 0) as ReasonCode;
  const type = PacketType[cmd.toUpperCase() as "PUBACK"];
  if (reason === 0) return encodeAcknowledgement(type, messageId).slice();
  const properties = ours(packet["properties"] as Plain | undefined);
  return encodeReasonedAcknowledgement(type, messageId, reason, properties).slice();
}

export function encodePublish(
  packet: Plain,
  version: ProtocolVersion,
  properties: Readonly<Properties>,
): Uint8Array {
  const { topic, payload, qos, retain, dup } = packet as unknown as {
    topic: string;
    payload: Buffer;
    qos: QoS;
    retain: boolean;
    dup: boolean;
  };
  const { messageExpiryInterval, subscriptionIdentifier, topicAlias, ...carried } = properties;
  const expiry = messageExpiryInterval === undefined ? FOREVER : seconds(messageExpiryInterval);
  const now = 0 as Instant;
  const some = Object.keys(carried).length > 0 ? (carried as MessageProperties) : undefined;
  const message = new Message(topic, payload, qos, retain, now, some, expiry);
  const header = publishHeader(qos, retain, dup);
  const id = (packet["messageId"] ?? 0) as number;
  if (topicAlias === undefined && subscriptionIdentifier === undefined) {
    return encodeSharedPublish(version, message, topic, header, id, now)!.slice();
  }
  const ids = [subscriptionIdentifier ?? []].flat();
  const individual = { header, topic, packetId: id, topicAlias, subscriptionIds: ids };
  return encodeIndividualPublish(version, message, individual, false, now)!.slice();
}

export function ours(plain: Plain | undefined): Readonly<Properties> {
  if (plain === undefined) return NO_PROPERTIES;
  const properties: Plain = {};
  for (const [name, value] of Object.entries(plain)) {
    if (name === "payloadFormatIndicator") properties["payloadFormat"] = value ? 1 : 0;
    else if (name === "userProperties") {
      properties[name] = Object.entries(value as Plain).flatMap(([key, values]) =>
        [values].flat().map((one) => [key, one]),
      );
    } else properties[name] = typeof value === "boolean" ? Number(value) : value;
  }
  return properties as Properties;
}

/** What `mqtt-packet` reads in bytes, without what only says how it was framed. */
export function parseForeign(bytes: Uint8Array, version: ProtocolVersion): Plain | Error {
  const parser = mqttPacket.parser({ protocolVersion: version } as never);
  let result: Plain | Error = new Error("incomplete");
  parser.on("packet", (packet) => {
    result = withoutFraming(packet as unknown as Plain);
  });
  parser.on("error", (error) => {
    result = error;
  });
  parser.parse(Buffer.from(bytes));
  return result;
}

function withoutFraming(packet: Plain): Plain {
  const { length: _length, ...rest } = packet;
  const { cmd } = packet as { cmd: string };
  const kept: Plain = { ...rest };
  if (kept["messageId"] === undefined) delete kept["messageId"];
  if (cmd !== "publish") for (const flag of ["qos", "retain", "dup", "payload", "topic"]) delete kept[flag];
  if (cmd !== "connack" && cmd !== "connect") delete kept["clean"];
  if (kept["properties"] === undefined) delete kept["properties"];
  if (cmd === "connect") delete kept["bridgeMode"];
  return kept;
}
