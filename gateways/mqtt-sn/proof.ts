/**
 * Asks an address that has proven nothing for something that nobody can answer who has not read the question. MQTT-SN 1.2
 * has no message for that, but each client answers REGISTER with the topic id and the MsgId that it was told (§5.4.11):
 * both are drawn at random, 32 bits a question, which is a proof; after a wrong guess it takes a second one
 * (RFC 9175 §2.4, §4).
 */
import type { ChannelHost } from "#core/contract/channel.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { after, type Instant, NEVER } from "#core/lib/time.ts";
import type { Downstream } from "./downstream.ts";
import { encodedLength, encodeRegister, REGISTER_FIXED } from "./encode.ts";
import * as p from "./packets.ts";

/** A name that no client uses: what matters is the answer. */
const NAME = utf8("$");
const LENGTH = encodedLength(REGISTER_FIXED + NAME.length);
const BITS = 32;
const QUESTIONS = 2;
/** Questions that a client may leave without an answer; many never answer REGISTER. */
const UNANSWERED_MAX = 8;

export class Proof {
  readonly #of: Downstream;
  readonly #isInUse: (messageId: number) => boolean;
  /** The question that waits for its answer. */
  #topicId = 0;
  #messageId = 0;
  #unanswered = 0;
  /** It could not be asked yet. */
  unsent = false;
  /** When to ask again. */
  dueAt: Instant = NEVER;

  constructor(of: Downstream, isInUse: (messageId: number) => boolean) {
    this.#of = of;
    this.#isInUse = isInUse;
  }

  get asking(): boolean {
    return this.#topicId !== 0;
  }

  /** The client is there, and does not answer: it is sent no more than its own messages allow. */
  get hopeless(): boolean {
    return this.#unanswered >= UNANSWERED_MAX;
  }

  /**
   * Whether so many octets may be sent. What the client acknowledges pays for the questions that may have to follow; else
   * there must be room for them.
   */
  affords(length: number, answered: boolean): boolean {
    const { host, wrapping } = this.#of;
    const reserve = answered || this.hopeless ? 0 : QUESTIONS * (LENGTH + wrapping);
    return length + wrapping + reserve <= host.reachability.allowance;
  }

  /** Asks the question that waits, or a new one, as soon as it is not too long for what is left. */
  ask(now: Instant): void {
    const { host, wrapping, setup } = this.#of;
    while (!this.#isFree(this.#topicId)) this.#topicId = random16(host);
    while (this.#messageId === 0 || this.#isInUse(this.#messageId)) this.#messageId = random16(host);
    this.dueAt = after(now, setup.config.retryInterval);
    this.unsent = host.reachability.allowance < LENGTH + wrapping;
    if (this.unsent) return;
    this.#unanswered++;
    this.#of.send(encodeRegister(this.#topicId, this.#messageId, NAME));
  }

  /** With any return code: that it was read is what counts. */
  isAnswer({ topicId, messageId }: p.TopicAck): boolean {
    return this.asking && messageId === this.#messageId && topicId === this.#topicId;
  }

  /** It was answered; true when that proves the address. */
  take(): boolean {
    this.forget();
    return this.#of.host.reachability.evidence(BITS);
  }

  /** Of a client that has not answered for so long that nothing is asked of it any more. */
  giveUp(): void {
    this.forget();
    this.#unanswered = UNANSWERED_MAX;
  }

  forget(): void {
    this.#topicId = 0;
    this.#messageId = 0;
    this.#unanswered = 0;
    this.dueAt = NEVER;
  }

  /** An id that means nothing to the client yet. */
  #isFree(topicId: number): boolean {
    const { topics, setup, client } = this.#of;
    const named = topics.nameOf(topicId) ?? setup.predefined.nameOf(topicId, client.id);
    return topicId !== 0 && topicId <= p.TOPIC_ID_MAX && named === undefined;
  }
}

function random16(host: ChannelHost): number {
  const [high = 0, low = 0] = host.random(2);
  return (high << 8) | low;
}
