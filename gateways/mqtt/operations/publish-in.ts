import { Message, type MessageProperties, type QoS } from "#core/bus/message.ts";
import { text } from "#core/lib/bytes.ts";
import { FOREVER, type Instant } from "#core/lib/time.ts";
import { decodePublish, publishHead } from "#core/mqtt/codec/decode-publish.ts";
import { messageExpiry, messageProperties } from "#core/mqtt/message-properties.ts";
import { breach, PacketType } from "#core/mqtt/packets.ts";
import { NO_PROPERTIES } from "#core/mqtt/properties.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";
import type { Connection } from "../connection.ts";
import { disconnectReason } from "../refusals.ts";
import { answerOnceKept } from "./kept-answers.ts";
import { answerInTurn, freeRefused, noteRefusal, releaseInbound } from "./publish-answers.ts";
import { resolveTopic } from "./resolve-topic.ts";

const { PUBACK, PUBREC } = PacketType;
const NO_TICKET = 0;
/** Of the flags of a PUBLISH (MQTT 5 §3.3.1.1). */
const DUP = 8;
const head = publishHead();

/** PUBLISH from the client, in `bytes[start, end)` with its variable header from `body` on (MQTT 5 §3.3). */
export function publishIn(
  connection: Connection,
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
  now: Instant,
): void {
  const malformed = decodePublish(head, connection, bytes, start, body, end);
  if (malformed !== undefined) {
    connection.fail(malformed);
    return;
  }
  const flags = bytes[start] as number;
  const qos = ((flags >> 1) & 3) as QoS;
  const retain = (flags & 1) !== 0;
  const { config, terms } = connection;
  if (qos > terms.maximumQoS) {
    connection.fail(breach(ReasonCode.qosNotSupported, "[MQTT-3.2.2-11]", `QoS ${qos}`));
    return;
  }
  if (retain && !terms.retainAvailable) {
    connection.fail(breach(ReasonCode.retainNotSupported, "[MQTT-3.2.2-14]", "retained message"));
    return;
  }
  let { topic } = head;
  let expiry = FOREVER;
  let carried: MessageProperties | undefined;
  if (head.properties !== NO_PROPERTIES || topic === "") {
    const resolved = resolveTopic(connection, topic, head.properties);
    if (typeof resolved !== "string") {
      connection.fail(resolved);
      return;
    }
    topic = resolved;
    expiry = messageExpiry(head.properties);
    carried = messageProperties(head.properties);
  }
  // A view made this way costs half of what `subarray` does.
  const payload = new Uint8Array(bytes.buffer, bytes.byteOffset + head.payloadAt, end - head.payloadAt);
  const message = new Message(topic, payload, qos, retain, now, carried, expiry);
  if (qos === 0) {
    publishQos0(connection, message);
    return;
  }
  if (config.fullQueue === "refuse" && connection.version === 5) message.declinable = true;
  if (qos === 1) publishQos1(connection, message, head.packetId);
  else publishQos2(connection, message, head.packetId, (flags & DUP) !== 0);
}

function publishQos0(connection: Connection, message: Message): void {
  const verdict = isFit(connection, message)
    ? connection.client.publish(message, NO_TICKET)
    : "payload-unfit";
  if (verdict === "accepted" || verdict === "no-subscribers" || verdict === "pending") return;
  noteRefusal(connection, verdict, message.topic);
  if (connection.config.refusedPublish !== "disconnect") return;
  const reason = verdict === "payload-unfit" ? ReasonCode.payloadFormatInvalid : disconnectReason(verdict);
  connection.disconnect(reason, `publish refused: ${verdict}`);
}

function publishQos1(connection: Connection, message: Message, packetId: number): void {
  if (exceedsReceiveMaximum(connection)) return;
  connection.unanswered++;
  const ticket = connection.nextTicket();
  const verdict = isFit(connection, message) ? connection.client.publish(message, ticket) : "payload-unfit";
  if (verdict === "accepted" && connection.answers === undefined) {
    connection.unanswered--;
    connection.acknowledge(PUBACK, packetId);
  } else {
    answerInTurn(connection, ticket, 1, packetId, verdict);
  }
}

/** Method B: the message goes onward at once, its packet id is kept until PUBREL (MQTT 5 §4.3.3). */
function publishQos2(connection: Connection, message: Message, packetId: number, repeated: boolean): void {
  const { client } = connection;
  const ticket = connection.nextTicket();
  const receipt = client.acceptInbound(packetId, message, repeated);
  if (receipt === "duplicate") {
    // While the first one waits for its answer, that answer serves both; it may have come on another connection.
    if (connection.answers?.awaits(packetId) === true) return;
    answerOnceKept(connection, { packet: PUBREC, packetId, reason: ReasonCode.success }, 0);
    return;
  }
  if (receipt === "full") {
    if (exceedsReceiveMaximum(connection)) return;
    connection.counters.releasesFull.value++;
    answerInTurn(connection, ticket, 2, packetId, "congested");
    return;
  }
  if (exceedsReceiveMaximum(connection)) {
    // It was not published, so it must not count as received when it comes again.
    releaseInbound(connection, packetId);
    return;
  }
  connection.unanswered++;
  const verdict = isFit(connection, message) ? client.publish(message, ticket) : "payload-unfit";
  if (verdict !== "pending") freeRefused(connection, packetId, verdict);
  answerInTurn(connection, ticket, 2, packetId, verdict);
}

/** Ends the connection of an MQTT 5 client that sends more than was announced; MQTT 3 clients know no limit. */
function exceedsReceiveMaximum(connection: Connection): boolean {
  const { receiveMaximum } = connection;
  if (connection.unanswered < receiveMaximum || connection.version !== 5) return false;
  const problem = `more than ${receiveMaximum} unanswered messages`;
  connection.fail(breach(ReasonCode.receiveMaximumExceeded, "[MQTT-3.3.4-7]", problem));
  return true;
}

/** A payload declared to be text is text, where the configuration asks for the check (MQTT 5 §3.3.2.3.2). */
function isFit(connection: Connection, message: Message): boolean {
  if (message.properties?.payloadFormat !== 1 || !connection.config.validatePayloadFormat) return true;
  return text(message.payload) !== undefined;
}
