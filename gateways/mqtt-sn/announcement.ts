/** Our REGISTER that waits for its REGACK, and the message that waits for both (MQTT-SN 1.2 §6.10, §6.13). */
import type { Delivery } from "#core/contract/delivery.ts";
import { utf8 } from "#core/lib/bytes.ts";
import { after, type Instant, NEVER } from "#core/lib/time.ts";
import type { Downstream } from "./downstream.ts";
import { encodeRegister } from "./encode.ts";

/** So often a client may say something else than REGACK. It may have missed the question. */
const IGNORED_MAX = 2;

/**
 * What becomes of one that is not answered: it was sent again, it waits for a sign of life, or it never will be: the
 * client is there, and many simple ones do not know this message.
 */
export type Fate = "repeated" | "waits" | "ignored";

export class Announcement {
  readonly delivery: Delivery;
  readonly topicId: number;
  readonly messageId: number;
  /** `NEVER`: all repeats were in vain, and a sign of life is awaited. */
  dueAt: Instant = NEVER;
  readonly #of: Downstream;
  #repeats = 0;
  #sentAt: Instant;
  /** How often the client was heard after it, and had not answered. */
  #ignored = 0;

  constructor(of: Downstream, delivery: Delivery, topicId: number, messageId: number, now: Instant) {
    this.#of = of;
    this.delivery = delivery;
    this.topicId = topicId;
    this.messageId = messageId;
    this.#sentAt = now;
    this.#send(now);
  }

  /** `dueAt` has come. */
  repeat(now: Instant): Fate {
    if (this.#of.heardAt > this.#sentAt) this.#ignored++;
    if (this.#repeats < this.#of.setup.config.retries) return this.#again(now);
    if (this.#ignored >= IGNORED_MAX) return "ignored";
    this.dueAt = NEVER;
    return "waits";
  }

  /** A sign of life after all repeats, which was no REGACK. */
  askAgain(now: Instant): Fate {
    if (++this.#ignored >= IGNORED_MAX) return "ignored";
    this.#repeats = 0;
    return this.#again(now);
  }

  /** After a sleep it is asked anew. */
  askAfterSleep(now: Instant): Fate {
    if (++this.#ignored > IGNORED_MAX) return "ignored";
    this.#repeats = 0;
    this.#send(now);
    return "repeated";
  }

  #again(now: Instant): Fate {
    this.#repeats++;
    this.#of.setup.counters.retries.value++;
    this.#send(now);
    return "repeated";
  }

  #send(now: Instant): void {
    this.#sentAt = now;
    this.dueAt = after(now, this.#of.setup.config.retryInterval);
    this.#of.send(encodeRegister(this.topicId, this.messageId, utf8(this.delivery.topic)));
  }
}
