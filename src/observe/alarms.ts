/** What an operator has to know now: conditions that hold until they are over, and those that were. */
import { hours, type Instant } from "../lib/time.ts";
import type { Log } from "./log.ts";

export type Severity = "warning" | "error" | "critical";

export interface OperatorAlarm {
  /** One of a name is raised at one time: `high-cpu`, `disk-nearly-full`. */
  readonly name: string;
  readonly severity: Severity;
  /** One sentence, with the fix where there is one. */
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly raisedAt: Instant;
  readonly clearedAt?: Instant;
  /** Who has cleared it, where that was not its condition. */
  readonly clearedBy?: string;
}

export type NewAlarm = Pick<OperatorAlarm, "severity" | "message"> & {
  readonly details?: OperatorAlarm["details"];
};

/** Alarms that are over are remembered so many, and so long. */
const HISTORY_MAX = 1_000;
const HISTORY_TIME = hours(24);

/** Told of each alarm as it is raised and cleared. */
export type AlarmListener = (event: "raised" | "cleared", alarm: OperatorAlarm) => void;

export class OperatorAlarms {
  readonly #log: Log;
  readonly #now: () => Instant;
  readonly #active = new Map<string, OperatorAlarm>();
  /** Cleared by hand while their condition holds: not raised again before it was over. */
  readonly #silenced = new Set<string>();
  readonly #listeners = new Set<AlarmListener>();
  #history: OperatorAlarm[] = [];

  constructor(log: Log, now: () => Instant) {
    this.#log = log;
    this.#now = now;
  }

  listen(listener: AlarmListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Those that are raised, the oldest first. */
  get active(): readonly OperatorAlarm[] {
    return [...this.#active.values()];
  }

  /** Those that are over, the latest first. */
  get history(): readonly OperatorAlarm[] {
    this.#forgetOld();
    return [...this.#history].reverse();
  }

  /** Its condition holds. Said once; what is raised already takes the new message and details. */
  raise(name: string, { severity, message, details = {} }: NewAlarm): void {
    if (this.#silenced.has(name)) return;
    const before = this.#active.get(name);
    const alarm = { name, severity, message, details, raisedAt: before?.raisedAt ?? this.#now() };
    this.#active.set(name, alarm);
    if (before !== undefined) return;
    const level = severity === "warning" ? "warn" : "error";
    this.#log[level]("alarm", { alarm: name, severity, ...details }, message);
    for (const listener of this.#listeners) listener("raised", alarm);
  }

  /** Its condition is over. */
  clear(name: string): void {
    this.#silenced.delete(name);
    this.#end(name, undefined);
  }

  /** Somebody has seen it; it comes again when its condition has been over in between. False when there is none. */
  dismiss(name: string, by: string): boolean {
    if (!this.#active.has(name)) return false;
    this.#silenced.add(name);
    this.#end(name, by);
    return true;
  }

  forgetHistory(): void {
    this.#history = [];
  }

  #end(name: string, clearedBy: string | undefined): void {
    const alarm = this.#active.get(name);
    if (alarm === undefined) return;
    this.#active.delete(name);
    const over = { ...alarm, clearedAt: this.#now(), ...(clearedBy === undefined ? {} : { clearedBy }) };
    this.#history.push(over);
    this.#forgetOld();
    this.#log.info("alarm-over", { alarm: name, ...(clearedBy === undefined ? {} : { by: clearedBy }) });
    for (const listener of this.#listeners) listener("cleared", over);
  }

  #forgetOld(): void {
    const oldest = this.#now() - HISTORY_TIME;
    const from = this.#history.findIndex(({ clearedAt = 0 }) => clearedAt >= oldest);
    const kept = from < 0 ? [] : this.#history.slice(from);
    this.#history = kept.slice(-HISTORY_MAX);
  }
}

/** A number with a mark above which its alarm is raised, and a lower one below which it is over. */
export interface Watermark extends NewAlarm {
  readonly name: string;
  /** Now; undefined where it cannot be told. */
  measure(): number | undefined;
  readonly high: number;
  readonly low: number;
}

/** Looks at each, and raises and clears. A watermark whose measure fails is left as it is. */
export function watch(alarms: OperatorAlarms, marks: readonly Watermark[]): void {
  for (const { name, measure, high, low, severity, message } of marks) {
    let value: number | undefined;
    try {
      value = measure();
    } catch {
      continue;
    }
    if (value === undefined) continue;
    if (value >= high) alarms.raise(name, { severity, message, details: { value, above: high } });
    else if (value <= low) alarms.clear(name);
  }
}
