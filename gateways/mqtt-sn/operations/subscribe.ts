/** SUBSCRIBE and UNSUBSCRIBE by name, predefined id and short name (MQTT-SN 1.2 §6.9, §6.7). */

import type { QoS } from "#core/bus/message.ts";
import { hasWildcard, parseSharedFilter, topicFilterProblem } from "#core/bus/topic.ts";
import type { SubscribeAnswer } from "#core/contract/answers.ts";
import type { SubscribeOptions } from "#core/contract/client.ts";
import { text } from "#core/lib/bytes.ts";
import type { Instant } from "#core/lib/time.ts";
import type { MqttSnChannel } from "../channel.ts";
import { word } from "../codec.ts";
import { encodeSubAck } from "../encode.ts";
import * as p from "../packets.ts";
import { refusalCode } from "../refusals.ts";
import { subscribeTicket, ticketMessageId, ticketTopicId } from "../tickets.ts";
import { shortTopic } from "../topics.ts";
import { answerOnceKept } from "./kept.ts";
import { predefinedTopic } from "./publish-in.ts";
import { assignId, settleAnnouncement } from "./register.ts";

export function receiveSubscribe(channel: MqttSnChannel, packet: p.Subscribe, now: Instant): void {
  const { client, setup } = channel;
  const { messageId, qos } = packet;
  if (client === undefined) return;
  const sleeping = channel.state !== "active" && setup.config.sleep.publish === "refuse";
  if (qos === -1 || sleeping) {
    refuse(channel, messageId, p.NOT_SUPPORTED);
    return;
  }
  const filter = filterOf(channel, packet);
  if (filter === undefined) {
    const unknown = packet.topicIdType === p.PREDEFINED;
    refuse(channel, messageId, unknown ? p.INVALID_TOPIC_ID : p.NOT_SUPPORTED);
    return;
  }
  if (channel.asked >= setup.config.inboundMax) {
    refuse(channel, messageId, p.CONGESTION);
    return;
  }
  const topicId = idFor(channel, packet, filter);
  if (topicId === undefined) {
    refuse(channel, messageId, p.CONGESTION);
    return;
  }
  const ticket = subscribeTicket(topicId, messageId);
  const answer = client.subscribe(filter, OPTIONS[qos], ticket);
  if (packet.topicIdType === p.PREDEFINED) {
    channel.predefinedInUse ??= new Set();
    channel.predefinedInUse.add(topicId);
  }
  if (answer === "pending") channel.asked++;
  else answerSubscribe(channel, ticket, answer, now, packet.topicIdType === p.NORMAL);
}

/** One for all who subscribe alike: the session keeps it. */
const OPTIONS: Readonly<Record<QoS, SubscribeOptions>> = { 0: { qos: 0 }, 1: { qos: 1 }, 2: { qos: 2 } };

/** The id that SUBACK tells; 0 where none is relevant (§5.4.16), `undefined` when the client has too many. */
function idFor(channel: MqttSnChannel, packet: p.Subscribe, filter: string): number | undefined {
  if (packet.topicIdType === p.PREDEFINED) return word(packet.topic, 0);
  if (packet.topicIdType === p.SHORT || hasWildcard(filter) || parseSharedFilter(filter) !== undefined)
    return 0;
  const topicId = assignId(channel, filter, channel.setup.config.topicIdsMax);
  return topicId === 0 ? undefined : topicId;
}

/** The filter that a message means; `undefined` when there is none, or it is malformed. */
function filterOf(channel: MqttSnChannel, packet: p.Subscribe): string | undefined {
  switch (packet.topicIdType) {
    case p.PREDEFINED:
      return predefinedTopic(channel, word(packet.topic, 0));
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

const refuse = (channel: MqttSnChannel, messageId: number, code: p.ReturnCode): void =>
  channel.send(encodeSubAck(0, 0, messageId, code));

export function answerSubscribe(
  channel: MqttSnChannel,
  ticket: number,
  answer: SubscribeAnswer,
  now: Instant,
  byName = true,
): void {
  const messageId = ticketMessageId(ticket);
  const topicId = ticketTopicId(ticket);
  if (typeof answer !== "number") {
    refuse(channel, messageId, refusalCode(answer));
    return;
  }
  // The client uses and understands this id from now on, without REGISTER (§6.9).
  const taught = byName && topicId !== 0;
  if (taught) channel.topics?.learnt(topicId);
  channel.send(encodeSubAck(answer, topicId, messageId, p.ACCEPTED));
  if (taught) settleAnnouncement(channel, topicId, now);
}

/** Always acknowledged: UNSUBACK has no field to say anything else in (§5.4.18). */
export function receiveUnsubscribe(channel: MqttSnChannel, packet: p.Subscribe, now: Instant): void {
  const filter = filterOf(channel, packet);
  if (filter !== undefined) channel.client?.unsubscribe(filter);
  if (packet.topicIdType === p.PREDEFINED) channel.predefinedInUse?.delete(word(packet.topic, 0));
  answerOnceKept(channel, p.UNSUBACK, packet.messageId, now);
}
