import { Message } from "../../bus/message.ts";
import { GATEWAYS_OWN } from "../../bus/topic.ts";
import { text as textOf, utf8 } from "../../lib/bytes.ts";
import { type Clock, FOREVER, seconds as inSeconds } from "../../lib/time.ts";
import { NOBODY } from "../exchange.ts";
import type { Pool } from "../pool.ts";
import type { DeviceMemory } from "./memory.ts";

/** `#` does not reach it [MQTT-4.7.2-1]. */
export const DEVICES = `${GATEWAYS_OWN}devices/`;

/** Retained messages at the cluster, over the gateway's own connections. */
export class RetainedMemory implements DeviceMemory {
  readonly shared = true;
  readonly #pool: Pool;
  readonly #clock: Clock;

  constructor(pool: Pool, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
  }

  find(key: string, found: (text: string | "unavailable" | undefined) => void): void {
    const answered = (answer: readonly Message[] | string): void => {
      const message = typeof answer === "string" ? undefined : answer[0];
      found(typeof answer === "string" ? "unavailable" : message && textOf(message.payload));
    };
    const answer = this.#pool.lookUp(key, topicOf(key), 1, answered);
    if (answer !== "pending") answered(answer);
  }

  put(key: string, text: string, seconds: number | undefined, done: (kept: boolean) => void): void {
    const expiry = seconds === undefined ? FOREVER : inSeconds(seconds);
    const now = this.#clock.now();
    const message = new Message(topicOf(key), utf8(text), 1, true, now, undefined, expiry);
    const answered = (_: number, answer: string): void =>
      done(answer === "accepted" || answer === "no-subscribers");
    const answer = this.#pool.publish(key, message, { answered }, 0);
    if (answer !== "pending") answered(0, answer);
  }

  remove(key: string): void {
    const empty = new Message(topicOf(key), new Uint8Array(0), 1, true, this.#clock.now());
    this.#pool.publish(key, empty, NOBODY, 0);
  }

  entries(): Iterable<readonly [string, string]> {
    return [];
  }

  stop(): void {}
}

/** One level: a key may hold what no topic may. */
const topicOf = (key: string): string => DEVICES + Buffer.from(key).toString("base64url");
