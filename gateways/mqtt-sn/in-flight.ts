/** A QoS 1 or 2 message that has been sent and is not acknowledged (MQTT-SN 1.2 §6.6, §6.13). Its MsgId is the delivery's id. */
import type { Delivery } from "#core/contract/delivery.ts";
import { after, type Instant, NEVER } from "#core/lib/time.ts";
import type { Downstream } from "./downstream.ts";
import { encodedLength, encodeMessageAck, encodePublish, PUBLISH_FIXED } from "./encode.ts";
import * as p from "./packets.ts";

/** Rounds of repeats that a client leaves without an answer while it says other things; it is not going to. */
const ROUNDS = 4;

export class InFlight {
  readonly delivery: Delivery;
  readonly topicIdType: p.TopicIdType;
  readonly topicId: number;
  /** QoS 2: PUBREC has come, PUBCOMP is awaited. */
  released = false;
  /** `NEVER`: all repeats were in vain, and a sign of life is awaited. */
  dueAt: Instant = NEVER;
  /** The last one sent had DUP. */
  duplicate: boolean;
  /** The client has refused DUP. */
  plain = false;
  /** The last repeat was too long for what an unproven address may be sent. */
  unsent = false;
  readonly #of: Downstream;
  #repeats = 0;
  #sentAt: Instant;
  /** How often the client was heard after it, and had not answered. */
  #ignored = 0;

  constructor(of: Downstream, delivery: Delivery, topicIdType: p.TopicIdType, topicId: number, now: Instant) {
    this.#of = of;
    this.delivery = delivery;
    this.topicIdType = topicIdType;
    this.topicId = topicId;
    this.duplicate = delivery.duplicate;
    this.released = delivery.stage === "release";
    this.#sentAt = now;
  }

  /** Octets that it has on the wire. */
  get length(): number {
    return encodedLength(this.released ? 2 : PUBLISH_FIXED + this.delivery.message.payload.length);
  }

  /** With no DUP of ours, the first time. */
  send(now: Instant): void {
    const { delivery, topicIdType, topicId, duplicate } = this;
    const { qos, retain, id, message } = delivery;
    this.wait(now);
    this.#of.send(
      this.released
        ? encodeMessageAck(p.PUBREL, id)
        : encodePublish(duplicate, qos, retain, topicIdType, topicId, id, message.payload),
    );
  }

  sendAgain(now: Instant): void {
    this.duplicate = !this.plain;
    this.send(now);
  }

  /** What is due next of it is due one retry interval from now. */
  wait(now: Instant): void {
    this.#sentAt = now;
    this.dueAt = after(now, this.#of.setup.config.retryInterval);
  }

  /** The client has taken a step, or has just come: it is asked as often as anew. */
  startOver(now: Instant, stepped = false): void {
    this.#repeats = 0;
    if (stepped) this.#ignored = 0;
    this.wait(now);
  }

  /** Counts that the client was heard after it, and has not answered; true when it never will. */
  isIgnored(): boolean {
    if (this.#of.heardAt > this.#sentAt) this.#ignored++;
    return this.#ignored >= ROUNDS * Math.max(1, this.#of.setup.config.retries);
  }

  /** Whether a repeat is left. */
  mayRepeat(): boolean {
    if (this.#repeats >= this.#of.setup.config.retries) return false;
    this.#repeats++;
    this.#of.setup.counters.retries.value++;
    return true;
  }
}
