import { MergedOutput } from "../net/merged-output.ts";
import type { StreamReceiver } from "../net/transport.ts";

/** The way out of one connection to a server. */
export class Wire extends MergedOutput {
  /** The transport takes no more for now. */
  full = false;

  protected override filled(): void {
    this.full = true;
  }

  /** Sends what is there, then the end of the stream. */
  end(): void {
    if (this.closed) return;
    this.flush();
    this.closed = true;
    this.connection.end();
  }

  destroy(): void {
    if (this.closed) return;
    this.drop();
    this.connection.destroy();
  }
}

/** Whom a connection tells what comes of it; those of an earlier one say so too. */
export interface WireUser {
  bytes(wire: Wire, bytes: Uint8Array): void;
  room(wire: Wire): void;
  lost(wire: Wire, error: string | undefined): void;
}

export class WireReceiver implements StreamReceiver {
  readonly #user: WireUser;
  readonly #wire: Wire;

  constructor(user: WireUser, wire: Wire) {
    this.#user = user;
    this.#wire = wire;
  }

  received(bytes: Uint8Array): void {
    this.#user.bytes(this.#wire, bytes);
  }

  drained(): void {
    this.#user.room(this.#wire);
  }

  ended(): void {
    this.#user.lost(this.#wire, undefined);
  }

  closed(error?: string): void {
    this.#user.lost(this.#wire, error);
  }
}
