import { copyOf } from "../lib/bytes.ts";
import { lendSlab, returnSlab, SLAB_SIZES } from "../lib/slabs.ts";
import type { StreamConnection } from "./transport.ts";

/** Bytes above which a packet is passed on as it is instead of being copied into the slab. */
const COPY_MAX = 8192;

/**
 * Writes are coalesced: sends fill a slab per connection, and slabs are written where that is cheapest. A
 * connection that was sent several packets while one chunk was read is written after that chunk; single packets
 * wait until all sockets that are readable in this turn of the event loop have been read.
 */
export class FlushSchedule {
  /** Sent something while the present chunk is read. */
  readonly #touched: MergedOutput[] = [];
  /** Have one packet from some earlier chunk of this turn. */
  readonly #waiting: MergedOutput[] = [];
  readonly #defer: (run: () => void) => void;
  #deferred = false;
  readonly #run = (): void => {
    this.#deferred = false;
    this.flushAll();
  };

  /** `defer` runs a function at the end of this turn of the event loop. */
  constructor(defer: (run: () => void) => void) {
    this.#defer = defer;
  }

  touch(output: MergedOutput): void {
    this.#touched.push(output);
    if (this.#deferred) return;
    this.#deferred = true;
    this.#defer(this.#run);
  }

  /** After a chunk: writes to whom it caused several packets, keeps single ones for later. */
  flushBusy(): void {
    const touched = this.#touched;
    for (let index = 0; index < touched.length; index++) {
      const output = touched[index]!;
      if (output.packets > 1) output.flush();
      else if (!output.waiting) {
        output.waiting = true;
        this.#waiting.push(output);
      }
      output.packets = 0;
    }
    touched.length = 0;
  }

  flushAll(): void {
    this.flushBusy();
    const waiting = this.#waiting;
    for (let index = 0; index < waiting.length; index++) {
      const output = waiting[index]!;
      output.waiting = false;
      output.flush();
    }
    waiting.length = 0;
  }
}

/** The way out of one connection: packets are collected in a slab that is written when it is full or flushed. */
export abstract class MergedOutput {
  readonly connection: StreamConnection;
  /** Sends while the present chunk is read. */
  packets = 0;
  /** In the schedule's list of those written at the end of the turn. */
  waiting = false;
  /** Nothing is sent any more. */
  protected closed = false;
  readonly #schedule: FlushSchedule;
  /** WebSockets keep message boundaries, so nothing is merged there. */
  readonly #merging: boolean;
  #slab: Uint8Array | undefined = undefined;
  #used = 0;
  #sizeClass = 0;
  /** Slabs that the kernel has not taken yet. */
  #lent: Uint8Array[] | undefined = undefined;

  constructor(connection: StreamConnection, schedule: FlushSchedule) {
    this.connection = connection;
    this.#schedule = schedule;
    this.#merging = connection.peer.transport === "tcp" || connection.peer.transport === "tls";
  }

  /** The connection took a write and takes no more for now. */
  protected abstract filled(): void;

  /** The bytes may be used again by the caller once this returns. */
  send(bytes: Uint8Array): void {
    if (this.closed) return;
    if (bytes.length > COPY_MAX || !this.#merging) {
      this.sendView(copyOf(bytes));
      return;
    }
    if (this.#slab !== undefined && this.#used + bytes.length > this.#slab.length) {
      this.#sizeClass = Math.min(this.#sizeClass + 1, SLAB_SIZES.length - 1);
      this.#writeSlab();
    }
    if (this.#slab === undefined) {
      while (SLAB_SIZES[this.#sizeClass]! < bytes.length) this.#sizeClass++;
      this.#slab = lendSlab(this.#sizeClass);
    }
    this.#slab.set(bytes, this.#used);
    this.#used += bytes.length;
    if (this.packets++ === 0) this.#schedule.touch(this);
  }

  /** For bytes that are never changed again. */
  sendView(bytes: Uint8Array): void {
    if (this.closed) return;
    if (this.#merging && bytes.length <= COPY_MAX) {
      this.send(bytes);
      return;
    }
    if (this.#slab !== undefined) this.#writeSlab();
    if (!this.connection.write(bytes)) this.filled();
  }

  flush(): void {
    if (this.#slab === undefined || this.closed) return;
    if (this.#sizeClass > 0 && this.#used * 8 < this.#slab.length) this.#sizeClass--;
    this.#writeSlab();
  }

  /** The connection is gone: what was not written never will be. */
  drop(): void {
    this.closed = true;
    if (this.#slab !== undefined) returnSlab(this.#slab);
    this.#slab = undefined;
  }

  #writeSlab(): void {
    const connection = this.connection;
    const slab = this.#slab!;
    const bytes = this.#used === slab.length ? slab : slab.subarray(0, this.#used);
    this.#slab = undefined;
    this.#used = 0;
    const room = connection.write(bytes);
    // The rule is that the kernel takes all at once: then no callback is needed to know when the slab is free.
    if (connection.backlog === 0) {
      returnSlab(slab);
      if (this.#lent !== undefined) this.#reclaim(this.#lent);
    } else {
      this.#lent ??= [];
      this.#lent.push(slab);
    }
    if (!room) this.filled();
  }

  #reclaim(lent: readonly Uint8Array[]): void {
    this.#lent = undefined;
    for (const slab of lent) returnSlab(slab);
  }
}
