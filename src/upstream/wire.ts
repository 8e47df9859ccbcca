import { copyOf } from "../lib/bytes.ts";
import { lendSlab, returnSlab, SLAB_SIZES } from "../lib/slabs.ts";
import type { StreamConnection } from "../net/transport.ts";

/** Bytes above which a packet is passed on as it is instead of being copied into the slab. */
const COPY_MAX = 8192;

/** Writes what connections were given to send, at the end of the turn of the event loop in which that was. */
export class FlushSchedule {
  readonly #defer: (run: () => void) => void;
  #touched: Wire[] = [];
  readonly #run = (): void => {
    const touched = this.#touched;
    this.#touched = [];
    for (const wire of touched) wire.flush();
  };

  constructor(defer: (run: () => void) => void) {
    this.#defer = defer;
  }

  touch(wire: Wire): void {
    if (this.#touched.push(wire) === 1) this.#defer(this.#run);
  }
}

/** The way out of one connection: packets are collected in a slab and written together. */
export class Wire {
  readonly connection: StreamConnection;
  /** The transport takes no more for now. */
  full = false;
  readonly #schedule: FlushSchedule;
  /** WebSockets keep message boundaries, so nothing is merged there. */
  readonly #merging: boolean;
  #slab: Uint8Array | undefined = undefined;
  #used = 0;
  #sizeClass = 0;
  /** Slabs that the kernel has not taken yet. */
  #lent: Uint8Array[] | undefined = undefined;
  #closed = false;

  constructor(connection: StreamConnection, schedule: FlushSchedule) {
    this.connection = connection;
    this.#schedule = schedule;
    const { transport } = connection.peer;
    this.#merging = transport === "tcp" || transport === "tls";
  }

  /** The bytes may be used again by the caller once this returns. */
  send(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (bytes.length > COPY_MAX || !this.#merging) {
      this.sendView(copyOf(bytes));
      return;
    }
    if (this.#slab !== undefined && this.#used + bytes.length > this.#slab.length) {
      this.#sizeClass = Math.min(this.#sizeClass + 1, SLAB_SIZES.length - 1);
      this.flush();
    }
    if (this.#slab === undefined) {
      while (SLAB_SIZES[this.#sizeClass]! < bytes.length) this.#sizeClass++;
      this.#slab = lendSlab(this.#sizeClass);
      this.#schedule.touch(this);
    }
    this.#slab.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  /** For bytes that are never changed again. */
  sendView(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.flush();
    if (!this.connection.write(bytes)) this.full = true;
  }

  flush(): void {
    const slab = this.#slab;
    if (slab === undefined || this.#closed) return;
    const bytes = this.#used === slab.length ? slab : slab.subarray(0, this.#used);
    if (this.#sizeClass > 0 && this.#used * 8 < slab.length) this.#sizeClass--;
    this.#slab = undefined;
    this.#used = 0;
    const room = this.connection.write(bytes);
    // The rule is that the kernel takes all at once: then no callback is needed to know when the slab is free.
    if (this.connection.backlog === 0) this.#reclaim(slab);
    else {
      this.#lent ??= [];
      this.#lent.push(slab);
    }
    if (!room) this.full = true;
  }

  /** Sends what is there, then the end of the stream. */
  end(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    this.connection.end();
  }

  destroy(): void {
    if (this.#closed) return;
    this.drop();
    this.connection.destroy();
  }

  /** The connection is gone: what was not written never will be. */
  drop(): void {
    this.#closed = true;
    if (this.#slab !== undefined) returnSlab(this.#slab);
    this.#slab = undefined;
  }

  #reclaim(slab: Uint8Array): void {
    returnSlab(slab);
    const lent = this.#lent;
    this.#lent = undefined;
    for (const each of lent ?? []) returnSlab(each);
  }
}
