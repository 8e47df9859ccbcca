/** TLS with pre-shared keys that somebody else holds: what names a key is held back until its holder has been asked. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { ClientFlight } from "./psk-identities.ts";
import type { AskForKey } from "./transport.ts";

/** TLS 1.3 lets a client name as many as it likes: this many are asked for on one connection. */
const ASKED_MAX = 4;
/** A fatal alert `internal_error` (RFC 5246 §7.2): in clear, as all is before keys are agreed on. */
const INTERNAL_ERROR = Uint8Array.of(21, 3, 3, 0, 2, 2, 80);

/**
 * Lies between a socket and its TLS. Node wants a key the moment that it sees the identity, and waits for nobody; so it
 * gets to see the identity only when the key is here. Client and server do not notice, but for the time that it takes.
 */
export class KeyWait extends Duplex {
  readonly #socket: Socket;
  readonly #ask: AskForKey;
  readonly #failed: (problem: string) => void;
  readonly #keys = new Map<string, Uint8Array | undefined>();
  /** Undefined once nothing can name a key any more: bytes pass as they are. */
  #flight: ClientFlight | undefined = new ClientFlight();
  #waiting = false;

  /** `failed`: whoever holds keys cannot be asked, so the handshake cannot go on. */
  constructor(socket: Socket, ask: AskForKey, failed: (problem: string) => void) {
    super();
    this.#socket = socket;
    this.#ask = ask;
    this.#failed = failed;
    // The end of the client's stream is for TLS to answer, as it is on a socket of its own.
    socket.allowHalfOpen = true;
    socket.on("data", (bytes: Buffer) => this.#received(bytes));
    socket.on("end", () => this.#ended());
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
  }

  /** The key of an identity that this client has named. */
  keyOf(identity: string): Uint8Array | undefined {
    return this.#keys.get(identity);
  }

  /** The handshake is over: no key is kept. */
  forget(): void {
    this.#keys.clear();
  }

  override _read(): void {
    if (!this.#waiting) this.#socket.resume();
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(bytes, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.forget();
    this.#socket.destroy();
    done(error);
  }

  #received(bytes: Buffer): void {
    if (this.#flight === undefined) {
      if (!this.push(bytes)) this.#socket.pause();
      return;
    }
    this.#flight.take(bytes);
    this.#pass();
  }

  /** Lets records go on to TLS, up to the next that names a key which is not here. */
  #pass(): void {
    const flight = this.#flight;
    if (flight === undefined) return;
    for (let record = flight.next(); record !== undefined; record = flight.next()) {
      const { bytes } = record;
      const unknown = record.identities.filter((identity) => !this.#keys.has(identity));
      const asked = unknown.slice(0, Math.max(0, ASKED_MAX - this.#keys.size));
      if (asked.length > 0) {
        this.#waiting = true;
        this.#socket.pause();
        void this.#learn(asked, bytes);
        return;
      }
      if (!this.push(bytes)) this.#socket.pause();
    }
    if (flight.over) this.#flight = undefined;
  }

  async #learn(identities: readonly string[], bytes: Buffer): Promise<void> {
    try {
      for (const identity of identities) this.#keys.set(identity, await this.#ask(identity));
    } catch (error) {
      if (this.destroyed) return;
      this.#socket.write(INTERNAL_ERROR);
      this.#failed((error as Error).message);
      return;
    }
    if (this.destroyed) {
      this.forget();
      return;
    }
    this.#waiting = false;
    this.push(bytes);
    this.#pass();
    if (!this.#waiting) this.#socket.resume();
  }

  #ended(): void {
    // Half a handshake has nothing to answer.
    if (this.#flight !== undefined) this.destroy();
    else this.push(null);
  }
}
