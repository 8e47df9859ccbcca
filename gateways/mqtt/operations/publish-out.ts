import type { Instant } from "#core/lib/time.ts";
import { type Delivery, type DeliveryId, NO_DELIVERY_ID } from "#core/session/delivery.ts";
import { encodePublishHead, encodeSharedPublish, publishHeader } from "../codec/encode-publish.ts";
import type { Connection } from "../connection.ts";
import { breach, PacketType } from "../packets.ts";
import { isFailure, ReasonCode } from "../reason-codes.ts";

const { PUBLISH, PUBREL } = PacketType;
/** Payloads above this many bytes are handed on as they are, not copied behind their header. */
const COPIED_PAYLOAD_MAX = 8192;

/** A message for the client: PUBLISH, or PUBREL for one that it has already (MQTT 5 §4.3, §4.4). */
export function publishOut(connection: Connection, delivery: Delivery, now: Instant): void {
  if (delivery.stage === "release") {
    resumeRelease(connection, delivery.id);
    return;
  }
  const { message, qos, topic, subscriptionIds } = delivery;
  const header = publishHeader(qos, delivery.retain, delivery.duplicate);
  const packetId: number = qos === 0 ? NO_DELIVERY_ID : delivery.id;
  const individual = connection.outgoingAliases !== undefined || subscriptionIds.length > 0;
  if (message.payload.length > COPIED_PAYLOAD_MAX || (individual && connection.version === 5)) {
    if (!sendInParts(connection, delivery, header, packetId, now)) {
      tooLarge(connection, delivery);
      return;
    }
  } else {
    const bytes = encodeSharedPublish(connection.version, message, topic, header, packetId, now);
    if (bytes.length > connection.terms.maximumPacketSize) {
      tooLarge(connection, delivery);
      return;
    }
    connection.host.send(bytes);
  }
  connection.counters.sent[PUBLISH]!.value++;
  if (qos === 2) expect(connection, packetId, "receipt");
}

/** Header and payload separately. False when they are more than the client takes. */
function sendInParts(
  connection: Connection,
  delivery: Delivery,
  header: number,
  packetId: number,
  now: Instant,
): boolean {
  const { version, outgoingAliases, terms, host } = connection;
  const { message, topic, subscriptionIds } = delivery;
  const { payload } = message;
  const known = outgoingAliases?.known(topic);
  const alias = known ?? outgoingAliases?.free;
  const named = known === undefined ? topic : "";
  const head = encodePublishHead(version, message, named, header, packetId, alias, subscriptionIds, now);
  if (head.length + payload.length > terms.maximumPacketSize) return false;
  // Only what is sent teaches the client an alias.
  if (known === undefined && alias !== undefined) outgoingAliases?.assign(topic, alias);
  host.send(head);
  if (payload.length > COPIED_PAYLOAD_MAX) host.sendView(payload);
  else if (payload.length > 0) host.send(payload);
  return true;
}

/** As if the application had taken it: the message is not sent, and not sent again [MQTT-3.1.2-25]. */
function tooLarge(connection: Connection, delivery: Delivery): void {
  connection.counters.tooLarge.value++;
  const { topic } = delivery;
  connection.host.note({
    level: "debug",
    event: "delivery-too-large",
    detail: { client: connection.client.id, topic, maximum: connection.terms.maximumPacketSize },
  });
  if (delivery.qos > 0) connection.client.settle(delivery.id, "dead");
}

function expect(connection: Connection, packetId: number, next: "receipt" | "completion"): void {
  connection.handshakes ??= new Map();
  connection.handshakes.set(packetId, next);
}

function resumeRelease(connection: Connection, id: DeliveryId): void {
  expect(connection, id, "completion");
  connection.acknowledge(PUBREL, id);
}

/** PUBACK. A client that refuses a message has had it all the same (MQTT 5 §4.3.2). */
export function publishAcknowledged(connection: Connection, packetId: number, reason: ReasonCode): void {
  if (connection.handshakes?.has(packetId) === true) {
    const problem = `PUBACK for the QoS 2 message ${packetId}`;
    connection.fail(breach(ReasonCode.protocolError, "[MQTT-4.3.3-1]", problem));
    return;
  }
  connection.client.settle(packetId as DeliveryId, isFailure(reason) ? "dead" : "done");
}

/** PUBREC: answered by PUBREL, unless it says that the message is refused [MQTT-4.3.3-4]. */
export function publishReceived(connection: Connection, packetId: number, reason: ReasonCode): void {
  const { handshakes, client } = connection;
  if (handshakes?.has(packetId) !== true) {
    // A failure needs no answer; otherwise the client learns that the id means nothing to us.
    if (isFailure(reason)) return;
    const why = "no such packet identifier";
    connection.acknowledge(PUBREL, packetId, ReasonCode.packetIdentifierNotFound, why);
    return;
  }
  if (isFailure(reason)) {
    handshakes.delete(packetId);
    client.settle(packetId as DeliveryId, "dead");
    return;
  }
  client.received(packetId as DeliveryId);
  handshakes.set(packetId, "completion");
  connection.acknowledge(PUBREL, packetId);
}

/** PUBCOMP ends a QoS 2 delivery, whatever its reason. */
export function publishCompleted(connection: Connection, packetId: number): void {
  const { handshakes } = connection;
  if (handshakes?.get(packetId) !== "completion") return;
  handshakes.delete(packetId);
  connection.client.settle(packetId as DeliveryId, "done");
}
