import type { Refusal } from "../contract/answers.ts";
import { type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import { stackOf } from "../lib/thrown.ts";
import { after, type Duration, type Instant, inSeconds } from "../lib/time.ts";
import { type Decided, refused } from "./decided.ts";
import type { Hook, HookClient } from "./plugin.ts";
import type { Room } from "./room.ts";

/** As the configuration has it for one hook. */
export interface PluggedSettings {
  readonly name: string;
  /** Absent: all. */
  readonly gateways?: readonly string[] | undefined;
  readonly onError: "refuse" | "pass";
  readonly timeLimit: Duration;
}

/** What hooks need of their surroundings. */
export interface HooksHost {
  readonly alarms: Alarms;
  /** Reads the clock: what a promise brings comes from outside of any input. */
  tick(): Instant;
  /** What became of asking a hook, by name and member. */
  count(hook: string, member: string, result: "refused" | "dropped" | "failed" | "late" | "overflow"): void;
  note(event: string, detail: Readonly<Record<string, unknown>>): void;
  readonly room: Room;
}

type Asked = "authConnect" | "authPublish" | "authSubscribe";
export type Told = "connected" | "published" | "subscribed" | "unsubscribed" | "disconnected" | "delivered";

export const isPromise = (given: unknown): given is PromiseLike<unknown> =>
  typeof given === "object" && given !== null && "then" in given && typeof given.then === "function";

/** One hook that is plugged in: asked and told what it implements, and held to its time. */
export class Plugged {
  readonly hook: Hook;
  readonly settings: PluggedSettings;
  readonly #host: HooksHost;
  /** Notifications of clients whose last one has not ended yet. */
  readonly #busy = new Map<HookClient, (() => unknown)[]>();

  constructor(hook: Hook, settings: PluggedSettings, host: HooksHost) {
    this.hook = hook;
    this.settings = settings;
    this.#host = host;
  }

  serves(gateway: string): boolean {
    return this.settings.gateways?.includes(gateway) ?? true;
  }

  /** Asks, and reads the answer by `apply`, which throws where that makes no sense. `unchanged`: it says nothing. */
  ask<Value>(
    member: Asked,
    call: () => unknown,
    unchanged: Value,
    apply: (given: object) => Decided<Value>,
  ): Decided<Value> | Promise<Decided<Value>> {
    const read = (given: unknown): Decided<Value> => {
      if (given === undefined || given === null) return { ok: true, value: unchanged };
      if (typeof given !== "object")
        throw new TypeError(`gave ${String(given)}: nothing or an object is expected`);
      const decided = apply(given);
      if (!decided.ok) this.#refused(member, decided.refusal, decided.reason);
      return decided;
    };
    const failed = (error: unknown): Decided<Value> => this.#failed(member, error, unchanged);
    try {
      const given = call();
      if (!isPromise(given)) return read(given);
      return this.#inTime(member, given).then(read).catch(failed);
    } catch (error) {
      return failed(error);
    }
  }

  /** Tells one after the other what one client does; what does not fit into its queue is dropped, and counted. */
  tell(member: Told, client: HookClient, call: () => unknown): void {
    const waiting = this.#busy.get(client);
    if (waiting === undefined) this.#tellNow(member, client, call);
    else if (this.#host.room.take(waiting.length)) waiting.push(() => this.#attempt(member, call));
    else this.#host.count(this.settings.name, member, "overflow");
  }

  #tellNow(member: Told, client: HookClient, call: () => unknown): void {
    const running = this.#attempt(member, call);
    if (!isPromise(running)) return;
    this.#busy.set(client, []);
    void this.#drain(client, running);
  }

  async #drain(client: HookClient, running: PromiseLike<unknown>): Promise<void> {
    await running;
    const waiting = this.#busy.get(client) ?? [];
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      this.#host.room.free();
      await next();
    }
    this.#busy.delete(client);
  }

  /** Never throws, and neither does what it gives. */
  #attempt(member: Told, call: () => unknown): unknown {
    try {
      const given = call();
      if (!isPromise(given)) return undefined;
      return this.#inTime(member, given).catch((error: unknown) => this.#trouble(member, error));
    } catch (error) {
      this.#trouble(member, error);
      return undefined;
    }
  }

  /** Its answer, or a failure when the time is over; an answer that comes later is not looked at. */
  #inTime(member: Asked | Told, given: PromiseLike<unknown>): Promise<unknown> {
    const { timeLimit, name } = this.settings;
    return new Promise((resolve, reject) => {
      const alarm = new CallbackAlarm(() => {
        this.#host.count(name, member, "late");
        reject(new Error(`no answer within ${inSeconds(timeLimit)} s`));
      });
      this.#host.alarms.arm(alarm, after(this.#host.tick(), timeLimit));
      const end = (): void => this.#host.alarms.disarm(alarm);
      given.then(
        (value) => {
          end();
          resolve(value);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
    });
  }

  #refused(member: Asked, refusal: Refusal | "dropped", reason: string): void {
    this.#host.count(this.settings.name, member, refusal === "dropped" ? refusal : "refused");
    if (refusal === "dropped") return;
    this.#host.note("hook-refused", { hook: this.settings.name, member, reason });
  }

  #failed<Value>(member: Asked, error: unknown, unchanged: Value): Decided<Value> {
    this.#trouble(member, error);
    if (this.settings.onError === "pass") return { ok: true, value: unchanged };
    return refused("unavailable", `hook ${this.settings.name} failed`);
  }

  #trouble(member: Asked | Told, error: unknown): void {
    const { name } = this.settings;
    this.#host.count(name, member, "failed");
    this.#host.note("hook-failed", {
      hook: name,
      member,
      error: stackOf(error),
    });
  }
}
