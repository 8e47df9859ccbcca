import { CallbackAlarm } from "../lib/alarm.ts";
import { after, earliest, type Instant, NEVER } from "../lib/time.ts";
import type { Link } from "../mqtt/client/link.ts";
import type { UpstreamContext } from "./context.ts";

export interface BacklogHost {
  readonly link: Link | undefined;
  pinged(): void;
  /** What comes now was published just now. */
  caughtUp(): void;
}

/**
 * Since when what a server hands out may have waited there: MQTT says of no message when it was published. All that
 * waited has come when nothing comes any more though the server could send: it has answered PINGREQ behind the connect or
 * behind an acknowledgement, and then there was a silence.
 */
export class Backlog {
  readonly #context: UpstreamContext;
  readonly #host: BacklogHost;
  #since: Instant | undefined = undefined;
  #arrived = 0;
  /** How many had arrived when PINGREQ was sent; -1: it was not. */
  #arrivedAtPing = -1;
  /** Something was acknowledged behind it. */
  #again = false;
  #silence: CallbackAlarm | undefined = undefined;

  constructor(context: UpstreamContext, host: BacklogHost) {
    this.#context = context;
    this.#host = host;
  }

  /** Undefined: what comes was published just now. */
  get since(): Instant | undefined {
    return this.#since;
  }

  /** Nobody was here to be handed what was published from then on. */
  begin(from: Instant): void {
    this.#since = earliest(this.#since ?? NEVER, from);
    this.#arrivedAtPing = -1;
    if (this.#silence !== undefined) this.#context.alarms.disarm(this.#silence);
  }

  /** There is none, or nobody asks. */
  forget(): void {
    this.#since = undefined;
  }

  arrived(): void {
    this.#arrived++;
  }

  /** Connected, or something was acknowledged: the server sends what more it has. */
  look(now: Instant): void {
    const { link } = this.#host;
    if (this.#since === undefined || link === undefined) return;
    if (this.#arrivedAtPing >= 0) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#arrivedAtPing = this.#arrived;
    link.ping(now);
    this.#host.pinged();
  }

  ponged(now: Instant): void {
    if (this.#since === undefined || this.#arrivedAtPing < 0) return;
    const { quiet } = this.#context.options;
    if (quiet === 0) {
      this.#judge(now);
      return;
    }
    this.#silence ??= new CallbackAlarm((due) => this.#judge(due));
    if (!this.#silence.armed) this.#context.alarms.arm(this.#silence, after(now, quiet));
  }

  #judge(now: Instant): void {
    const more = this.#arrivedAtPing !== this.#arrived;
    this.#arrivedAtPing = -1;
    // What has come is looked at when it is acknowledged.
    if (this.#again) this.look(now);
    else if (!more) {
      this.#since = undefined;
      this.#host.caughtUp();
    }
  }
}
