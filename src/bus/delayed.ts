import { type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import { Memory } from "../lib/memory.ts";
import type { Instant } from "../lib/time.ts";
import type { Message } from "./message.ts";

export interface DelayedLimits {
  /** Messages that may wait at one time. */
  readonly messages: number;
  /** Bytes that they may weigh together. */
  readonly bytes: number;
}

export interface DelayedJournal {
  delayed(message: Message, due: Instant): void;
  released(message: Message): void;
}

/** Messages that are published later: `$delayed/<seconds>/<topic>`. */
export class DelayedMessages {
  readonly #alarms: Alarms;
  readonly #limits: DelayedLimits;
  readonly #publish: (message: Message) => void;
  readonly #journal: DelayedJournal | undefined;
  readonly #memory: Memory;
  #waiting = 0;
  #bytes = 0;

  constructor(
    alarms: Alarms,
    limits: DelayedLimits,
    publish: (message: Message) => void,
    journal?: DelayedJournal,
    memory = new Memory(),
  ) {
    this.#memory = memory;
    this.#alarms = alarms;
    this.#limits = limits;
    this.#publish = publish;
    this.#journal = journal;
  }

  get waiting(): number {
    return this.#waiting;
  }

  add(message: Message, due: Instant): boolean {
    if (this.#waiting >= this.#limits.messages) return false;
    if (this.#bytes + message.weight > this.#limits.bytes) return false;
    if (this.#memory.refuses) return false;
    const kept = message.kept();
    this.#journal?.delayed(kept, due);
    this.restore(kept, due);
    return true;
  }

  /** Waits again for what a store had kept. */
  restore(message: Message, due: Instant): void {
    this.#waiting++;
    this.#bytes += message.weight;
    this.#memory.take(message);
    this.#alarms.arm(
      new CallbackAlarm((now) => {
        this.#waiting--;
        this.#bytes -= message.weight;
        this.#memory.give(message);
        // Its life may have been shorter than its delay [MQTT-3.3.2-5].
        if (message.expiresAt > now) this.#publish(message);
        this.#journal?.released(message);
      }),
      due,
    );
  }
}

/** The longest delay, in seconds: 49 days, as other brokers have it. */
export const DELAY_MAX_SECONDS = 4_294_967;

/** The topic that is meant: behind `$delayed/<seconds>/` the one that follows. */
export function meantTopic(topic: string): string {
  const delayed = parseDelayedTopic(topic);
  return typeof delayed === "object" ? delayed.topic : topic;
}

/** Reads `$delayed/<seconds>/<topic>`; undefined when the topic is an ordinary one. */
export function parseDelayedTopic(
  topic: string,
): { seconds: number; topic: string } | "malformed" | undefined {
  if (!topic.startsWith("$delayed/")) return undefined;
  const match = /^\$delayed\/(\d{1,7})\/(.+)$/s.exec(topic);
  const seconds = Number(match?.[1]);
  if (match === null || seconds > DELAY_MAX_SECONDS) return "malformed";
  return { seconds, topic: match[2]! };
}
