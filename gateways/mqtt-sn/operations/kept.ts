/** Answers that promise something of a session which outlives its connection: they wait until the store has it. */
import type { PublishAnswer, SubscribeAnswer } from "#core/contract/answers.ts";
import type { Instant } from "#core/lib/time.ts";
import type { MqttSnChannel } from "../channel.ts";
import { encodeBare, encodeMessageAck, encodeReturnCode, encodeTopicAck } from "../encode.ts";
import * as p from "../packets.ts";
import { keptTicket, ticketMessageId, ticketTopicId, ticketType } from "../tickets.ts";
import { welcome } from "./connect.ts";
import { settleAnnouncement } from "./register.ts";

/** `CONNACK`: its message id is the number of the connect, so that an earlier one is told apart. */
export type KeptAnswer =
  | typeof p.CONNACK
  | typeof p.REGACK
  | typeof p.PUBREC
  | typeof p.PUBCOMP
  | typeof p.UNSUBACK
  | typeof p.WILLTOPICRESP
  | typeof p.WILLMSGRESP
  | typeof p.DISCONNECT;

/** Answers now, or when all that the store was told is committed; a session that ends with its channel waits for nothing. */
export function answerOnceKept(
  channel: MqttSnChannel,
  type: KeptAnswer,
  messageId: number,
  now: Instant,
  topicId = 0,
): void {
  const { client } = channel;
  const ticket = keptTicket(type, topicId, messageId);
  const durable =
    client !== undefined && ((client.sessionExpiry ?? 0) > 0 || client.expectedUntil !== undefined);
  // Too many are due: this one is not answered, and asked for again (§6.13).
  if (durable && channel.asked >= channel.setup.config.inboundMax) return;
  if (durable && client.kept(ticket, 0) === "pending") channel.asked++;
  else give(channel, ticket, now);
}

/** A client whose request could not be kept hears nothing, and asks again; but it gets in. */
export function keptAnswered(
  channel: MqttSnChannel,
  ticket: number,
  answer: PublishAnswer | SubscribeAnswer,
  now: Instant,
): void {
  if (answer === "accepted" || ticketType(ticket) === p.CONNACK) give(channel, ticket, now);
}

function give(channel: MqttSnChannel, ticket: number, now: Instant): void {
  const type = ticketType(ticket) as KeptAnswer;
  const messageId = ticketMessageId(ticket);
  switch (type) {
    case p.CONNACK:
      welcome(channel, messageId, now);
      return;
    case p.REGACK:
      channel.topics?.learnt(ticketTopicId(ticket));
      channel.send(encodeTopicAck(type, ticketTopicId(ticket), messageId, p.ACCEPTED));
      settleAnnouncement(channel, ticketTopicId(ticket), now);
      return;
    case p.WILLTOPICRESP:
    case p.WILLMSGRESP:
      channel.send(encodeReturnCode(type, p.ACCEPTED));
      return;
    case p.DISCONNECT:
      channel.send(encodeBare(type));
      return;
    default:
      channel.send(encodeMessageAck(type, messageId));
  }
}
