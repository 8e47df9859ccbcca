/** Tickets that say themselves what they ask for, so that nothing has to be kept until the answer comes. */
import type { Ticket } from "#core/contract/answers.ts";
import { CONNACK } from "./packets.ts";

const TOPIC = 2 ** 16;
const QOS = 2 ** 32;
const SUBSCRIBES = 2 ** 40;
const KEEPS = 2 ** 41;
const TYPE = 2 ** 32;

export const publishTicket = (qos: number, topicId: number, messageId: number): Ticket =>
  qos * QOS + topicId * TOPIC + messageId;
export const subscribeTicket = (topicId: number, messageId: number): Ticket =>
  SUBSCRIBES + topicId * TOPIC + messageId;

/** Of what nobody is told about. */
export const UNASKED: Ticket = -1;

const FLUSHES = 2 ** 20;
/** Below all others: whether all that waited has been handed out, for the flush of this number. */
export const flushTicket = (flush: number): Ticket => UNASKED - 1 - (flush % FLUSHES);
export const isFlushTicket = (ticket: Ticket): boolean => ticket < UNASKED;

/** The answer to be given has this message type. */
export const keptTicket = (type: number, topicId: number, messageId: number): Ticket =>
  KEEPS + type * TYPE + topicId * TOPIC + messageId;

export const isSubscribeTicket = (ticket: Ticket): boolean => ticket >= SUBSCRIBES && ticket < KEEPS;
export const isKeptTicket = (ticket: Ticket): boolean => ticket >= KEEPS;
export const isConnackTicket = (ticket: Ticket): boolean =>
  isKeptTicket(ticket) && ticketType(ticket) === CONNACK;
export const ticketType = (ticket: Ticket): number => Math.floor((ticket - KEEPS) / TYPE);
export const ticketQos = (ticket: Ticket): number => Math.floor(ticket / QOS) & 3;
export const ticketTopicId = (ticket: Ticket): number => Math.floor(ticket / TOPIC) & 0xffff;
export const ticketMessageId = (ticket: Ticket): number => ticket & 0xffff;
