/**
 * TCP sockets by system calls, for a generator that is to cost less than what it loads: a read or a write of Node's
 * sockets takes several microseconds beyond the kernel's. Linux only, through koffi, which the project has anyway.
 */
import { createRequire } from "node:module";
import { arch, platform } from "node:os";

const AF_INET = 2;
const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EPOLLIN = 1;
const EPOLLOUT = 4;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_MOD = 3;
const EAGAIN = 11;

/** `struct epoll_event` is packed on x86-64 only. */
const EVENT = arch() === "x64" ? { octets: 12, data: 4 } : { octets: 16, data: 8 };
const EVENTS = 512;

/** One read buffer serves all sockets: each chunk is used up before the next is read. */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);

/** How long one turn may last before timers are looked at, in milliseconds. */
const TURN_MS = 2;

/** @returns {any} */
function loadCalls() {
  if (platform() !== "linux") return undefined;
  try {
    const koffi = createRequire(import.meta.url)("koffi");
    const libc = koffi.load("libc.so.6");
    return {
      socket: libc.func("int socket(int, int, int)"),
      bind: libc.func("int bind(int, const uint8_t *, uint32_t)"),
      connect: libc.func("int connect(int, const uint8_t *, uint32_t)"),
      setsockopt: libc.func("int setsockopt(int, int, int, const uint8_t *, uint32_t)"),
      send: libc.func("int64_t send(int, const uint8_t *, uint64_t, int)"),
      recv: libc.func("int64_t recv(int, uint8_t *, uint64_t, int)"),
      close: libc.func("int close(int)"),
      epollCreate: libc.func("int epoll_create1(int)"),
      epollControl: libc.func("int epoll_ctl(int, int, int, const uint8_t *)"),
      epollWait: libc.func("int epoll_wait(int, uint8_t *, int, int)"),
      errno: () => koffi.errno(),
    };
  } catch {
    return undefined;
  }
}

const calls = loadCalls();

/** Whether there are any here; `node:net` is what is left without. */
export const systemSockets = calls !== undefined;

/** Has what the generator uses of a `net.Socket`: `write`, `end`, `destroy`. */
class SystemSocket {
  /**
   * @param {number} descriptor
   * @param {(chunk: Buffer, end: number) => void} onChunk
   * @param {(why: string) => void} onClose
   */
  constructor(descriptor, onChunk, onClose) {
    this.descriptor = descriptor;
    this.onChunk = onChunk;
    this.onClose = onClose;
    this.destroyed = false;
    /** @type {Uint8Array[]} what the kernel has not taken yet */
    this.pending = [];
  }

  /** @param {Uint8Array} bytes */
  write(bytes) {
    if (this.destroyed) return;
    if (this.pending.length > 0) this.pending.push(bytes);
    else this.#send(bytes);
  }

  /** @param {Uint8Array} bytes */
  #send(bytes) {
    const sent = Number(calls.send(this.descriptor, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL));
    if (sent === bytes.length) return;
    if (sent < 0 && calls.errno() !== EAGAIN) {
      this.destroy("write failed");
      return;
    }
    this.pending.unshift(sent > 0 ? bytes.subarray(sent) : bytes);
    watch(EPOLL_CTL_MOD, this.descriptor, EPOLLIN | EPOLLOUT);
  }

  writable() {
    const pending = this.pending;
    this.pending = [];
    for (const bytes of pending) this.write(bytes);
    if (this.pending.length === 0 && !this.destroyed) watch(EPOLL_CTL_MOD, this.descriptor, EPOLLIN);
  }

  readable() {
    const length = Number(calls.recv(this.descriptor, readBuffer, readBuffer.length, MSG_DONTWAIT));
    if (length > 0) this.onChunk(readBuffer, length);
    else if (length === 0) this.destroy("closed by the broker");
    else if (calls.errno() !== EAGAIN) this.destroy("read failed");
  }

  /** @param {Uint8Array} bytes */
  end(bytes) {
    this.write(bytes);
  }

  destroy(why = "") {
    if (this.destroyed) return;
    this.destroyed = true;
    sockets.delete(this.descriptor);
    calls.close(this.descriptor);
    this.onClose(why);
  }
}

/** @type {Map<number, SystemSocket>} by descriptor */
const sockets = new Map();
let poll = -1;
let turning = false;
const event = Buffer.alloc(EVENT.octets);
const events = Buffer.alloc(EVENT.octets * EVENTS);

/**
 * @param {number} operation
 * @param {number} descriptor
 * @param {number} what
 */
function watch(operation, descriptor, what) {
  event.writeUInt32LE(what, 0);
  event.writeUInt32LE(descriptor, EVENT.data);
  if (calls.epollControl(poll, operation, descriptor, event) !== 0) throw new Error("epoll_ctl failed");
}

/**
 * @param {string} address
 * @param {number} port
 */
function socketAddress(address, port) {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address.split(".").map(Number), 4);
  return bytes;
}

/**
 * Connects at once: on the loopback the kernel answers by itself.
 * @param {{port: number, localAddress: string, onChunk: (chunk: Buffer, end: number) => void, onClose: (why: string) => void}} how
 */
export function connectSystemSocket(how) {
  if (poll < 0) poll = calls.epollCreate(0);
  const descriptor = calls.socket(AF_INET, SOCK_STREAM, 0);
  const one = new Uint8Array([1, 0, 0, 0]);
  calls.setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, one, 4);
  if (calls.bind(descriptor, socketAddress(how.localAddress, 0), 16) !== 0) throw new Error("bind failed");
  if (calls.connect(descriptor, socketAddress("127.0.0.1", how.port), 16) !== 0) {
    calls.close(descriptor);
    throw new Error(`nobody listens on port ${how.port}`);
  }
  const socket = new SystemSocket(descriptor, how.onChunk, how.onClose);
  sockets.set(descriptor, socket);
  watch(EPOLL_CTL_ADD, descriptor, EPOLLIN);
  if (!turning) {
    turning = true;
    setImmediate(turn);
  }
  return socket;
}

/** Waits for sockets instead of the event loop, and lets its timers have their turn. */
function turn() {
  const end = performance.now() + TURN_MS;
  do {
    const ready = calls.epollWait(poll, events, EVENTS, 1);
    if (ready <= 0) break;
    for (let index = 0; index < ready; index++) {
      const at = index * EVENT.octets;
      const what = events.readUInt32LE(at);
      const socket = sockets.get(events.readUInt32LE(at + EVENT.data));
      if (socket === undefined) continue;
      if ((what & ~EPOLLOUT) !== 0) socket.readable();
      if ((what & EPOLLOUT) !== 0 && !socket.destroyed) socket.writable();
    }
  } while (performance.now() < end);
  turning = sockets.size > 0;
  if (turning) setImmediate(turn);
}
