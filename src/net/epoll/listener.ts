import { getSystemErrorName } from "node:util";
import type { Note } from "../../contract/note.ts";
import { plainAddress } from "../address.ts";
import { Descriptor, type Place, placeIn, systemError } from "../system/descriptor.ts";
import {
  ACCEPTED_SOCKET,
  EAGAIN,
  ECONNABORTED,
  EINTR,
  EPERM,
  EPOLLIN,
  EPROTO,
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SOCKADDR_BYTES,
  SOL_SOCKET,
  STREAM_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from "../system/linux.ts";
import { PROBE_DELAY } from "../tcp.ts";
import type { StreamListenerOptions } from "../transport.ts";
import type { EpollSet, Watched } from "./set.ts";

/** Connections that are taken before others have their turn; the rest waits in the kernel, up to `backlog`. */
const A_TURN = 32;
/** It was the newcomer's trouble, and it is gone (accept(2)): it is passed over, for the next one may be there. */
const OF_NEWCOMER: ReadonlySet<number> = new Set([EINTR, ECONNABORTED, EPROTO, EPERM]);
/**
 * How long nobody is accepted after any other error, in milliseconds: without descriptors or memory the socket would be
 * ready for ever.
 */
const PAUSE = 250;
/** How often it is said, in milliseconds. */
const SAY_AGAIN = 60_000;
/** Seconds between questions to a peer that is silent, and how many stay without an answer: those of Node's sockets. */
const PROBE_INTERVAL = 1;
const PROBES = 10;

interface Newcomers {
  /** The descriptor is theirs from now on. */
  accepted(descriptor: number, peer: Place): void;
  note(note: Note): void;
}

/** A listening TCP socket by system calls: it takes no more connections in a turn than there is time for. */
export class EpollListener implements Watched, Place {
  readonly address: string;
  readonly port: number;
  readonly #set: EpollSet;
  readonly #descriptor: Descriptor;
  readonly #newcomers: Newcomers;
  readonly #name = new Uint8Array(new ArrayBuffer(SOCKADDR_BYTES));
  readonly #nameLength = new Uint32Array(new ArrayBuffer(4));
  #sayAt = 0;
  #closed = false;

  private constructor(set: EpollSet, descriptor: Descriptor, newcomers: Newcomers) {
    this.#set = set;
    this.#descriptor = descriptor;
    this.#newcomers = newcomers;
    const { address, port } = descriptor.name();
    this.address = address;
    this.port = port;
    const error = set.add(descriptor.number, EPOLLIN, this);
    if (error !== 0) throw systemError("epoll_ctl", error);
  }

  /** Throws what the system says. */
  static open(
    set: EpollSet,
    address: string,
    { port, backlog, noDelay }: StreamListenerOptions,
    newcomers: Newcomers,
  ): EpollListener {
    const descriptor = Descriptor.open(set.calls, address.includes(":"), STREAM_SOCKET);
    try {
      // What is accepted has these, too. A peer that vanished without a word is found out by the kernel.
      descriptor.set(SOL_SOCKET, SO_KEEPALIVE, 1);
      descriptor.set(IPPROTO_TCP, TCP_KEEPIDLE, PROBE_DELAY / 1000);
      descriptor.set(IPPROTO_TCP, TCP_KEEPINTVL, PROBE_INTERVAL);
      descriptor.set(IPPROTO_TCP, TCP_KEEPCNT, PROBES);
      if (noDelay) descriptor.set(IPPROTO_TCP, TCP_NODELAY, 1);
      descriptor.bind(address, port, { reuseAddress: true });
      descriptor.listen(backlog);
      return new EpollListener(set, descriptor, newcomers);
    } catch (error) {
      descriptor.close();
      throw error;
    }
  }

  ready(): void {
    for (let taken = 0; taken < A_TURN && !this.#closed; taken++) {
      this.#nameLength[0] = SOCKADDR_BYTES;
      const { calls } = this.#set;
      const { number } = this.#descriptor;
      const descriptor = calls.accept4(number, this.#name, this.#nameLength, ACCEPTED_SOCKET);
      if (descriptor < 0) {
        const error = calls.error();
        if (error === EAGAIN) return;
        if (OF_NEWCOMER.has(error)) continue;
        this.#pause(error);
        return;
      }
      const { address, port } = placeIn(this.#name);
      this.#newcomers.accepted(descriptor, { address: plainAddress(address), port });
    }
  }

  #pause(error: number): void {
    if (performance.now() >= this.#sayAt) {
      this.#sayAt = performance.now() + SAY_AGAIN;
      const problem = getSystemErrorName(-error);
      this.#newcomers.note({ level: "warn", event: "accept-failed", detail: { problem } });
    }
    this.#set.change(this.#descriptor.number, 0);
    setTimeout(() => {
      if (!this.#closed) this.#set.change(this.#descriptor.number, EPOLLIN);
    }, PAUSE).unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#set.remove(this.#descriptor.number);
    this.#descriptor.close();
  }
}
