import { createRequire } from "node:module";
import { arch, endianness, platform } from "node:os";
import type * as Koffi from "koffi";
import { joinTurns } from "../turn.ts";

/** For what a descriptor is watched. */
export interface Readiness {
  readonly readable: boolean;
  readonly writable: boolean;
}

/** A descriptor that the event loop watches. It must be closed before the descriptor is. */
export interface Watching {
  /** For this, from now on. */
  start(what: Partial<Readiness>): void;
  /** `ready` is called in the next turn of the event loop, whether there is something or not. */
  again(): void;
  close(): void;
}

/**
 * What koffi calls back runs outside of what Node calls JavaScript by: nothing may throw there, and no promise goes on. So it
 * is put off until the event loop comes round, once for all that was told since.
 */
class Poll implements Watching {
  readonly #ready: () => void;
  readonly #leaveTurns: () => void;
  #due = false;
  /** Koffi's, which may not be used once it is closed. */
  #handle: Koffi.node.PollHandle | undefined;

  constructor(koffi: typeof Koffi, descriptor: number, ready: () => void) {
    this.#ready = ready;
    this.#handle = koffi.node.poll(descriptor, { readable: true }, this.#told);
    this.#leaveTurns = joinTurns(ready);
  }

  start(what: Partial<Readiness>): void {
    this.#handle?.start(what, this.#told);
  }

  again(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(this.#tell);
  }

  close(): void {
    this.#leaveTurns();
    this.#handle?.close();
    this.#handle = undefined;
  }

  readonly #told = (): void => this.again();

  readonly #tell = (): void => {
    this.#due = false;
    if (this.#handle !== undefined) this.#ready();
  };
}

/**
 * The system calls of sockets, as Linux has them. Those that fail answer -1, and `error` says why. Memory is
 * handed over as a `Uint8Array` of an `ArrayBuffer` of its own, whose place is `addressOf`; the kernel knows it no longer
 * than a call takes.
 */
export interface SystemCalls {
  socket(family: number, type: number, protocol: number): number;
  bind(descriptor: number, address: Uint8Array, length: number): number;
  getsockname(descriptor: number, address: Uint8Array, length: Uint32Array): number;
  setsockopt(descriptor: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(descriptor: number, level: number, name: number, value: Int32Array, length: Uint32Array): number;
  recvmmsg(descriptor: number, messages: Uint8Array, count: number, flags: number, timeout: null): number;
  sendmmsg(descriptor: number, messages: Uint8Array, count: number, flags: number): number;
  fcntl(descriptor: number, command: number, argument: number): number;
  close(descriptor: number): number;
  listen(descriptor: number, backlog: number): number;
  connect(descriptor: number, address: Uint8Array, length: number): number;
  accept4(descriptor: number, address: Uint8Array, length: Uint32Array, flags: number): number;
  recv(descriptor: number, bytes: Uint8Array, length: number, flags: number): number;
  send(descriptor: number, bytes: Uint8Array, length: number, flags: number): number;
  shutdown(descriptor: number, how: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(set: number, operation: number, descriptor: number, event: Uint32Array | null): number;
  /** `timeout` in milliseconds; 0: what is ready now. */
  epoll_wait(set: number, events: Uint32Array, count: number, timeout: number): number;
  /** The number of an interface; 0 when none has the name. */
  if_nametoindex(name: string): number;
  /** What the last call failed with: errno(3). */
  error(): number;
  addressOf(memory: Uint8Array): bigint;
  /** Begins with what may be read. `ready` is called in each turn of the event loop in which there is something, and by `letOthersIn`. */
  watch(descriptor: number, ready: () => void): Watching;
}

/** The layouts in `batch/messages.ts` are those of 64 bits, the low byte first. */
const FITTING = platform() === "linux" && endianness() === "LE" && ["x64", "arm64"].includes(arch());

let loaded: SystemCalls | Error | undefined;

/** Loads them with the first listener that wants them. An error says why there are none here. */
export function systemCalls(): SystemCalls | Error {
  loaded ??= FITTING
    ? callsBy(() => createRequire(import.meta.url)("koffi"))
    : new Error(`not on ${platform()} ${arch()}`);
  return loaded;
}

export function callsBy(load: () => typeof Koffi): SystemCalls | Error {
  try {
    return bound(load());
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return new Error(code === "MODULE_NOT_FOUND" ? "koffi is not installed" : message);
  }
}

function bound(koffi: typeof Koffi): SystemCalls {
  // The C library of glibc has this name, and another has not.
  const libc = koffi.load("libc.so.6");
  const fcntl = libc.func("int fcntl(int fd, int command, ...)");
  return {
    socket: libc.func("int socket(int domain, int type, int protocol)"),
    bind: libc.func("int bind(int fd, const uint8_t *address, uint32_t length)"),
    getsockname: libc.func("int getsockname(int fd, uint8_t *address, uint32_t *length)"),
    setsockopt: libc.func(
      "int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)",
    ),
    getsockopt: libc.func("int getsockopt(int fd, int level, int name, int *value, uint32_t *length)"),
    recvmmsg: libc.func(
      "int recvmmsg(int fd, uint8_t *messages, unsigned int count, int flags, void *timeout)",
    ),
    sendmmsg: libc.func("int sendmmsg(int fd, uint8_t *messages, unsigned int count, int flags)"),
    fcntl: (descriptor, command, argument) => fcntl(descriptor, command, "int", argument) as number,
    close: libc.func("int close(int fd)"),
    listen: libc.func("int listen(int fd, int backlog)"),
    connect: libc.func("int connect(int fd, const uint8_t *address, uint32_t length)"),
    accept4: libc.func("int accept4(int fd, uint8_t *address, uint32_t *length, int flags)"),
    // They answer ssize_t: what fits a buffer of ours is the same in 32 bits, and no BigInt.
    recv: libc.func("int recv(int fd, uint8_t *bytes, size_t length, int flags)"),
    send: libc.func("int send(int fd, const uint8_t *bytes, size_t length, int flags)"),
    shutdown: libc.func("int shutdown(int fd, int how)"),
    epoll_create1: libc.func("int epoll_create1(int flags)"),
    epoll_ctl: libc.func("int epoll_ctl(int set, int operation, int fd, const uint32_t *event)"),
    epoll_wait: libc.func("int epoll_wait(int set, uint32_t *events, int count, int timeout)"),
    if_nametoindex: libc.func("unsigned int if_nametoindex(const char *name)"),
    error: () => koffi.errno(),
    addressOf: (memory) => koffi.address(memory),
    watch: (descriptor, ready) => new Poll(koffi, descriptor, ready),
  };
}
