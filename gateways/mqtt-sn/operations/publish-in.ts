/** PUBLISH from the client, at every QoS (MQTT-SN 1.2 §6.6, §6.7, §6.8). */

import { Message, type QoS } from "#core/bus/message.ts";
import type { PublishAnswer, Refusal } from "#core/contract/answers.ts";
import { unreachable } from "#core/lib/assert.ts";
import { after, type Instant, seconds } from "#core/lib/time.ts";
import type { Connection } from "../connection.ts";
import { encodeMessageAck, encodeTopicAck } from "../encode.ts";
import * as p from "../packets.ts";
import { refuseUnknownId } from "../refusals.ts";
import { publishTicket, ticketMessageId, ticketQos, ticketTopicId } from "../tickets.ts";
import { topicOf } from "../topics.ts";

const QUIET = seconds(1);

export function receivePublish(connection: Connection, packet: p.ConnectedPublish, now: Instant): void {
  const { client, setup, answers, topics } = connection;
  const { qos, topicIdType, topicId, messageId, payload } = packet;
  const sleeping = connection.phase !== "active" && setup.config.sleep.publish === "refuse";
  // QoS 1 needs no id that is unique, and simple clients send 0. QoS 2 could not be told from its repeat.
  if (topicIdType === 3 || (qos === 2 && messageId === 0) || sleeping) {
    reject(connection, packet, p.NOT_SUPPORTED, now);
    return;
  }
  const topic = topicOf(setup.predefined, client.id, topics, topicIdType, topicId);
  if (topic === undefined) {
    refuseUnknownId(connection.host, "publish", topicIdType, topicId);
    reject(connection, packet, p.INVALID_TOPIC_ID, now);
    return;
  }
  if (payload.length > setup.config.messageSizeMax) {
    const by = (): string => `gateways.mqtt-sn.messageSizeMax ${setup.config.messageSizeMax}`;
    connection.host.refused({ what: "publish", asked: topic, refusal: "too-large", by });
    reject(connection, packet, p.NOT_SUPPORTED, now);
    return;
  }
  if (qos > 0 && answers.full) {
    reject(connection, packet, p.CONGESTION, now);
    return;
  }
  const message = new Message(topic, payload, qos, packet.retain, now);
  if (qos === 2) {
    publishOnce(connection, packet, message, now);
    return;
  }
  if (qos === 1 && setup.config.dropRepeatedQos1 && isRepeat(connection, packet)) return;
  const ticket = publishTicket(qos, topicId, messageId);
  const answer = client.publish(message, ticket);
  if (answer === "pending") answers.await();
  else answerPublish(connection, ticket, answer, now);
}

/** QoS 2: published when it comes first, and never again until PUBREL. */
function publishOnce(
  connection: Connection,
  { messageId, topicId, duplicate }: p.ConnectedPublish,
  message: Message,
  now: Instant,
): void {
  const { client, answers } = connection;
  switch (client.acceptInbound(messageId, message, duplicate)) {
    case "full":
      rejectWith(connection, 2, topicId, messageId, p.CONGESTION, now);
      return;
    case "duplicate":
      // Not before the bus has answered for the first one.
      if (!answers.awaitsReceipt(messageId)) answers.give(p.PUBREC, messageId, now);
      return;
    case "new":
      break;
  }
  const ticket = publishTicket(2, topicId, messageId);
  const answer = client.publish(message, ticket);
  if (answer === "pending") answers.awaitReceipt(messageId);
  else answerPublish(connection, ticket, answer, now);
}

/** The bus has taken the message, or not: only now is it acknowledged. */
export function answerPublish(
  connection: Connection,
  ticket: number,
  answer: PublishAnswer,
  now: Instant,
): void {
  const qos = ticketQos(ticket) as QoS;
  const topicId = ticketTopicId(ticket);
  const messageId = ticketMessageId(ticket);
  const accepted = answer === "accepted" || answer === "no-subscribers";
  if (qos === 1) settleRepeat(connection, topicId, messageId, accepted);
  if (qos === 2) connection.answers.receiptCame(messageId);
  if (accepted) {
    if (qos === 1) acknowledge(connection, topicId, messageId);
    else if (qos === 2) connection.send(encodeMessageAck(p.PUBREC, messageId));
    return;
  }
  if (qos === 2) connection.client.releaseInbound(messageId);
  rejectWith(connection, qos, topicId, messageId, pubackCode(answer), now);
}

function acknowledge(connection: Connection, topicId: number, messageId: number): void {
  connection.send(encodeTopicAck(p.PUBACK, topicId, messageId, p.ACCEPTED));
}

/**
 * Whether this repeats the last QoS 1 message to the octet; notes it as the last one otherwise. It is acknowledged
 * again when the first was, has its answer still to come while the first has, and is new where the first was refused.
 */
function isRepeat(
  connection: Connection,
  { topicId, messageId, payload, duplicate }: p.ConnectedPublish,
): boolean {
  let hash = (topicId << 16) ^ messageId;
  for (const octet of payload) hash = Math.imul(hash ^ octet, 0x01000193);
  const last = connection.lastQos1;
  if (duplicate && last?.hash === hash && last.topicId === topicId && last.messageId === messageId) {
    if (last.acknowledged) acknowledge(connection, topicId, messageId);
    return true;
  }
  connection.lastQos1 = { hash, topicId, messageId, acknowledged: false };
  return false;
}

function settleRepeat(connection: Connection, topicId: number, messageId: number, accepted: boolean): void {
  const last = connection.lastQos1;
  if (last?.topicId !== topicId || last.messageId !== messageId) return;
  if (accepted) last.acknowledged = true;
  else connection.lastQos1 = undefined;
}

function reject(connection: Connection, packet: p.ConnectedPublish, code: p.ReturnCode, now: Instant): void {
  // "Regardless of the QoS": with QoS 0 the MsgId means nothing (§6.6).
  const messageId = packet.qos > 0 ? packet.messageId : 0;
  rejectWith(connection, packet.qos, packet.topicId, messageId, code, now);
}

function rejectWith(
  connection: Connection,
  qos: QoS,
  topicId: number,
  messageId: number,
  code: p.ReturnCode,
  now: Instant,
): void {
  if (qos === 0 && code !== p.INVALID_TOPIC_ID) {
    // A flood must not be answered with a flood.
    if (now < connection.quietUntil) {
      connection.setup.counters.dropped.value++;
      return;
    }
    connection.quietUntil = after(now, QUIET);
  }
  connection.send(encodeTopicAck(p.PUBACK, topicId, qos === 0 ? 0 : messageId, code));
}

/** Only 0 to 3 exist in 1.2 (§5.3.10). */
function pubackCode(refusal: Refusal): p.ReturnCode {
  switch (refusal) {
    case "congested":
    case "unavailable":
    case "quota":
      return p.CONGESTION;
    case "malformed":
      return p.INVALID_TOPIC_ID;
    case "unauthenticated":
    case "forbidden":
    case "banned":
    case "too-large":
      return p.NOT_SUPPORTED;
    default:
      return unreachable(refusal);
  }
}

/** The client may use the id again after PUBCOMP: a crash must not bring the old use back. */
export function receivePubrel(connection: Connection, packet: p.MessageAck, now: Instant): void {
  connection.client.releaseInbound(packet.messageId);
  // Also for an id that is not known: the client must be able to end it (checklist P7).
  connection.answers.give(p.PUBCOMP, packet.messageId, now);
}
