/** SUBSCRIBE and UNSUBSCRIBE by name, predefined id and short name (MQTT-SN 1.2 §6.9, §6.7). */

import type { QoS } from "#core/bus/message.ts";
import { hasWildcard, parseSharedFilter, topicFilterProblem } from "#core/bus/topic.ts";
import type { SubscribeAnswer, Ticket } from "#core/contract/answers.ts";
import type { SubscribeOptions } from "#core/contract/client.ts";
import { text } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import { word } from "../codec.ts";
import type { Connection } from "../connection.ts";
import { encodeSubAck } from "../encode.ts";
import * as p from "../packets.ts";
import { refusalCode, refuseUnknownId } from "../refusals.ts";
import { subscribeTicket, ticketMessageId, ticketTopicId } from "../tickets.ts";
import { predefinedTopic, shortTopic } from "../topics.ts";

export function receiveSubscribe(connection: Connection, packet: p.Subscribe, now: Instant): void {
  const { client, setup, answers } = connection;
  const { messageId, qos } = packet;
  const sleeping = connection.phase !== "active" && setup.config.sleep.publish === "refuse";
  if (qos === -1 || sleeping) {
    refuse(connection, messageId, p.NOT_SUPPORTED);
    return;
  }
  const filter = filterOf(connection, packet);
  if (filter === undefined) {
    const unknown = packet.topicIdType === p.PREDEFINED;
    if (unknown) refuseUnknownId(connection.host, "subscribe", p.PREDEFINED, word(packet.topic, 0));
    refuse(connection, messageId, unknown ? p.INVALID_TOPIC_ID : p.NOT_SUPPORTED);
    return;
  }
  const topicId = answers.full ? undefined : idFor(connection, packet, filter);
  if (topicId === undefined) {
    refuse(connection, messageId, p.CONGESTION);
    return;
  }
  const ticket = subscribeTicket(topicId, messageId);
  const answer = client.subscribe(filter, OPTIONS[qos], ticket);
  if (packet.topicIdType === p.PREDEFINED) {
    connection.predefinedInUse ??= new Set();
    connection.predefinedInUse.add(topicId);
  }
  if (answer === "pending") answers.await();
  else answerSubscribe(connection, ticket, answer, now, packet.topicIdType === p.NORMAL);
}

/** One for all who subscribe alike: the session keeps it. */
const OPTIONS: Readonly<Record<QoS, SubscribeOptions>> = { 0: { qos: 0 }, 1: { qos: 1 }, 2: { qos: 2 } };

/** The id that SUBACK tells; 0 where none is relevant (§5.4.16), `undefined` when the client has too many. */
function idFor(connection: Connection, packet: p.Subscribe, filter: string): number | undefined {
  if (packet.topicIdType === p.PREDEFINED) return word(packet.topic, 0);
  if (packet.topicIdType === p.SHORT || hasWildcard(filter) || parseSharedFilter(filter) !== undefined)
    return 0;
  const topicId = connection.assignId(filter);
  return topicId === 0 ? undefined : topicId;
}

/** The filter that a message means; `undefined` when there is none, or it is malformed. */
function filterOf(connection: Connection, packet: p.Subscribe): string | undefined {
  switch (packet.topicIdType) {
    case p.PREDEFINED:
      return predefinedTopic(
        connection.setup.predefined,
        connection.client.id,
        connection.topics,
        word(packet.topic, 0),
      );
    case p.SHORT:
      return shortTopic(word(packet.topic, 0));
    case p.NORMAL: {
      const filter = text(packet.topic);
      if (filter === undefined || topicFilterProblem(filter) !== undefined) return undefined;
      return parseSharedFilter(filter) === "malformed" ? undefined : filter;
    }
    default:
      return undefined;
  }
}

const refuse = (connection: Connection, messageId: number, code: p.ReturnCode): void =>
  connection.send(encodeSubAck(0, 0, messageId, code));

export function answerSubscribe(
  connection: Connection,
  ticket: number,
  answer: SubscribeAnswer,
  now: Instant,
  byName = true,
): void {
  const messageId = ticketMessageId(ticket);
  const topicId = ticketTopicId(ticket);
  if (typeof answer !== "number") {
    refuse(connection, messageId, refusalCode(answer));
    return;
  }
  // The client uses and understands this id from now on, without REGISTER (§6.9).
  const taught = byName && topicId !== 0;
  if (taught) connection.topics.learnt(topicId);
  connection.send(encodeSubAck(answer, topicId, messageId, p.ACCEPTED));
  if (taught) connection.downlink.taught(topicId, now);
}

/** Always acknowledged: UNSUBACK has no field to say anything else in (§5.4.18). */
export function receiveUnsubscribe(connection: Connection, packet: p.Subscribe, now: Instant): void {
  const filter = filterOf(connection, packet);
  if (packet.topicIdType === p.PREDEFINED) connection.predefinedInUse?.delete(word(packet.topic, 0));
  const ask = (ticket: Ticket) =>
    filter === undefined ? "no-subscription" : connection.client.unsubscribe(filter, ticket);
  connection.answers.giveDone(p.UNSUBACK, packet.messageId, ask, now);
}
