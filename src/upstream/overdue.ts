import { CallbackAlarm } from "../lib/alarm.ts";
import { after, type Duration, type Instant, NEVER } from "../lib/time.ts";
import type { UpstreamContext } from "./context.ts";
import type { UpstreamOptions } from "./options.ts";

/** A server that is well may take as long as that for anything. */
export const patienceOf = ({
  grace,
  pingTimeout,
}: Pick<UpstreamOptions, "grace" | "pingTimeout">): Duration => Math.max(grace, pingTimeout) as Duration;

/**
 * Asks of devices that no server answers, though one is there: after `grace` they are answered here, as they are where
 * no server can be reached. One alarm for all that waits for one connection.
 */
export class Overdue {
  readonly #context: UpstreamContext;
  readonly #giveUp: (until: Instant) => Instant;
  #alarm: CallbackAlarm | undefined = undefined;

  /** `giveUp` answers all that was asked until then, and says when the oldest of the rest was asked; `NEVER`: none is left. */
  constructor(context: UpstreamContext, giveUp: (until: Instant) => Instant) {
    this.#context = context;
    this.#giveUp = giveUp;
  }

  /** Something was asked. */
  watch(now: Instant): void {
    this.#alarm ??= new CallbackAlarm((due) => this.#look(due));
    if (!this.#alarm.armed) this.#arm(this.#alarm, now);
  }

  /** Nobody waits any more. */
  stop(): void {
    if (this.#alarm !== undefined) this.#context.alarms.disarm(this.#alarm);
  }

  #look(now: Instant): void {
    const oldest = this.#giveUp(after(now, -this.#patience as Duration));
    if (oldest !== NEVER && this.#alarm !== undefined) this.#arm(this.#alarm, oldest);
  }

  #arm(alarm: CallbackAlarm, since: Instant): void {
    this.#context.alarms.arm(alarm, after(since, this.#patience));
  }

  get #patience(): Duration {
    return patienceOf(this.#context.options);
  }
}
