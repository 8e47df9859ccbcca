import { type Instant, NEVER } from "./time.ts";

/** Something that happens at a deadline. It is its own node in the timer wheel: arming allocates nothing. */
export abstract class Alarm {
  due: Instant = NEVER;
  /** The wheel's own: slot and neighbours; -1 while not armed. */
  slot = -1;
  before: Alarm | undefined = undefined;
  after: Alarm | undefined = undefined;

  get armed(): boolean {
    return this.slot >= 0;
  }

  abstract fire(now: Instant): void;
}

/** Where alarms are set. */
export interface Alarms {
  /** Sets or moves; `NEVER` disarms. */
  arm(alarm: Alarm, due: Instant): void;
  disarm(alarm: Alarm): void;
}

/** An alarm that calls a function, for things of which there are few. */
export class CallbackAlarm extends Alarm {
  readonly #run: (now: Instant) => void;

  constructor(run: (now: Instant) => void) {
    super();
    this.#run = run;
  }

  override fire(now: Instant): void {
    this.#run(now);
  }
}
