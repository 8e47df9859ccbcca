import { arch } from "node:os";
import { systemError } from "../system/descriptor.ts";
import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from "../system/linux.ts";
import type { SystemCalls, Watching } from "../system/system-calls.ts";
import { SHARE, takeTurn } from "../turn.ts";

/** Descriptors that are told of in one call. */
const EVENTS = 256;
/** Calls before others have their turn. */
const ROUNDS = 4;
/** Bytes that are read in one call, and the calls for one descriptor before the next one has its turn. */
const READ_BYTES = 65_536;
const READS = 4;
/**
 * Where more than these have something to say, one call for each, of so many bytes: 64 KiB can hold 32,000 packets, and
 * who has one to say would wait for all of them, of everybody.
 */
const FEW = 8;
const READ_BYTES_OF_MANY = 16_384;
/** From here on what was read is handed on in the memory into which it was read: it is not worth a copy. */
const HAND_ON_BYTES = 49_152;

/** `struct epoll_event` in words: what is ready, and 64 bits of ours. It is packed on x86-64 only. */
export const [EVENT_WORDS, EVENT_DATA] = arch() === "x64" ? [3, 1] : [4, 2];

/** What is told when its descriptor is ready: EPOLLIN and its kin. */
export interface Watched {
  ready(events: number): void;
}

/** Descriptors of sockets, watched together: one call says which of them are ready (epoll(7), level-triggered). */
export class EpollSet {
  readonly calls: SystemCalls;
  readonly #set: number;
  readonly #events = new Uint32Array(new ArrayBuffer(4 * EVENT_WORDS * EVENTS));
  readonly #event = new Uint32Array(new ArrayBuffer(4 * EVENT_WORDS));
  /** By descriptor. */
  readonly #watched: (Watched | undefined)[] = [];
  /** By descriptor: its number is given again at once, and what was told of the one before is not for the next. */
  readonly #serials: number[] = [];
  #serial = 0;
  #size = 0;
  #watching: Watching | undefined;
  #read = unfilled(READ_BYTES);
  /** As many as one call may read now. */
  #most = READ_BYTES;
  /** What was told last, and how far it has been worked on. */
  #count = 0;
  #at = 0;
  #until = 0;

  constructor(calls: SystemCalls) {
    this.calls = calls;
    this.#set = calls.epoll_create1(EPOLL_CLOEXEC);
    if (this.#set < 0) throw systemError("epoll_create1", calls.error());
  }

  /** Descriptors in it. */
  get size(): number {
    return this.#size;
  }

  /** 0, or errno. */
  add(descriptor: number, events: number, watched: Watched): number {
    this.#serial = (this.#serial + 1) >>> 0;
    this.#watched[descriptor] = watched;
    this.#serials[descriptor] = this.#serial;
    const error = this.#control(EPOLL_CTL_ADD, descriptor, events);
    if (error !== 0) this.#watched[descriptor] = undefined;
    else if (this.#size++ === 0) this.#watching = this.calls.watch(this.#set, this.#turn);
    return error;
  }

  /** 0, or errno. */
  change(descriptor: number, events: number): number {
    return this.#control(EPOLL_CTL_MOD, descriptor, events);
  }

  /** Before the descriptor is closed. */
  remove(descriptor: number): void {
    this.#watched[descriptor] = undefined;
    this.#control(EPOLL_CTL_DEL, descriptor, 0);
    if (--this.#size > 0) return;
    // Nothing is left that would keep the process.
    this.#watching?.close();
    this.#watching = undefined;
  }

  /** Reads of one descriptor before the next one has its turn. */
  get reads(): number {
    return this.#most === READ_BYTES ? READS : 1;
  }

  /** Reads what there is; as recv(2) answers. `received` then has the bytes. */
  receive(descriptor: number, flags: number): number {
    return this.calls.recv(descriptor, this.#read, this.#most, flags);
  }

  /** Memory that is nobody else's, and as small as what it holds: whoever keeps a view of it keeps no more than that. */
  received(length: number): Uint8Array {
    const bytes = this.#read;
    if (length < HAND_ON_BYTES) return bytes.slice(0, length);
    this.#read = unfilled(READ_BYTES);
    return bytes.subarray(0, length);
  }

  /** Whether a read of this length may have left something. */
  isFull(length: number): boolean {
    return length === this.#most;
  }

  #control(operation: number, descriptor: number, events: number): number {
    const event = this.#event;
    event[0] = events;
    event[EVENT_DATA] = descriptor;
    event[EVENT_DATA + 1] = this.#serials[descriptor]!;
    return this.calls.epoll_ctl(this.#set, operation, descriptor, event) === 0 ? 0 : this.calls.error();
  }

  readonly #turn = (): void => {
    this.#until = performance.now() + SHARE;
    for (let round = 0; round < ROUNDS; round++) {
      if (this.#at >= this.#count && !this.#ask()) return;
      takeTurn(this.#tell);
      if (this.#at < this.#count) {
        // The rest comes first in the next turn: the kernel has put it behind all others, and it might never be reached.
        this.#watching?.again();
        return;
      }
      if (this.#count < EVENTS) return;
    }
  };

  /** False when there is nothing, for now. */
  #ask(): boolean {
    this.#at = 0;
    this.#count = Math.max(0, this.calls.epoll_wait(this.#set, this.#events, EVENTS, 0));
    this.#most = this.#count > FEW ? READ_BYTES_OF_MANY : READ_BYTES;
    return this.#count > 0;
  }

  readonly #tell = (): void => {
    const events = this.#events;
    while (this.#at < this.#count) {
      const at = EVENT_WORDS * this.#at++;
      const descriptor = events[at + EVENT_DATA]!;
      if (this.#serials[descriptor] === events[at + EVENT_DATA + 1]) {
        this.#watched[descriptor]?.ready(events[at]!);
      }
      if (performance.now() >= this.#until) return;
    }
  };
}

/** Memory of its own, with whatever was there before. */
const unfilled = (bytes: number): Uint8Array => new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
