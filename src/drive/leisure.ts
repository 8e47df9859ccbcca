import { type Alarm, type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import { after, type Duration, type Instant } from "../lib/time.ts";

/** Answers of one listener that may wait at a time. */
const WAITING_MAX = 1000;

/**
 * Answers to what was sent to a group. Each leaves after a random time, so that not all who heard the question speak at
 * once (RFC 7252 §8.2); one at a time for each sender.
 */
export class Leisure {
  readonly #alarms: Alarms;
  readonly #random: (length: number) => Uint8Array;
  readonly #waiting = new Map<string, Alarm>();

  constructor(alarms: Alarms, random: (length: number) => Uint8Array) {
    this.#alarms = alarms;
    this.#random = random;
  }

  /** False when there is no room, or the sender has an answer coming. */
  keep(sender: string, now: Instant, most: Duration, say: () => void): boolean {
    if (this.#waiting.size >= WAITING_MAX || this.#waiting.has(sender)) return false;
    const [high = 0, low = 0] = this.#random(2);
    const alarm = new CallbackAlarm(() => {
      this.#waiting.delete(sender);
      say();
    });
    this.#waiting.set(sender, alarm);
    this.#alarms.arm(alarm, after(now, ((most * (high * 256 + low)) / 0x10000) as Duration));
    return true;
  }

  /** Nothing is said any more. */
  close(): void {
    for (const alarm of this.#waiting.values()) this.#alarms.disarm(alarm);
    this.#waiting.clear();
  }
}
