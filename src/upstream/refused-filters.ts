import { type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import { after, type Duration, type Instant, minutes, seconds } from "../lib/time.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";

/** What a server may say that cannot now and can later; MQTT 3.1.1 has one word for all (§3.9.3). */
const FOR_NOW: ReadonlySet<ReasonCode> = new Set([
  ReasonCode.unspecifiedError,
  ReasonCode.implementationSpecificError,
  ReasonCode.quotaExceeded,
]);
const FIRST = seconds(1);
const MOST = minutes(1);

/**
 * Filters that a server had and refuses for now, as a cluster does where a node of it has just died. Their client counts on
 * them and cannot be told: they are asked for again, at intervals that grow from a second to a minute.
 */
export class RefusedFilters {
  readonly #alarms: Alarms;
  /** All of them, and those that are not asked for now. */
  readonly #known = new Set<string>();
  readonly #due = new Set<string>();
  readonly #alarm: CallbackAlarm;
  #wait: Duration = FIRST;

  /** `ask` asks for one of them. */
  constructor(alarms: Alarms, ask: (filter: string, now: Instant) => void) {
    this.#alarms = alarms;
    this.#alarm = new CallbackAlarm((now) => {
      for (const filter of this.takeAll()) ask(filter, now);
    });
  }

  /** It was refused before. */
  knows(filter: string): boolean {
    return this.#known.has(filter);
  }

  /** False when it is a decision, which asking again does not change. */
  add(filter: string, reason: ReasonCode, now: Instant): boolean {
    if (!FOR_NOW.has(reason)) return false;
    this.#known.add(filter);
    this.#due.add(filter);
    if (this.#alarm.armed) return true;
    this.#alarms.arm(this.#alarm, after(now, this.#wait));
    this.#wait = Math.min(2 * this.#wait, MOST) as Duration;
    return true;
  }

  /** The server has it, or nobody wants it any more. */
  settled(filter: string): void {
    this.#due.delete(filter);
    if (!this.#known.delete(filter) || this.#known.size > 0) return;
    this.rest();
    this.#wait = FIRST;
  }

  /** Nothing is asked until `takeAll`. */
  rest(): void {
    this.#alarms.disarm(this.#alarm);
  }

  /** They are asked for now. */
  takeAll(): string[] {
    this.rest();
    const all = [...this.#due];
    this.#due.clear();
    return all;
  }
}
