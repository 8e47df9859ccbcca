/** PUBLISH from the gateway to the client (MQTT-SN 1.2 §6.10), with the gateway's own repeats (§6.13). */
import type { Delivery } from "#core/contract/delivery.ts";
import { earliest, type Instant, NEVER } from "#core/lib/time.ts";
import type { MqttSnChannel } from "../channel.ts";
import { encodedLength, encodeMessageAck, encodePublish, PUBLISH_FIXED, REGISTER_FIXED } from "../encode.ts";
import * as p from "../packets.ts";
import { shortTopicId } from "../topics.ts";
import { announce, announceAgain, askForRegack, assignId } from "./register.ts";
import { endFlush } from "./sleep.ts";

/** A QoS 1 or 2 message that has been sent and is not acknowledged. Its MsgId is the delivery's id. */
export interface Exchange {
  readonly delivery: Delivery;
  readonly topicIdType: p.TopicIdType;
  readonly topicId: number;
  /** QoS 2: PUBREC has come, PUBCOMP is awaited. */
  released: boolean;
  repeats: number;
  /** `NEVER`: all repeats were in vain, and a sign of life is awaited. */
  dueAt: Instant;
  sentAt: Instant;
  /** How often the client was heard after it, and had not answered. */
  ignored: number;
  /** The last one sent had DUP. */
  duplicate: boolean;
  /** The client has refused DUP. */
  plain: boolean;
}

/** Rounds of repeats that a client leaves without an answer while it says other things; it is not going to. */
const ROUNDS = 4;

/** What channels share that have nothing in flight. */
export const NO_EXCHANGES: Exchange[] = [];

export function deliverNext(channel: MqttSnChannel, delivery: Delivery, now: Instant): void {
  if (channel.state === "awake") channel.flushLeft--;
  if (channel.state === "awake" && channel.flushLeft === 0) channel.client?.credit(0);
  const held = channel.state === "asleep" || channel.announcement !== undefined;
  if (held || channel.waiting !== undefined) {
    channel.waiting ??= [];
    channel.waiting.push(delivery);
    return;
  }
  offer(channel, delivery, now);
  endFlush(channel, now);
}

/** What waited behind a REGISTER, up to the next one. */
export function sendWaiting(channel: MqttSnChannel, now: Instant): void {
  const { waiting } = channel;
  let sent = 0;
  while (waiting !== undefined && sent < waiting.length && channel.announcement === undefined) {
    const delivery = waiting[sent++];
    if (delivery !== undefined) offer(channel, delivery, now);
  }
  channel.waiting = waiting === undefined || sent === waiting.length ? undefined : waiting.slice(sent);
  if (channel.announcement === undefined && mayTake(channel)) {
    channel.client?.credit(channel.setup.config.inFlight);
  }
}

const mayTake = ({ state, flushLeft }: MqttSnChannel): boolean =>
  state === "active" || (state === "awake" && flushLeft > 0);

/** Active or awake again: first what was sent and not acknowledged, then the rest (§6.14). */
export function resumeFlow(channel: MqttSnChannel, now: Instant): void {
  for (const exchange of channel.exchanges) {
    exchange.repeats = 0;
    exchange.dueAt = channel.retryLater(now);
    sendExchange(channel, exchange, now);
  }
  if (channel.announcement === undefined) sendWaiting(channel, now);
  else announceAgain(channel, now);
}

/** The client is there again, and has not answered yet what it was asked. */
export function askAgain(channel: MqttSnChannel, now: Instant): void {
  for (const exchange of channel.exchanges) {
    if (givesUp(channel, exchange, now)) continue;
    exchange.repeats = 0;
    exchange.dueAt = channel.retryLater(now);
    sendExchange(channel, exchange, now);
  }
  askForRegack(channel, now);
}

/** Counts that the client was heard after a message, and has not answered it. */
function givesUp(channel: MqttSnChannel, exchange: Exchange, now: Instant): boolean {
  if (channel.heardAt > exchange.sentAt) exchange.ignored++;
  if (exchange.ignored < ROUNDS * Math.max(1, channel.setup.config.retries)) return false;
  channel.host.note({ level: "warn", event: "not-acknowledged", detail: { topic: exchange.delivery.topic } });
  finish(channel, exchange, "dead", now);
  return true;
}

/** Sends a message under the id that the client knows, or tells it one first. */
function offer(channel: MqttSnChannel, delivery: Delivery, now: Instant): void {
  if (delivery.stage === "release") {
    release(channel, delivery, now);
    return;
  }
  const { config } = channel.setup;
  const { message, topic } = delivery;
  if (encodedLength(PUBLISH_FIXED + message.payload.length) > config.messageSizeMax) {
    tooLong(channel, delivery);
    return;
  }
  const known = knownNormalId(channel, topic);
  const predefined = channel.setup.predefined.idOf(topic, channel.client?.id ?? "");
  const short = shortTopicId(topic);
  if (predefined !== 0 && (known === 0 || channel.predefinedInUse?.has(predefined) === true)) {
    publishTo(channel, delivery, p.PREDEFINED, predefined, now);
    return;
  }
  if (known !== 0) {
    publishTo(channel, delivery, p.NORMAL, known, now);
    return;
  }
  if (short !== 0) {
    publishTo(channel, delivery, p.SHORT, short, now);
    return;
  }
  register(channel, delivery, now);
}

function knownNormalId({ topics }: MqttSnChannel, topic: string): number {
  const id = topics?.idOf(topic) ?? 0;
  return id !== 0 && topics?.isKnown(id) === true ? id : 0;
}

function register(channel: MqttSnChannel, delivery: Delivery, now: Instant): void {
  const { topicIdsMax, messageSizeMax } = channel.setup.config;
  const { topic } = delivery;
  if (encodedLength(REGISTER_FIXED + Buffer.byteLength(topic)) > messageSizeMax) {
    tooLong(channel, delivery);
    return;
  }
  const topicId = assignId(channel, topic, topicIdsMax);
  if (topicId === 0) {
    channel.host.note({ level: "warn", event: "topic-ids-exhausted", detail: { topic } });
    discard(channel, delivery);
    return;
  }
  if (channel.topics?.isRefused(topicId) === true) {
    channel.setup.counters.refusedTopics.value++;
    discard(channel, delivery);
    return;
  }
  announce(channel, delivery, topicId, now);
}

/** Nobody will take this message: towards the bus it is done with. */
export function discard(channel: MqttSnChannel, delivery: Delivery): void {
  if (delivery.id !== 0) channel.client?.settle(delivery.id, "dead");
}

/** Silent towards the client (§6.10), not towards the operator. It is never cut. */
function tooLong(channel: MqttSnChannel, delivery: Delivery): void {
  channel.setup.counters.tooLong.value++;
  const detail = { topic: delivery.topic, octets: delivery.message.payload.length };
  channel.host.note({ level: "warn", event: "too-long", detail });
  discard(channel, delivery);
}

export function publishTo(
  channel: MqttSnChannel,
  delivery: Delivery,
  topicIdType: p.TopicIdType,
  topicId: number,
  now: Instant,
): void {
  const { qos, retain, id, duplicate, message } = delivery;
  if (qos === 0) {
    channel.send(encodePublish(false, 0, retain, topicIdType, topicId, 0, message.payload));
    return;
  }
  const exchange: Exchange = {
    delivery,
    topicIdType,
    topicId,
    released: false,
    repeats: 0,
    dueAt: channel.retryLater(now),
    sentAt: now,
    ignored: 0,
    duplicate,
    plain: false,
  };
  open(channel, exchange);
  channel.send(encodePublish(duplicate, qos, retain, topicIdType, topicId, id, message.payload));
}

/** The client had the message before the connection was lost: only PUBREL is due. */
function release(channel: MqttSnChannel, delivery: Delivery, now: Instant): void {
  const dueAt = channel.retryLater(now);
  const waiting = find(channel, delivery.id);
  if (waiting !== undefined) {
    // PUBREC came in this connection, and only now is that kept: PUBREL may go.
    waiting.dueAt = dueAt;
    waiting.sentAt = now;
    channel.send(encodeMessageAck(p.PUBREL, delivery.id));
    return;
  }
  open(channel, {
    delivery,
    topicIdType: p.NORMAL,
    topicId: 0,
    released: true,
    repeats: 0,
    dueAt,
    sentAt: now,
    ignored: 0,
    duplicate: true,
    plain: false,
  });
  channel.send(encodeMessageAck(p.PUBREL, delivery.id));
}

/** Channels share one empty list until they need their own. */
function open(channel: MqttSnChannel, exchange: Exchange): void {
  if (channel.exchanges.length === 0) channel.exchanges = [exchange];
  else channel.exchanges.push(exchange);
}

function close(channel: MqttSnChannel, exchange: Exchange): void {
  const left = channel.exchanges.filter((each) => each !== exchange);
  channel.exchanges = left.length === 0 ? NO_EXCHANGES : left;
  if (left.length === 0 && channel.announcement === undefined) channel.retryAt = Infinity as Instant;
}

const find = (channel: MqttSnChannel, messageId: number): Exchange | undefined =>
  channel.exchanges.find((exchange) => exchange.delivery.id === messageId);

function sendExchange(channel: MqttSnChannel, exchange: Exchange, now: Instant): void {
  const { delivery, topicIdType, topicId } = exchange;
  exchange.sentAt = now;
  if (exchange.released) {
    channel.send(encodeMessageAck(p.PUBREL, delivery.id));
    return;
  }
  const { qos, retain, id, message } = delivery;
  exchange.duplicate = !exchange.plain;
  channel.send(encodePublish(exchange.duplicate, qos, retain, topicIdType, topicId, id, message.payload));
}

export function repeatExchanges(channel: MqttSnChannel, now: Instant): void {
  for (const exchange of channel.exchanges) {
    if (exchange.dueAt > now) {
      channel.retryAt = earliest(channel.retryAt, exchange.dueAt);
      continue;
    }
    const active = channel.state === "active";
    if (active && givesUp(channel, exchange, now)) continue;
    if (exchange.repeats >= channel.setup.config.retries) {
      if (!active) {
        channel.unanswered(now);
        return;
      }
      // It is lost when it was silent for its keep-alive time, not before (§6.14); until then nothing is sent.
      exchange.dueAt = NEVER;
      continue;
    }
    exchange.repeats++;
    channel.setup.counters.retries.value++;
    exchange.dueAt = channel.retryLater(now);
    sendExchange(channel, exchange, now);
  }
}

export function receivePuback(channel: MqttSnChannel, packet: p.TopicAck, now: Instant): void {
  if (packet.messageId === 0) {
    // About a message with QoS 0, which is gone; the next on this topic is announced first.
    if (packet.returnCode === p.INVALID_TOPIC_ID) correctQos0(channel, packet.topicId);
    return;
  }
  const exchange = find(channel, packet.messageId);
  if (exchange === undefined || exchange.released) return;
  switch (packet.returnCode) {
    case p.ACCEPTED:
      if (exchange.delivery.qos === 1) finish(channel, exchange, "done", now);
      return;
    case p.INVALID_TOPIC_ID:
      correctTopicId(channel, exchange, now);
      return;
    case p.CONGESTION:
      // The repeat will ask again; the message is not lost.
      return;
    default:
      if (exchange.duplicate && packet.returnCode === p.NOT_SUPPORTED) {
        // There are clients that do not know DUP. What they have refused they have not got: it is new to them.
        exchange.plain = true;
        exchange.dueAt = channel.retryLater(now);
        sendExchange(channel, exchange, now);
        return;
      }
      channel.host.note({
        level: "info",
        event: "rejected-by-client",
        detail: { topic: exchange.delivery.topic },
      });
      finish(channel, exchange, "dead", now);
      return;
  }
}

/** A client that neither answers REGISTER nor knows what it was told there does not want this name (§6.10). */
function correctQos0(channel: MqttSnChannel, topicId: number): void {
  const { topics, setup } = channel;
  if (topics?.isAssumed(topicId) !== true) topics?.forgotten(topicId);
  else if (++channel.rejections > setup.config.retries) topics.refused(topicId);
  else topics.forgotten(topicId);
}

/** The id is unknown to the client: a normal one is announced anew and the message sent again (§6.10). */
function correctTopicId(channel: MqttSnChannel, exchange: Exchange, now: Instant): void {
  const { delivery, topicIdType, topicId } = exchange;
  if (channel.announcement !== undefined) return;
  // A client that goes on rejecting what it has itself registered gets no further.
  if (++channel.rejections > channel.setup.config.retries) {
    if (channel.topics?.isAssumed(topicId) === true) channel.topics.refused(topicId);
    finish(channel, exchange, "dead", now);
    return;
  }
  close(channel, exchange);
  if (topicIdType === p.NORMAL) channel.topics?.forgotten(topicId);
  if (topicIdType === p.PREDEFINED) channel.predefinedInUse?.delete(topicId);
  register(channel, delivery, now);
  endFlush(channel, now);
}

export function receivePubrec(channel: MqttSnChannel, packet: p.MessageAck, now: Instant): void {
  const exchange = find(channel, packet.messageId);
  if (exchange !== undefined && exchange.delivery.qos === 2 && !exchange.released) {
    exchange.released = true;
    exchange.repeats = 0;
    exchange.ignored = 0;
    exchange.sentAt = now;
    exchange.dueAt = channel.retryLater(now);
    if (channel.client?.received(exchange.delivery.id) === "pending") return;
  }
  // Also for an id that is not ours: it ends the client's wait.
  channel.send(encodeMessageAck(p.PUBREL, packet.messageId));
}

export function receivePubcomp(channel: MqttSnChannel, packet: p.MessageAck, now: Instant): void {
  const exchange = find(channel, packet.messageId);
  if (exchange?.released === true) finish(channel, exchange, "done", now);
}

function finish(channel: MqttSnChannel, exchange: Exchange, outcome: "done" | "dead", now: Instant): void {
  close(channel, exchange);
  channel.rejections = 0;
  channel.client?.settle(exchange.delivery.id, outcome);
  endFlush(channel, now);
}
