/** Server-sent events (WHATWG HTML §9.2): what is live, for who reads as fast as it comes and for who does not. */
import type { ServerResponse } from "node:http";

/** How often a stream with nothing to say says so. */
const HEARTBEAT_MS = 15_000;
/** Bytes that wait for a slow reader at most; events beyond it are dropped, and it is told how many. */
const BACKLOG_MAX = 256 * 1024;
/** A reader who has taken nothing for so long is cut off. */
const STALL_MS = 60_000;

/** One reader. */
export interface EventStream {
  /** Every event that came with `id` can be asked for again by who reconnects, where the route keeps them. */
  send(event: string, data: unknown, id?: string | number): boolean;
  /** What the reader has seen last (`Last-Event-ID`). */
  readonly lastEventId: string | undefined;
  /** The reader is behind: what comes now would be dropped. */
  readonly full: boolean;
  readonly dropped: number;
  /** When it is no longer. */
  onDrain: (() => void) | undefined;
  close(): void;
}

export class SentEvents implements EventStream {
  readonly lastEventId: string | undefined;
  readonly #to: ServerResponse;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #renew: () => void;
  onDrain: (() => void) | undefined = undefined;
  #dropped = 0;
  #untold = 0;
  #stalledSince: number | undefined = undefined;
  #ended = false;

  /** `renew` is called as long as the reader takes what it is sent. */
  constructor(to: ServerResponse, lastEventId: string | undefined, renew: () => void) {
    this.#to = to;
    this.lastEventId = lastEventId;
    this.#renew = renew;
    to.on("drain", this.#drained);
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
    // So that a reader sees an open stream, and proxies pass it on.
    to.write(": open\n\n");
  }

  get full(): boolean {
    return this.#to.writableLength > BACKLOG_MAX;
  }

  get dropped(): number {
    return this.#dropped;
  }

  send(event: string, data: unknown, id?: string | number): boolean {
    if (this.#ended) return false;
    if (this.full) {
      this.#dropped++;
      this.#untold++;
      this.#stalledSince ??= performance.now();
      return false;
    }
    if (this.#untold > 0) this.#tell();
    // JSON has no line breaks of its own.
    this.#to.write(
      `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`,
    );
    return true;
  }

  close(): void {
    if (this.#ended) return;
    this.ended();
    this.#to.end();
  }

  /** The reader has gone. */
  ended(): void {
    this.#ended = true;
    this.onDrain = undefined;
    clearInterval(this.#heartbeat);
    this.#to.off("drain", this.#drained);
  }

  readonly #drained = (): void => {
    this.#stalledSince = undefined;
    if (this.#untold > 0) this.#tell();
    this.onDrain?.();
  };

  #tell(): void {
    const events = this.#untold;
    this.#untold = 0;
    this.#to.write(`event: dropped\ndata: ${JSON.stringify({ events })}\n\n`);
  }

  #beat(): void {
    if (this.#stalledSince !== undefined && performance.now() - this.#stalledSince > STALL_MS) {
      this.ended();
      this.#to.destroy();
      return;
    }
    if (this.#to.writableLength > 0) {
      this.#stalledSince ??= performance.now();
      return;
    }
    this.#renew();
    this.#to.write(": still here\n\n");
  }
}
