import { type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import type { Instant } from "../lib/time.ts";

/** The one thing that is to happen next if nothing else does before. Made at the first use. */
export class Due {
  readonly #alarms: Alarms;
  #alarm: CallbackAlarm | undefined = undefined;
  #run: (() => void) | undefined = undefined;

  constructor(alarms: Alarms) {
    this.#alarms = alarms;
  }

  /** Instead of what was to happen before. */
  at(due: Instant, run: () => void): void {
    this.#run = run;
    this.#alarm ??= new CallbackAlarm(() => {
      const ready = this.#run;
      this.#run = undefined;
      ready?.();
    });
    this.#alarms.arm(this.#alarm, due);
  }

  cancel(): void {
    this.#run = undefined;
    if (this.#alarm !== undefined) this.#alarms.disarm(this.#alarm);
  }
}
