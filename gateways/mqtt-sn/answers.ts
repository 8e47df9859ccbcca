/**
 * Answers to the client's requests that are due: those that the bus has not given yet, and those that promise something
 * of a session which outlives its connection, and wait until the store has it.
 */

import type { Answer, Pending, Ticket } from "#core/contract/answers.ts";
import type { Instant } from "#core/lib/time.ts";
import type { Connection } from "./connection.ts";
import { encodeBare, encodeMessageAck, encodeReturnCode, encodeTopicAck } from "./encode.ts";
import * as p from "./packets.ts";
import { keptTicket, ticketMessageId, ticketTopicId, ticketType } from "./tickets.ts";

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

/** What was asked for has been done; a filter that was not subscribed is as good as unsubscribed. */
export const isDone = (answer: Answer): boolean =>
  answer === "accepted" || answer === "unsubscribed" || answer === "no-subscription";

export class Answers {
  readonly #connection: Connection;
  #asked = 0;
  /** QoS 2 ids among them: their repeats must not be answered yet. */
  #asked2: number[] | undefined = undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** So many are due that no further request is taken. */
  get full(): boolean {
    return this.#asked >= this.#connection.setup.config.inboundMax;
  }

  /** A request whose answer comes later. */
  await(): void {
    this.#asked++;
  }

  came(): void {
    // Not one of a connection before, which nobody counts any more.
    if (this.#asked > 0) this.#asked--;
  }

  awaitReceipt(messageId: number): void {
    this.#asked++;
    this.#asked2 ??= [];
    this.#asked2.push(messageId);
  }

  receiptCame(messageId: number): void {
    this.#asked2 = this.#asked2?.filter((each) => each !== messageId);
  }

  awaitsReceipt(messageId: number): boolean {
    return this.#asked2?.includes(messageId) === true;
  }

  /**
   * Whether it may be given now; else it is due when all that the store was told is committed. A session that ends with
   * its connection waits for nothing.
   */
  isKept(type: KeptAnswer, topicId: number, messageId: number): boolean {
    const { client } = this.#connection;
    const durable = (client.sessionExpiry ?? 0) > 0 || client.expectedUntil !== undefined;
    if (!durable) return true;
    // Too many are due: this one is not answered, and asked for again (§6.13).
    if (this.full) return false;
    if (client.kept(keptTicket(type, topicId, messageId), 0) !== "pending") return true;
    this.#asked++;
    return false;
  }

  /** Gives it now, or once it is kept. */
  give(type: KeptAnswer, messageId: number, now: Instant, topicId = 0): void {
    if (this.isKept(type, topicId, messageId)) this.#send(type, topicId, messageId, now);
  }

  /** Gives it once the core has done what `ask` asks for: now, or under the ticket. */
  giveDone(
    type: KeptAnswer,
    messageId: number,
    ask: (ticket: Ticket) => Answer | Pending,
    now: Instant,
  ): void {
    if (this.full) return;
    const answer = ask(keptTicket(type, 0, messageId));
    if (answer === "pending") this.#asked++;
    else if (isDone(answer)) this.#send(type, 0, messageId, now);
  }

  /** It is kept. */
  giveKept(ticket: number, now: Instant): void {
    this.#send(ticketType(ticket) as KeptAnswer, ticketTopicId(ticket), ticketMessageId(ticket), now);
  }

  #send(type: KeptAnswer, topicId: number, messageId: number, now: Instant): void {
    const { topics, downlink } = this.#connection;
    switch (type) {
      case p.REGACK:
        topics.learnt(topicId);
        this.#connection.send(encodeTopicAck(type, topicId, messageId, p.ACCEPTED));
        downlink.taught(topicId, now);
        return;
      case p.CONNACK:
      case p.WILLTOPICRESP:
      case p.WILLMSGRESP:
        this.#connection.send(encodeReturnCode(type, p.ACCEPTED));
        return;
      case p.DISCONNECT:
        this.#connection.send(encodeBare(type));
        return;
      default:
        this.#connection.send(encodeMessageAck(type, messageId));
    }
  }
}
