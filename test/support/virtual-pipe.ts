import type { Peer } from "#core/contract/peer.ts";
import type { StreamConnection, StreamReceiver } from "#core/net/transport.ts";

/** One end of a connection between two parts of a virtual world: what is written here is read there, later. */
class PipeEnd implements StreamConnection {
  readonly peer: Peer;
  receiver: StreamReceiver | undefined = undefined;
  other!: PipeEnd;
  readonly #defer: (run: () => void) => void;
  readonly #inbox: Uint8Array[] = [];
  #paused = false;
  #finished = false;
  #closed = false;

  constructor(peer: Peer, defer: (run: () => void) => void) {
    this.peer = peer;
    this.#defer = defer;
  }

  readonly backlog = 0;

  write(bytes: Uint8Array, written?: () => void): boolean {
    const copy = new Uint8Array(bytes);
    written?.();
    if (!this.#closed) this.#defer(() => this.other.#arrive(copy));
    return true;
  }

  pauseReading(): void {
    this.#paused = true;
  }

  resumeReading(): void {
    this.#paused = false;
    this.#defer(() => this.#pump());
  }

  end(): void {
    this.#close(undefined);
  }

  destroy(): void {
    this.#close(undefined);
  }

  /** Both ends find the connection broken. */
  cut(error: string): void {
    this.#close(error);
  }

  #close(error: string | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    const receiver = this.receiver;
    this.receiver = undefined;
    receiver?.closed(error);
    this.#defer(() => this.other.#finish(error));
  }

  #arrive(bytes: Uint8Array): void {
    this.#inbox.push(bytes);
    this.#pump();
  }

  /** The other end has ended: behind what it has sent. */
  #finish(error: string | undefined): void {
    if (this.#closed) return;
    if (error !== undefined) this.#inbox.length = 0;
    this.#finished = true;
    this.#pump(error);
  }

  #pump(error?: string): void {
    while (!this.#paused && this.#inbox.length > 0 && this.receiver !== undefined) {
      this.receiver.received(this.#inbox.shift() as Uint8Array);
    }
    if (!this.#finished || this.#inbox.length > 0 || this.#closed) return;
    this.#closed = true;
    const receiver = this.receiver;
    this.receiver = undefined;
    receiver?.closed(error);
  }
}

/** Two ends. */
export function virtualPipe(a: Peer, b: Peer, defer: (run: () => void) => void): [PipeEnd, PipeEnd] {
  const ends: [PipeEnd, PipeEnd] = [new PipeEnd(a, defer), new PipeEnd(b, defer)];
  ends[0].other = ends[1];
  ends[1].other = ends[0];
  return ends;
}

export type { PipeEnd };
