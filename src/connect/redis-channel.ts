/** What is published on a channel of Redis, heard over a connection of its own: one that listens takes no other commands. */
import { guarded } from "../lib/guarded.ts";
import { connectRedis, type RedisConnection, type RedisPlace } from "../lib/redis.ts";
import type { Duration } from "../lib/time.ts";
import { within } from "./within.ts";

interface Parts {
  readonly channel: string;
  /** Tried in turn: each node of a cluster passes on what is published. */
  readonly places: readonly RedisPlace[];
  readonly retry: { readonly first: Duration; readonly longest: Duration };
  heard(payload: Uint8Array): void;
}

export class RedisChannel {
  /** What is published now is heard. */
  listening = false;
  readonly #parts: Parts;
  readonly #closed = new AbortController();
  #connection: RedisConnection | undefined = undefined;
  #opening: Promise<RedisConnection> | undefined = undefined;
  #pause: NodeJS.Timeout | undefined = undefined;
  /** Since it last listened. */
  #attempts = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Listens from the first time on, and asks the server for a sign of life: a channel where nobody says anything looks like
   * one that is gone. What does not answer in time is left, and tried anew. Throws what is wrong.
   */
  async check(signal: AbortSignal): Promise<void> {
    try {
      await within(
        signal,
        this.#open().then((connection) => connection.ping()),
      );
    } catch (error) {
      this.#connection?.disconnect();
      throw error;
    }
  }

  #open(): Promise<RedisConnection> {
    clearTimeout(this.#pause);
    this.#opening ??= this.#listen();
    return this.#opening;
  }

  async #listen(): Promise<RedisConnection> {
    const { channel, places, heard } = this.#parts;
    try {
      const place = places[this.#attempts % places.length]!;
      const connection = await connectRedis(place, (socket) => void guarded(socket), this.#closed.signal);
      this.#connection = connection;
      connection.on("messageBuffer", (_channel: Buffer, payload: Buffer) => heard(payload));
      await connection.subscribe(channel);
      connection.once("end", () => this.#lost());
      this.#attempts = 0;
      this.listening = true;
      return connection;
    } catch (error) {
      this.#connection?.disconnect();
      this.#lost();
      throw error;
    }
  }

  /** Redis keeps nothing for who does not listen: the sooner it does again, the less it misses. */
  #lost(): void {
    this.listening = false;
    this.#connection = undefined;
    this.#opening = undefined;
    if (this.#closed.signal.aborted) return;
    const { first, longest } = this.#parts.retry;
    const bound = Math.min(longest, first * 2 ** Math.min(this.#attempts++, 30));
    this.#pause = setTimeout(
      () => void this.#open().catch(() => {}),
      bound / 2 + (Math.random() * bound) / 2,
    );
    this.#pause.unref();
  }

  close(): void {
    this.#closed.abort();
    clearTimeout(this.#pause);
    this.#connection?.disconnect();
  }
}
