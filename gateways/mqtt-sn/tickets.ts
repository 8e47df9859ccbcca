/** Tickets that say themselves what they ask for, so that nothing has to be kept until the answer comes. */
import type { Ticket } from "#core/gateway/contract.ts";

const TOPIC = 2 ** 16;
const QOS = 2 ** 32;
const SUBSCRIBES = 2 ** 40;

export const publishTicket = (qos: number, topicId: number, messageId: number): Ticket =>
  qos * QOS + topicId * TOPIC + messageId;
export const subscribeTicket = (topicId: number, messageId: number): Ticket =>
  SUBSCRIBES + topicId * TOPIC + messageId;

export const isSubscribeTicket = (ticket: Ticket): boolean => ticket >= SUBSCRIBES;
export const ticketQos = (ticket: Ticket): number => Math.floor(ticket / QOS) & 3;
export const ticketTopicId = (ticket: Ticket): number => Math.floor(ticket / TOPIC) & 0xffff;
export const ticketMessageId = (ticket: Ticket): number => ticket & 0xffff;
