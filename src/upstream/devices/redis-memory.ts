/** A Redis server, or Valkey. */
import { lastingRedis, type RedisConnection, type RedisPlace } from "../../lib/redis.ts";
import type { DeviceMemory } from "./memory.ts";

export interface RedisMemoryOptions {
  readonly place: RedisPlace;
  /** Before each key. */
  readonly prefix: string;
  /** Commands that may wait for their answers; one more is not sent. */
  readonly waiting: number;
}

export class RedisMemory implements DeviceMemory {
  readonly shared = true;
  readonly #options: RedisMemoryOptions;
  /** Reads the clock: called where an answer comes in. */
  readonly #tick: () => void;
  #connection: Promise<RedisConnection> | undefined = undefined;
  #waiting = 0;

  constructor(options: RedisMemoryOptions, tick: () => void) {
    this.#options = options;
    this.#tick = tick;
  }

  find(key: string, found: (text: string | "unavailable" | undefined) => void): void {
    this.#ask(
      (redis) => redis.get(this.#options.prefix + key),
      (text) => found(text ?? undefined),
      () => found("unavailable"),
    );
  }

  put(key: string, text: string, seconds: number | undefined, done: (kept: boolean) => void): void {
    const name = this.#options.prefix + key;
    this.#ask(
      (redis) => (seconds === undefined ? redis.set(name, text) : redis.set(name, text, "EX", seconds)),
      () => done(true),
      () => done(false),
    );
  }

  remove(key: string): void {
    const nothing = (): void => {};
    this.#ask((redis) => redis.del(this.#options.prefix + key), nothing, nothing);
  }

  entries(): Iterable<readonly [string, string]> {
    return [];
  }

  stop(): void {
    void this.#connection?.then((redis) => redis.disconnect()).catch(() => {});
  }

  #ask<T>(
    ask: (redis: RedisConnection) => Promise<T>,
    answered: (answer: T) => void,
    failed: () => void,
  ): void {
    if (this.#waiting >= this.#options.waiting) {
      failed();
      return;
    }
    this.#waiting++;
    this.#connection ??= lastingRedis(this.#options.place);
    const over = (run: () => void): void => {
      this.#waiting--;
      this.#tick();
      run();
    };
    this.#connection.then(ask).then(
      (answer) => over(() => answered(answer)),
      () => over(failed),
    );
  }
}
