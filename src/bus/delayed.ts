import { type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import { Memory } from "../lib/memory.ts";
import type { Instant } from "../lib/time.ts";
import type { Asker, Commits } from "./commits.ts";
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

export interface DelayedParts {
  readonly alarms: Alarms;
  readonly limits: DelayedLimits;
  /** Their time has come. `taken`: what is responsible for the message now is somebody else's matter. */
  readonly publish: (message: Message, taken: () => void) => void;
  readonly journal?: DelayedJournal | undefined;
  /** Present when a store keeps what is acknowledged. */
  readonly commits?: Commits | undefined;
  readonly memory?: Memory | undefined;
}

/** Messages that are published later: `$delayed/<seconds>/<topic>`. */
export class DelayedMessages {
  readonly #parts: DelayedParts;
  readonly #memory: Memory;
  #waiting = 0;
  #bytes = 0;

  constructor(parts: DelayedParts) {
    this.#parts = parts;
    this.#memory = parts.memory ?? new Memory();
  }

  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Somebody waits to hear that it waits: at QoS 1 and 2 when it is kept, where anything is. `since`: the store's count
   * of writes from which on the answer has to wait, when that is before this call; -1 when it is not.
   */
  ask(
    message: Message,
    due: Instant,
    asker: Asker,
    ticket: number,
    since: number,
  ): "accepted" | "quota" | "unavailable" | "pending" {
    const { commits } = this.#parts;
    if (message.qos > 0 && commits?.failing === true) return "unavailable";
    const writes = since >= 0 ? since : (commits?.writes ?? 0);
    if (!this.add(message, due)) return "quota";
    if (commits === undefined || message.qos === 0 || commits.writes === writes) return "accepted";
    commits.await(asker, ticket, "accepted", writes);
    return "pending";
  }

  /** False when as many wait as may. */
  add(message: Message, due: Instant): boolean {
    const { limits, journal } = this.#parts;
    if (this.#waiting >= limits.messages) return false;
    if (this.#bytes + message.weight > limits.bytes) return false;
    if (this.#memory.refuses) return false;
    const kept = message.kept();
    journal?.delayed(kept, due);
    this.restore(kept, due);
    return true;
  }

  /** Waits again for what a store had kept. */
  restore(message: Message, due: Instant): void {
    this.#waiting++;
    this.#bytes += message.weight;
    this.#memory.take(message);
    const { alarms, publish } = this.#parts;
    alarms.arm(
      new CallbackAlarm((now) => {
        // Its life may have been shorter than its delay [MQTT-3.3.2-5].
        if (message.expiresAt > now) publish(message, () => this.#over(message));
        else this.#over(message);
      }),
      due,
    );
  }

  #over(message: Message): void {
    this.#waiting--;
    this.#bytes -= message.weight;
    this.#memory.give(message);
    this.#parts.journal?.released(message);
  }
}

/** The longest delay, in seconds: 49 days, as other brokers have it. */
const DELAY_MAX_SECONDS = 4_294_967;

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
