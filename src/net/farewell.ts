import { concat, NO_BYTES, utf8 } from "../lib/bytes.ts";
import type { StreamConnection, StreamReceiver } from "./transport.ts";

/** So much of what a refused client sends is looked at. */
const FIRST_MAX = 64;

/** What a refused client is told, from the first octets that it sends; undefined while they are too few. */
export type LastWords = (first: Uint8Array) => Uint8Array | undefined;

/**
 * A connection whose client the transport has refused. It hears so in its protocol and is ended: no channel is made for
 * it, and of what it sends nothing is kept but the first octets.
 */
export class Farewell implements StreamReceiver {
  readonly #connection: StreamConnection;
  readonly #words: LastWords;
  readonly #told: () => void;
  #first: Uint8Array = NO_BYTES;

  /** `told` runs when it needs no time any more. */
  constructor(connection: StreamConnection, words: LastWords, told: () => void) {
    this.#connection = connection;
    this.#words = words;
    this.#told = told;
  }

  received(bytes: Uint8Array): void {
    this.#first = concat(this.#first, bytes.subarray(0, FIRST_MAX - this.#first.length));
    const words = this.#words(this.#first) ?? (this.#first.length < FIRST_MAX ? undefined : NO_BYTES);
    if (words === undefined) return;
    if (words.length > 0) this.#connection.write(Uint8Array.from(words));
    this.#end();
  }

  drained(): void {}

  ended(): void {
    this.#end();
  }

  closed(): void {
    this.#told();
  }

  /** From here on the connection's own time to end runs. */
  #end(): void {
    this.#told();
    this.#connection.end();
  }
}

/** What an HTTP client is told, whatever it asks. */
export const forbidden = (_first: Uint8Array, why: string): Uint8Array => {
  const body = `${why}\n`;
  return utf8(
    `HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
};
