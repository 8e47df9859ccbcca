import { type Delivery, type DeliveryId, NO_DELIVERY_ID } from "#core/contract/delivery.ts";
import type { Instant } from "#core/lib/time.ts";
import {
  encodeIndividualPublish,
  encodeSharedPublish,
  publishHeader,
} from "#core/mqtt/codec/encode-publish.ts";
import { breach, PacketType } from "#core/mqtt/packets.ts";
import { isFailure, ReasonCode } from "#core/mqtt/reason-codes.ts";
import type { Connection } from "../connection.ts";

const { PUBLISH, PUBREL } = PacketType;
/** Payloads above this many bytes are handed on as they are, not copied behind their header. */
const COPIED_PAYLOAD_MAX = 8192;

/** A message for the client: PUBLISH, or PUBREL for one that it has already (MQTT 5 §4.3, §4.4). */
export function publishOut(connection: Connection, delivery: Delivery, now: Instant): void {
  if (delivery.stage === "release") {
    resumeRelease(connection, delivery.id);
    return;
  }
  const { version } = connection;
  const { message, qos, topic } = delivery;
  const header = publishHeader(qos, delivery.retain, delivery.duplicate);
  const packetId: number = qos === 0 ? NO_DELIVERY_ID : delivery.id;
  const individual =
    version === 5 && (connection.outgoingAliases !== undefined || delivery.subscriptionIds.length > 0);
  const sent =
    individual || message.payload.length > COPIED_PAYLOAD_MAX
      ? sendIndividual(connection, delivery, header, packetId, now)
      : send(connection, encodeSharedPublish(version, message, topic, header, packetId, now));
  if (!sent) {
    tooLarge(connection, delivery);
    return;
  }
  connection.counters.sent[PUBLISH]!.value++;
  if (qos === 2) expect(connection, packetId, "receipt");
}

/** False when it is more than MQTT can say, or than the client takes. */
function send(connection: Connection, bytes: Uint8Array | undefined, payload?: Uint8Array): boolean {
  const { terms, host } = connection;
  if (bytes === undefined) return false;
  if (bytes.length + (payload?.length ?? 0) > terms.maximumPacketSize) return false;
  host.send(bytes);
  if (payload !== undefined) host.sendView(payload);
  return true;
}

function sendIndividual(
  connection: Connection,
  delivery: Delivery,
  header: number,
  packetId: number,
  now: Instant,
): boolean {
  const { version, outgoingAliases } = connection;
  const { message, topic, subscriptionIds } = delivery;
  const known = outgoingAliases?.known(topic);
  const topicAlias = known ?? outgoingAliases?.free;
  const told = known === undefined ? topic : "";
  const individual = { header, topic: told, packetId, topicAlias, subscriptionIds };
  const payload = message.payload.length > COPIED_PAYLOAD_MAX ? message.payload : undefined;
  const bytes = encodeIndividualPublish(version, message, individual, payload !== undefined, now);
  if (!send(connection, bytes, payload)) return false;
  // Only what was sent has taught the client an alias.
  if (known === undefined && topicAlias !== undefined) outgoingAliases?.assign(topic, topicAlias);
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
    outOfPlace(connection, "PUBACK for the QoS 2 message", packetId);
    return;
  }
  const { client, counters } = connection;
  const found = client.settle(packetId as DeliveryId, isFailure(reason) ? "dead" : "done");
  if (!found) counters.missed.puback.value++;
}

/** PUBREC: answered by PUBREL, unless it says that the message is refused [MQTT-4.3.3-4]. */
export function publishReceived(connection: Connection, packetId: number, reason: ReasonCode): void {
  const { handshakes, client } = connection;
  if (handshakes?.has(packetId) !== true) {
    if (client.unsettledQos(packetId as DeliveryId) === 1) {
      outOfPlace(connection, "PUBREC for the QoS 1 message", packetId);
      return;
    }
    connection.counters.missed.pubrec.value++;
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
  handshakes.set(packetId, "completion");
  // Otherwise PUBREL comes as a delivery of its own, when the store has the step.
  if (client.received(packetId as DeliveryId) === "accepted") connection.acknowledge(PUBREL, packetId);
}

/** An answer that is not the one which is due (MQTT 5 §4.3.2, §4.3.3). */
function outOfPlace(connection: Connection, what: string, packetId: number): void {
  connection.fail(breach(ReasonCode.protocolError, "[MQTT-4.3.3-1]", `${what} ${packetId}`));
}

/** PUBCOMP ends a QoS 2 delivery, whatever its reason; of one that nobody knows it means nothing. */
export function publishCompleted(connection: Connection, packetId: number): void {
  const { handshakes, client } = connection;
  const next = handshakes?.get(packetId);
  if (next === "receipt") {
    outOfPlace(connection, "PUBCOMP before PUBREC for the message", packetId);
    return;
  }
  if (handshakes === undefined || next === undefined) {
    if (client.unsettledQos(packetId as DeliveryId) === 1) {
      outOfPlace(connection, "PUBCOMP for the QoS 1 message", packetId);
    } else connection.counters.missed.pubcomp.value++;
    return;
  }
  handshakes.delete(packetId);
  connection.client.settle(packetId as DeliveryId, "done");
}
