/** PUBLISH from the client, at every QoS (MQTT-SN 1.2 §6.6, §6.7, §6.8). */

import type { Message as BusMessage, QoS } from "#core/bus/message.ts";
import { Message } from "#core/bus/message.ts";
import { topicMatches, topicNameProblem } from "#core/bus/topic.ts";
import type { PublishAnswer, Refusal } from "#core/contract/answers.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import { unreachable } from "#core/lib/assert.ts";
import { text } from "#core/lib/bytes.ts";
import { after, type Instant, seconds, ZERO } from "#core/lib/time.ts";
import type { MqttSnChannel } from "../channel.ts";
import { encodeMessageAck, encodeTopicAck } from "../encode.ts";
import * as p from "../packets.ts";
import { publishTicket, ticketMessageId, ticketQos, ticketTopicId } from "../tickets.ts";
import { shortTopic } from "../topics.ts";
import { aggregateOf } from "./connect.ts";
import { answerOnceKept } from "./kept.ts";

/** A publish with QoS -1 whose identity the core has not confirmed yet. */
export type Anonymous = BusMessage;

const QUIET = seconds(1);

export function receivePublish(channel: MqttSnChannel, packet: p.Publish, now: Instant): void {
  if (packet.qos === -1) {
    publishUnconnected(channel, packet, now);
    return;
  }
  const { client, setup } = channel;
  if (client === undefined) return;
  const { qos, topicIdType, topicId, messageId, payload } = packet;
  // QoS 1 needs no id that is unique, and simple clients send 0. QoS 2 could not be told from its repeat.
  if (topicIdType === 3 || (qos === 2 && messageId === 0)) {
    reject(channel, packet, p.NOT_SUPPORTED, now);
    return;
  }
  if (setup.config.sleep.publish === "refuse" && channel.state !== "active") {
    reject(channel, packet, p.NOT_SUPPORTED, now);
    return;
  }
  const topic = topicOf(channel, topicIdType, topicId);
  if (topic === undefined) {
    reject(channel, packet, p.INVALID_TOPIC_ID, now);
    return;
  }
  if (payload.length > setup.config.messageSizeMax) {
    reject(channel, packet, p.NOT_SUPPORTED, now);
    return;
  }
  const message = new Message(topic, payload, qos, packet.retain, now);
  if (qos === 2) {
    publishOnce(channel, client, packet, message, now);
    return;
  }
  if (qos === 1 && channel.asked >= setup.config.inboundMax) {
    reject(channel, packet, p.CONGESTION, now);
    return;
  }
  if (qos === 1 && isRepeat(channel, packet)) {
    acknowledge(channel, packet.topicId, messageId);
    return;
  }
  const ticket = publishTicket(qos, topicId, messageId);
  const answer = client.publish(message, ticket);
  if (answer === "pending") channel.asked++;
  else answerPublish(channel, ticket, answer, now);
}

/** The topic that a publish is for; `undefined` when there is none under this id (§6.6, §6.7). */
function topicOf(channel: MqttSnChannel, type: p.TopicIdType, id: number): string | undefined {
  if (type === p.NORMAL) return channel.topics?.nameOf(id);
  // A library flags its registered ids as short; no short name begins with NUL, so these cannot be meant.
  if (type === p.SHORT) return shortTopic(id) ?? (id <= 0xff ? channel.topics?.nameOf(id) : undefined);
  return predefinedTopic(channel, id);
}

/**
 * The topic of an id that is flagged as predefined. Where none are configured the type can mean nothing, and some
 * libraries flag the ids so that they have registered.
 */
export function predefinedTopic({ setup, client, topics }: MqttSnChannel, id: number): string | undefined {
  const clientId = client?.id ?? "";
  return setup.predefined.existFor(clientId) ? setup.predefined.nameOf(id, clientId) : topics?.nameOf(id);
}

/** QoS 2: published when it comes first, and never again until PUBREL. */
function publishOnce(
  channel: MqttSnChannel,
  client: Client,
  packet: p.Publish,
  message: Message,
  now: Instant,
): void {
  const { messageId, topicId } = packet;
  if (channel.asked >= channel.setup.config.inboundMax) {
    reject(channel, packet, p.CONGESTION, now);
    return;
  }
  switch (client.acceptInbound(messageId)) {
    case "full":
      reject(channel, packet, p.CONGESTION, now);
      return;
    case "duplicate":
      // Not before the bus has answered for the first one, also when that came on another connection.
      if (channel.asked2?.includes(messageId) !== true) answerOnceKept(channel, p.PUBREC, messageId, now);
      return;
    case "new":
      break;
  }
  const ticket = publishTicket(2, topicId, messageId);
  const answer = client.publish(message, ticket);
  if (answer !== "pending") {
    answerPublish(channel, ticket, answer, now);
    return;
  }
  channel.asked++;
  channel.asked2 ??= [];
  channel.asked2.push(messageId);
}

/** The bus has taken the message, or not: only now is it acknowledged. */
export function answerPublish(
  channel: MqttSnChannel,
  ticket: number,
  answer: PublishAnswer,
  now: Instant,
): void {
  const qos = ticketQos(ticket) as QoS;
  const topicId = ticketTopicId(ticket);
  const messageId = ticketMessageId(ticket);
  if (qos === 2) channel.asked2 = channel.asked2?.filter((each) => each !== messageId);
  if (answer === "accepted" || answer === "no-subscribers") {
    if (qos === 1) acknowledge(channel, topicId, messageId);
    else if (qos === 2) channel.send(encodeMessageAck(p.PUBREC, messageId));
    return;
  }
  if (qos === 2) channel.client?.releaseInbound(messageId);
  rejectWith(channel, qos, topicId, messageId, pubackCode(answer), now);
}

function acknowledge(channel: MqttSnChannel, topicId: number, messageId: number): void {
  channel.send(encodeTopicAck(p.PUBACK, topicId, messageId, p.ACCEPTED));
}

/** Whether this repeats the last QoS 1 message to the octet; notes it as the last one otherwise. */
function isRepeat(channel: MqttSnChannel, packet: p.Publish): boolean {
  if (!channel.setup.config.dropRepeatedQos1) return false;
  let hash = (packet.topicId << 16) ^ packet.messageId;
  for (const octet of packet.payload) hash = Math.imul(hash ^ octet, 0x01000193);
  const same = packet.duplicate && hash === channel.lastQos1;
  channel.lastQos1 = hash;
  return same;
}

function reject(channel: MqttSnChannel, packet: p.Publish, code: p.ReturnCode, now: Instant): void {
  // "Regardless of the QoS": with QoS 0 the MsgId means nothing (§6.6).
  const messageId = packet.qos > 0 ? packet.messageId : 0;
  rejectWith(channel, packet.qos as QoS, packet.topicId, messageId, code, now);
}

function rejectWith(
  channel: MqttSnChannel,
  qos: QoS,
  topicId: number,
  messageId: number,
  code: p.ReturnCode,
  now: Instant,
): void {
  if (qos === 0 && code !== p.INVALID_TOPIC_ID) {
    // A flood must not be answered with a flood.
    if (now < channel.quietUntil) {
      channel.drop();
      return;
    }
    channel.quietUntil = after(now, QUIET);
  }
  channel.send(encodeTopicAck(p.PUBACK, topicId, qos === 0 ? 0 : messageId, code));
}

/** QoS -1: under the sender's own identity if it has one, else under that of all who have none (§6.8, §7.1). */
function publishUnconnected(channel: MqttSnChannel, packet: p.Publish, now: Instant): void {
  const { client, setup, host } = channel;
  const message = unconnectedMessage(channel, packet, now);
  if (client !== undefined) {
    if (message === undefined || setup.config.qosMinusOne.mode === "off") {
      channel.drop();
      return;
    }
    setup.counters.anonymous.value++;
    client.publish(message, publishTicket(0, 0, 0));
    return;
  }
  if (channel.state !== "new") {
    channel.drop();
    return;
  }
  const login = setup.login(setup.config.qosMinusOne.clientId, host.peer);
  if (message === undefined || login === undefined || !setup.mayPublishUnconnected(host.peer.address)) {
    channel.drop();
    channel.finish("publish without a connection refused");
    return;
  }
  channel.state = "connecting";
  channel.anonymous = message.kept();
  const answer = host.connect(
    {
      clientId: setup.config.qosMinusOne.clientId,
      username: login.username,
      password: login.password,
      cleanStart: true,
      sessionExpiry: ZERO,
      credit: 0,
      protocol: "MQTT-SN 1.2",
      transient: true,
      aggregate: aggregateOf(channel),
    },
    ++channel.ticket,
  );
  if (answer !== "pending") settleAnonymous(channel, answer);
}

/** Predefined id or short name, and nothing else (§6.8); never answered. */
function unconnectedMessage(channel: MqttSnChannel, packet: p.Publish, now: Instant): Message | undefined {
  const { topics, nameForm } = channel.setup.config.qosMinusOne;
  let topic: string | undefined;
  let { payload } = packet;
  if (packet.topicIdType === p.PREDEFINED || packet.topicIdType === p.SHORT) {
    topic = topicOf(channel, packet.topicIdType, packet.topicId);
  } else if (packet.topicIdType === p.NORMAL && nameForm && packet.topicId <= payload.length) {
    topic = text(payload.subarray(0, packet.topicId));
    payload = payload.subarray(packet.topicId);
  }
  if (topic === undefined || topicNameProblem(topic) !== undefined) return undefined;
  const name = topic;
  if (!topics.some((filter) => topicMatches(filter, name))) return undefined;
  return new Message(name, payload, 0, packet.retain, now);
}

export function settleAnonymous(channel: MqttSnChannel, answer: ConnectAnswer): void {
  const { anonymous } = channel;
  channel.anonymous = undefined;
  if (answer.ok) {
    if (anonymous !== undefined) {
      channel.setup.counters.anonymous.value++;
      answer.client.publish(anonymous, publishTicket(0, 0, 0));
    }
    answer.client.end("closed");
  } else {
    channel.drop();
  }
  channel.finish("published without a connection");
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
export function receivePubrel(channel: MqttSnChannel, packet: p.MessageAck, now: Instant): void {
  channel.client?.releaseInbound(packet.messageId);
  // Also for an id that is not known: the client must be able to end it (checklist P7).
  answerOnceKept(channel, p.PUBCOMP, packet.messageId, now);
}
