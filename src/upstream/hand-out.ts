import type { Ticket } from "../contract/answers.ts";
import { CallbackAlarm } from "../lib/alarm.ts";
import { after, type Instant } from "../lib/time.ts";
import type { Link } from "../mqtt/client/link.ts";
import type { UpstreamContext } from "./context.ts";

/** A client that wants to hear that nothing waits for it any more. */
interface Waiting {
  readonly asker: { answered(ticket: Ticket, answer: "accepted"): void };
  readonly ticket: Ticket;
  /** How many had arrived when PINGREQ was sent; -1: it was not. */
  arrivedAtPing: number;
}

export interface HandOutHost {
  readonly link: Link | undefined;
  /** Nothing waits here, and nothing is with the device. */
  readonly idle: boolean;
  pinged(): void;
}

/**
 * Finds out whether a server has handed out all that it had: it answers PINGREQ behind what it had to send before, but
 * for some that send a moment later, so after that comes a silence.
 */
export class HandOut {
  readonly #context: UpstreamContext;
  readonly #host: HandOutHost;
  #waiting: Waiting | undefined = undefined;
  #arrived = 0;

  constructor(context: UpstreamContext, host: HandOutHost) {
    this.#context = context;
    this.#host = host;
  }

  get open(): boolean {
    return this.#waiting !== undefined;
  }

  ask(asker: Waiting["asker"], ticket: Ticket, now: Instant): "pending" {
    this.#waiting = { asker, ticket, arrivedAtPing: -1 };
    this.look(now);
    return "pending";
  }

  forget(): void {
    this.#waiting = undefined;
  }

  arrived(): void {
    this.#arrived++;
  }

  /** The connection is gone, and with it the question. */
  cut(): void {
    if (this.#waiting !== undefined) this.#waiting.arrivedAtPing = -1;
  }

  /** Something has changed: the server may be asked now. */
  look(now: Instant): void {
    const waiting = this.#waiting;
    const { link, idle } = this.#host;
    if (waiting === undefined || link === undefined || waiting.arrivedAtPing >= 0 || !idle) return;
    waiting.arrivedAtPing = this.#arrived;
    link.ping(now);
    this.#host.pinged();
  }

  ponged(now: Instant): void {
    const waiting = this.#waiting;
    if (waiting === undefined || waiting.arrivedAtPing < 0) return;
    const { quiet } = this.#context.options;
    if (quiet === 0) {
      this.#judge(waiting, now);
      return;
    }
    const alarm = new CallbackAlarm((due) => {
      if (this.#waiting === waiting) this.#judge(waiting, due);
    });
    this.#context.alarms.arm(alarm, after(now, quiet));
  }

  #judge(waiting: Waiting, now: Instant): void {
    const more = waiting.arrivedAtPing !== this.#arrived;
    waiting.arrivedAtPing = -1;
    if (more) {
      this.look(now);
      return;
    }
    this.#waiting = undefined;
    waiting.asker.answered(waiting.ticket, "accepted");
  }
}
