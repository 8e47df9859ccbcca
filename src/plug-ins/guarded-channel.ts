import type { Answer, RetainedAnswer, ServerWords, Ticket } from "../contract/answers.ts";
import type { Channel, ChannelHost, StopReason } from "../contract/channel.ts";
import type { Client, ConnectAnswer } from "../contract/client.ts";
import type { Delivery } from "../contract/delivery.ts";
import { after, type Instant, milliseconds, NEVER } from "../lib/time.ts";
import type { Supervision } from "./supervision.ts";

const INPUTS = [
  "receive",
  "deliver",
  "answered",
  "connected",
  "wake",
  "stop",
  "closed",
  "deadline",
  "status",
  "describe",
] as const;

/** A deadline that has passed wakes at most once in this time: a plug-in that asks for it again and again waits. */
const WAKE_PERIOD = milliseconds(1);

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";

/**
 * A plug-in's channel. What an input throws goes on to the loop, which closes this channel alone; what takes too long is
 * noted, and beyond the plug-in's patience closes it too. What is only asked never throws.
 */
export class GuardedChannel implements Channel {
  /** As the plug-in made it. */
  readonly channel: Channel;
  readonly #host: ChannelHost;
  readonly #supervision: Supervision;
  #wokenAt: Instant | undefined = undefined;
  #failed = false;

  /** Throws where it is no channel. */
  constructor(channel: Channel, host: ChannelHost, supervision: Supervision) {
    for (const input of INPUTS) {
      if (typeof channel?.[input] !== "function") throw new TypeError(`its channel has no function ${input}`);
    }
    this.channel = channel;
    this.#host = host;
    this.#supervision = supervision;
  }

  receive(bytes: Uint8Array, now: Instant): void {
    this.#input("receive", () => this.channel.receive(bytes, now));
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    this.#input("deliver", () => this.channel.deliver(client, delivery, now));
  }

  answered(ticket: Ticket, answer: Answer, now: Instant, words?: ServerWords): void {
    this.#input("answered", () => this.channel.answered(ticket, answer, now, words));
  }

  found(ticket: Ticket, answer: RetainedAnswer, now: Instant): void {
    this.#input("found", () => this.channel.found?.(ticket, answer, now));
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    this.#input("connected", () => this.channel.connected(ticket, answer, now));
  }

  wake(now: Instant): void {
    this.#wokenAt = now;
    this.#input("wake", () => this.channel.wake(now));
  }

  stop(reason: StopReason, now: Instant, client?: Client, words?: ServerWords): void {
    this.#input("stop", () => this.channel.stop(reason, now, client, words));
  }

  closed(now: Instant): void {
    this.#input("closed", () => this.channel.closed(now));
  }

  deadline(): Instant {
    if (this.#failed) return NEVER;
    try {
      const deadline = this.channel.deadline();
      if (typeof deadline !== "number" || Number.isNaN(deadline)) {
        throw new TypeError(`its deadline is ${String(deadline)}: a time, or NEVER`);
      }
      const woken = this.#wokenAt;
      return woken !== undefined && deadline <= woken ? after(woken, WAKE_PERIOD) : deadline;
    } catch (error) {
      this.#failed = true;
      this.#supervision.failed("deadline", error);
      this.#host.close("internal error");
      return NEVER;
    }
  }

  get buffered(): number {
    const bytes = this.#supervision.run("buffered", () => this.channel.buffered, 0);
    return typeof bytes === "number" && bytes > 0 ? bytes : 0;
  }

  status(client: Client, now: Instant): string {
    return this.#supervision.run("status", () => String(this.channel.status(client, now)), "unknown");
  }

  describe(client: Client, now: Instant): object {
    return this.#supervision.run("describe", () => ({ ...this.channel.describe(client, now) }), {});
  }

  #input(name: string, run: () => unknown): void {
    const supervision = this.#supervision;
    supervision.enter();
    let tooLong = false;
    try {
      const result = run();
      if (isPromise(result)) {
        // What it rejects with has nobody else to go to.
        result.then(undefined, (error: unknown) => supervision.failed(name, error));
        throw new TypeError(`its ${name} returned a promise: a channel acts before it returns`);
      }
    } finally {
      tooLong = supervision.leave(name);
    }
    if (tooLong) this.#host.close("the plug-in took too long");
  }
}
