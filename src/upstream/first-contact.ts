import { CallbackAlarm } from "../lib/alarm.ts";
import { after, type Instant } from "../lib/time.ts";
import type { ReasonCode } from "../mqtt/reason-codes.ts";
import type { UpstreamContext } from "./context.ts";
import { blamesServer } from "./reasons.ts";
import { NO_SERVER } from "./reconnect-policy.ts";

/** Why the cluster has not let the gateway in. */
export interface NoContact {
  readonly why: string;
  /** A server refuses the gateway's own name and password. */
  readonly refused: boolean;
}

/** Whether the cluster lets the gateway itself in when it starts, within `patience`. */
export class FirstContact {
  readonly #context: UpstreamContext;
  readonly #alarm = new CallbackAlarm(() => this.#end({ why: this.#why, refused: false }));
  #done: ((problem: NoContact | undefined) => void) | undefined;
  /** What came of the last try. */
  #why = "no server has answered";

  /** `done` is called once, and not within this call. */
  constructor(context: UpstreamContext, now: Instant, done: (problem: NoContact | undefined) => void) {
    this.#context = context;
    this.#done = done;
    context.alarms.arm(this.#alarm, after(now, context.options.patience));
  }

  made(): void {
    this.#end(undefined);
  }

  /** There will be another try. */
  missed(why: string): void {
    if (why !== NO_SERVER) this.#why = why;
  }

  refused(reason: ReasonCode): void {
    const why = `CONNACK 0x${reason.toString(16)}`;
    if (blamesServer(reason)) this.missed(why);
    else this.#end({ why, refused: true });
  }

  cancel(): void {
    this.#done = undefined;
    this.#context.alarms.disarm(this.#alarm);
  }

  #end(problem: NoContact | undefined): void {
    const done = this.#done;
    this.cancel();
    done?.(problem);
  }
}
