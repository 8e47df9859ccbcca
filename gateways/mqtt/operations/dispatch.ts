import type { Instant } from "#core/lib/time.ts";
import { decodeAcknowledgement } from "#core/mqtt/codec/decode-reason.ts";
import { hasItsFlags } from "#core/mqtt/codec/fixed-header.ts";
import { PINGRESP } from "#core/mqtt/codec/ping.ts";
import { Reader } from "#core/mqtt/codec/reader.ts";
import { type Acknowledgement, breach, PACKET_NAMES, PacketType } from "#core/mqtt/packets.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";
import type { Connection } from "../connection.ts";
import { disconnect } from "./disconnect.ts";
import { authenticate } from "./enhanced.ts";
import { publishReleased } from "./publish-answers.ts";
import { publishIn } from "./publish-in.ts";
import { publishAcknowledged, publishCompleted, publishReceived } from "./publish-out.ts";
import { subscribe, unsubscribe } from "./subscribe.ts";

/** One whole packet of a client that is logged in, in `bytes[start, end)`. */
export function dispatch(
  connection: Connection,
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
  now: Instant,
): void {
  const first = bytes[start] as number;
  const type = first >> 4;
  connection.counters.received[type]!.value++;
  if (type === PacketType.PUBLISH) {
    publishIn(connection, bytes, start, body, end, now);
    return;
  }
  if (!hasItsFlags(first, connection.version)) {
    connection.fail(breach(ReasonCode.malformedPacket, "[MQTT-2.1.3-1]", `flags of ${PACKET_NAMES[type]}`));
    return;
  }
  switch (type) {
    case PacketType.PUBACK:
    case PacketType.PUBREC:
    case PacketType.PUBREL:
    case PacketType.PUBCOMP:
      acknowledged(connection, type, bytes, start, body, end);
      return;
    case PacketType.SUBSCRIBE:
      subscribe(connection, bytes, start, body, end);
      return;
    case PacketType.UNSUBSCRIBE:
      unsubscribe(connection, bytes, start, body, end);
      return;
    case PacketType.PINGREQ:
      ping(connection, body, end);
      return;
    case PacketType.DISCONNECT:
      disconnect(connection, bytes, start, body, end);
      return;
    case PacketType.AUTH:
      if (connection.version === 5) {
        authenticate(connection, bytes, start, body, end);
        return;
      }
      unexpected(connection, type);
      return;
    default:
      unexpected(connection, type);
      return;
  }
}

function acknowledged(
  connection: Connection,
  type: Acknowledgement,
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
): void {
  const packetId = end - body < 2 ? 0 : ((bytes[body] as number) << 8) | (bytes[body + 1] as number);
  // Two octets are all there is in nearly every answer; the rest takes the slower way.
  if (end - body === 2 && packetId !== 0) {
    settled(connection, type, packetId, ReasonCode.success);
    return;
  }
  const reader = new Reader(bytes, start, body, end, connection.config.maximumItems);
  const { reason, properties } = decodeAcknowledgement(reader, type, connection.version);
  if (reader.error !== undefined) {
    connection.fail(reader.error);
    return;
  }
  connection.client.said = properties;
  settled(connection, type, packetId, reason);
  connection.client.said = undefined;
}

function settled(connection: Connection, type: Acknowledgement, packetId: number, reason: ReasonCode): void {
  switch (type) {
    case PacketType.PUBACK:
      publishAcknowledged(connection, packetId, reason);
      return;
    case PacketType.PUBREC:
      publishReceived(connection, packetId, reason);
      return;
    case PacketType.PUBREL:
      publishReleased(connection, packetId);
      return;
    default:
      publishCompleted(connection, packetId);
      return;
  }
}

function ping(connection: Connection, body: number, end: number): void {
  if (body !== end) {
    connection.fail(breach(ReasonCode.malformedPacket, "MQTT 5 §3.12", "PINGREQ with a body"));
    return;
  }
  connection.counters.sent[PacketType.PINGRESP]!.value++;
  connection.host.send(PINGRESP);
}

/** A second CONNECT [MQTT-3.1.0-2], or what only a server sends. */
function unexpected(connection: Connection, type: number): void {
  const reserved = type === 0 || (type === PacketType.AUTH && connection.version !== 5);
  connection.fail(
    reserved
      ? breach(ReasonCode.malformedPacket, "MQTT 5 §2.1.2", "reserved packet type")
      : breach(ReasonCode.protocolError, "[MQTT-3.1.0-2]", `unexpected ${PACKET_NAMES[type]}`),
  );
}
