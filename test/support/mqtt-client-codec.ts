/** Our codec at a client's end, in the notation of `mqtt-packet`, so that each can be held against the other. */
import type { QoS } from "#core/bus/message.ts";
import { decodeConnack } from "#core/mqtt/codec/decode-connack.ts";
import { decodeAuth, decodeServerDisconnect } from "#core/mqtt/codec/decode-reason.ts";
import { decodeSuback, decodeUnsuback } from "#core/mqtt/codec/decode-suback.ts";
import { encodeConnect } from "#core/mqtt/codec/encode-connect.ts";
import { encodeAuth, encodeDisconnect } from "#core/mqtt/codec/encode-reason.ts";
import { encodeSubscribe, encodeUnsubscribe } from "#core/mqtt/codec/encode-subscribe.ts";
import { PINGREQ } from "#core/mqtt/codec/ping.ts";
import type { Reader } from "#core/mqtt/codec/reader.ts";
import {
  type ConnectPacket,
  PACKET_NAMES,
  PacketType,
  type ProtocolVersion,
  type WillPacket,
} from "#core/mqtt/packets.ts";
import { type ReasonCode, returnCodeOf } from "#core/mqtt/reason-codes.ts";
import {
  acknowledgementOf,
  type Decoded,
  decodePacket,
  encodeAnswer,
  encodePublish,
  foreign,
  ours,
  type Plain,
} from "./mqtt-codec.ts";

/** Decodes a whole packet of a server as a client does. */
export const decodeServerPacket = (bytes: Uint8Array, version: ProtocolVersion): Decoded =>
  decodePacket(bytes, version, bodyOf);

function bodyOf(
  type: number,
  reader: Reader,
  version: ProtocolVersion,
  bytes: Uint8Array,
  body: number,
): Plain {
  const cmd = PACKET_NAMES[type]?.toLowerCase() ?? "";
  switch (type) {
    case PacketType.CONNACK: {
      const { sessionPresent, reason, properties } = decodeConnack(reader, version);
      const code = version === 5 ? { reasonCode: reason } : { returnCode: returnCodeOf(reason) };
      return { cmd, sessionPresent, ...code, ...foreign(properties) };
    }
    case PacketType.SUBACK: {
      const { packetId, properties, codes } = decodeSuback(reader, version);
      return { cmd, messageId: packetId, granted: codes, ...foreign(properties) };
    }
    case PacketType.UNSUBACK: {
      const { packetId, properties, codes } = decodeUnsuback(reader, version);
      return {
        cmd,
        messageId: packetId,
        ...(version === 5 ? { granted: codes } : {}),
        ...foreign(properties),
      };
    }
    case PacketType.DISCONNECT: {
      const { reason, properties } = decodeServerDisconnect(reader);
      return { cmd, reasonCode: reason, ...foreign(properties) };
    }
    case PacketType.AUTH: {
      const { reason, properties } = decodeAuth(reader);
      return { cmd, reasonCode: reason, ...foreign(properties) };
    }
    case PacketType.PINGRESP:
      return { cmd };
    default:
      return acknowledgementOf(type, reader, version, bytes, body);
  }
}

/** Encodes a packet as a client does. */
export function encodeClientPacket(packet: Plain, version: ProtocolVersion): Uint8Array {
  const { cmd } = packet as { cmd: string };
  const reason = (packet["reasonCode"] ?? 0) as ReasonCode;
  const properties = ours(packet["properties"] as Plain | undefined);
  const packetId = packet["messageId"] as number;
  switch (cmd) {
    case "connect":
      return encodeConnect(connectOf(packet))!.slice();
    case "publish":
      return encodePublish(packet, version, properties);
    case "subscribe": {
      const list = packet["subscriptions"] as {
        topic: string;
        qos: QoS;
        nl?: boolean;
        rap?: boolean;
        rh?: 0;
      }[];
      const subscriptions = list.map(({ topic, qos, nl, rap, rh }) => ({
        filter: topic,
        qos,
        noLocal: nl ?? false,
        retainAsPublished: rap ?? false,
        retainHandling: rh ?? (0 as const),
      }));
      return encodeSubscribe({ packetId, properties, subscriptions }, version)!.slice();
    }
    case "unsubscribe": {
      const filters = packet["unsubscriptions"] as string[];
      return encodeUnsubscribe({ packetId, properties, filters }, version)!.slice();
    }
    case "pingreq":
      return PINGREQ.slice();
    case "disconnect":
      return encodeDisconnect(reason, properties).slice();
    case "auth":
      return encodeAuth(reason, properties).slice();
    default:
      return encodeAnswer(packet);
  }
}

function connectOf(packet: Plain): ConnectPacket {
  const will = packet["will"] as (Omit<WillPacket, "properties"> & { properties?: Plain }) | undefined;
  const { protocolVersion, bridgeMode, clean, clientId, keepalive, username, password } = packet as {
    protocolVersion: ProtocolVersion;
    bridgeMode?: boolean;
    clean: boolean;
    clientId: string;
    keepalive: number;
    username?: string;
    password?: Uint8Array;
  };
  return {
    version: protocolVersion,
    bridge: bridgeMode ?? false,
    clientId,
    cleanStart: clean,
    keepAlive: keepalive,
    properties: ours(packet["properties"] as Plain | undefined),
    will: will === undefined ? undefined : { ...will, properties: ours(will.properties) },
    username,
    password,
  };
}
