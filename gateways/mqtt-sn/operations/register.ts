/** Topic registration in both directions (MQTT-SN 1.2 §6.5, §6.10). */

import { topicNameProblem } from "#core/bus/topic.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { text, utf8 } from "#core/lib/bytes.ts";
import { earliest, type Instant, NEVER } from "#core/lib/time.ts";
import type { MqttSnChannel } from "../channel.ts";
import { encodeRegister, encodeTopicAck } from "../encode.ts";
import { remember } from "../memo.ts";
import * as p from "../packets.ts";
import { Topics } from "../topics.ts";
import { answerOnceKept } from "./kept.ts";
import { discard, publishTo, sendWaiting } from "./publish-out.ts";
import { endFlush } from "./sleep.ts";

/** Our REGISTER that waits for its REGACK, and the message that waits for both. */
export interface Announcement {
  readonly delivery: Delivery;
  readonly topicId: number;
  readonly messageId: number;
  repeats: number;
  /** `NEVER`: all repeats were in vain, and a sign of life is awaited. */
  dueAt: Instant;
  sentAt: Instant;
  /** How often the client was heard after it, and had not answered. */
  ignored: number;
}

/** So often a client may say something else than REGACK. It may have missed the question. */
const IGNORED_MAX = 2;

export function receiveRegister(channel: MqttSnChannel, packet: p.Register, now: Instant): void {
  const { topicIdsMax, sleep } = channel.setup.config;
  const name = text(packet.topic);
  const sleeping = channel.state !== "active" && sleep.publish === "refuse";
  if (sleeping || name === undefined || topicNameProblem(name) !== undefined) {
    channel.send(encodeTopicAck(p.REGACK, 0, packet.messageId, p.NOT_SUPPORTED));
    return;
  }
  const topicId = assignId(channel, name, topicIdsMax);
  if (topicId === 0) {
    channel.send(encodeTopicAck(p.REGACK, 0, packet.messageId, p.CONGESTION));
    return;
  }
  // The device uses the id for as long as its session lives: it must not come to mean another topic.
  answerOnceKept(channel, p.REGACK, packet.messageId, now, topicId);
}

/** The normal id of a name, a new one if need be; 0 when the client has too many. */
export function assignId(channel: MqttSnChannel, name: string, limit: number): number {
  channel.topics ??= new Topics();
  const before = channel.topics.names.length;
  const topicId = channel.topics.assign(name, limit);
  if (channel.topics.names.length > before) remember(channel);
  return topicId;
}

/** Tells the client an id before the first PUBLISH that uses it. What comes behind waits, so order is kept. */
export function announce(channel: MqttSnChannel, delivery: Delivery, topicId: number, now: Instant): void {
  channel.announcement = {
    delivery,
    topicId,
    messageId: delivery.id === 0 ? freeMessageId(channel) : delivery.id,
    repeats: 0,
    dueAt: channel.retryLater(now),
    sentAt: now,
    ignored: 0,
  };
  channel.client?.credit(0);
  sendRegister(channel, channel.announcement);
}

/** An id that no exchange of ours uses; deliveries at QoS 0 have none of their own. */
function freeMessageId(channel: MqttSnChannel): number {
  // Small ones: there are clients that echo the lower octet only.
  let messageId = 1;
  while (channel.exchanges.some((exchange) => exchange.delivery.id === messageId)) messageId++;
  return messageId;
}

function sendRegister(channel: MqttSnChannel, { delivery, topicId, messageId }: Announcement): void {
  channel.send(encodeRegister(topicId, messageId, utf8(delivery.topic)));
}

export function receiveRegack(channel: MqttSnChannel, packet: p.TopicAck, now: Instant): void {
  const { announcement } = channel;
  if (announcement === undefined || announcement.messageId !== packet.messageId) return;
  const accepted = packet.returnCode === p.ACCEPTED;
  if (accepted && packet.topicId !== announcement.topicId) return;
  if (accepted) {
    channel.topics?.learnt(announcement.topicId);
    if (announcement.delivery.id === 0) channel.rejections = 0;
    publishAnnounced(channel, announcement, now);
    return;
  }
  // The same as an unsubscribe from this one name (§6.10).
  channel.announcement = undefined;
  channel.topics?.refused(announcement.topicId);
  channel.setup.counters.refusedTopics.value++;
  discard(channel, announcement.delivery);
  sendWaiting(channel, now);
  endFlush(channel, now);
}

function publishAnnounced(channel: MqttSnChannel, { delivery, topicId }: Announcement, now: Instant): void {
  channel.announcement = undefined;
  publishTo(channel, delivery, p.NORMAL, topicId, now);
  sendWaiting(channel, now);
  endFlush(channel, now);
}

/** The client has just asked for this id itself, by SUBSCRIBE or REGISTER: it needs no REGACK to know it. */
export function settleAnnouncement(channel: MqttSnChannel, topicId: number, now: Instant): void {
  const { announcement, state } = channel;
  if (announcement?.topicId !== topicId || (state !== "active" && state !== "awake")) return;
  publishAnnounced(channel, announcement, now);
}

export function repeatRegister(channel: MqttSnChannel, now: Instant): void {
  const { announcement } = channel;
  if (announcement === undefined) return;
  if (announcement.dueAt > now) {
    channel.retryAt = earliest(channel.retryAt, announcement.dueAt);
    return;
  }
  if (channel.heardAt > announcement.sentAt) announcement.ignored++;
  if (announcement.repeats < channel.setup.config.retries) repeatAnnouncement(channel, announcement, now);
  else if (channel.state !== "active") channel.unanswered(now);
  else if (announcement.ignored < IGNORED_MAX) announcement.dueAt = NEVER;
  else goOnWithoutRegack(channel, announcement, now);
}

function repeatAnnouncement(channel: MqttSnChannel, announcement: Announcement, now: Instant): void {
  announcement.repeats++;
  channel.setup.counters.retries.value++;
  announcement.sentAt = now;
  announcement.dueAt = channel.retryLater(now);
  sendRegister(channel, announcement);
}

/** A sign of life after all repeats, which was no REGACK. */
export function askForRegack(channel: MqttSnChannel, now: Instant): void {
  const { announcement } = channel;
  if (announcement === undefined) return;
  if (++announcement.ignored >= IGNORED_MAX) {
    goOnWithoutRegack(channel, announcement, now);
    return;
  }
  announcement.repeats = 0;
  repeatAnnouncement(channel, announcement, now);
}

/**
 * The client is there and never answers REGISTER: many simple ones do not know this message. The id counts as told;
 * a client that has not understood says so with PUBACK, and is asked anew (§6.10).
 */
function goOnWithoutRegack(channel: MqttSnChannel, announcement: Announcement, now: Instant): void {
  const { topicId, delivery } = announcement;
  channel.host.note({ level: "info", event: "register-not-answered", detail: { topic: delivery.topic } });
  channel.topics?.assumed(topicId);
  publishAnnounced(channel, announcement, now);
}

/** After a sleep: the REGISTER that was not answered is asked anew. */
export function announceAgain(channel: MqttSnChannel, now: Instant): void {
  const { announcement } = channel;
  if (announcement === undefined) return;
  if (++announcement.ignored > IGNORED_MAX) {
    goOnWithoutRegack(channel, announcement, now);
    return;
  }
  announcement.repeats = 0;
  announcement.sentAt = now;
  announcement.dueAt = channel.retryLater(now);
  sendRegister(channel, announcement);
}
