import type { Socket } from "node:net";
import type { Peer } from "../contract/peer.ts";
import type { Duration } from "../lib/time.ts";
import { localName } from "./address.ts";
import { plainBytes } from "./plain-bytes.ts";
import { type Expiring, sweep } from "./sweep.ts";
import type { AcceptStream, StreamConnection, StreamReceiver } from "./transport.ts";
import { letOthersIn } from "./turn.ts";

const connectionOf: unique symbol = Symbol("connection");
interface OwnedSocket extends Socket {
  [connectionOf]: SocketConnection;
}

export interface SocketLimits {
  /** Queued bytes above which `write` returns false. */
  readonly highWaterMark: number;
  /** How long a connection may take to end. */
  readonly linger: Duration;
}

/** Silence in milliseconds after which the kernel begins to ask whether the peer is still there. */
export const PROBE_DELAY = 300_000;
/** So much is taken from one of Node's sockets before others have their turn: libuv would read 2 MiB of it at a time. */
export const SHARE = 16_384;
/** What Node takes for its own limit of a queue; `unlimited` is more than that. */
const HIGH_WATER_MARK_MAX = 2 ** 30;

/** How sockets are made on either side. */
export const socketOptions = ({ noDelay, highWaterMark }: { noDelay: boolean; highWaterMark: number }) => ({
  noDelay,
  // A peer that vanished without a word, and whose protocol sends no heart-beats, is found out by the kernel.
  keepAlive: true,
  keepAliveInitialDelay: PROBE_DELAY,
  highWaterMark: highWaterMarkOf(highWaterMark),
});

export const highWaterMarkOf = (bytes: number): number => Math.min(bytes, HIGH_WATER_MARK_MAX);

/** A TCP or TLS connection. The listeners are shared functions, so that an idle connection stays small. */
class SocketConnection implements StreamConnection, Expiring {
  readonly peer: Peer;
  receiver: StreamReceiver | undefined;
  /** `write` has returned false, and `drained` is owed. */
  congested = false;
  /** This side has said that it ends: what still arrives is dropped. */
  ending = false;
  error: string | undefined;
  expiresAt = 0;
  #paused = false;
  /** What is left of its share of this turn of the event loop. */
  #share = SHARE;
  readonly #socket: Socket;
  readonly #limits: SocketLimits;

  constructor(socket: Socket, peer: Peer, limits: SocketLimits) {
    this.#socket = socket;
    this.peer = peer;
    this.#limits = limits;
  }

  get local(): string | undefined {
    return localName(this.#socket);
  }

  write(bytes: Uint8Array, written?: () => void): boolean {
    const socket = this.#socket;
    socket.write(bytes, written);
    // Node asks for a pause even if the kernel took all of a large write at once.
    if (!socket.writableNeedDrain || socket.writableLength <= this.#limits.highWaterMark) return true;
    this.congested = true;
    return false;
  }

  get backlog(): number {
    return this.#socket.writableLength;
  }

  pauseReading(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resumeReading(): void {
    this.#paused = false;
    this.#goOn();
  }

  /** Of one that has failed, Node would throw away what it holds; that is read at its close. */
  #goOn(): void {
    if (this.#socket.errored === null) this.#socket.resume();
  }

  /** So many bytes were taken. */
  took(bytes: number): void {
    const had = this.#share > 0;
    this.#share -= bytes;
    if (!had || this.#share > 0) return;
    this.#socket.pause();
    setImmediate(() => {
      this.#share = SHARE;
      if (!this.#paused) this.#goOn();
    });
  }

  end(parted = false): void {
    if (this.ending) return;
    this.ending = true;
    // Without the ends of both streams, one after the other; over TLS they are said (RFC 5246 §7.2.1).
    if (parted && this.peer.transport === "tcp" && this.#socket.writableLength === 0) {
      this.#socket.destroy();
      return;
    }
    this.boundEnd();
    this.#socket.end();
    // A paused socket would never see the peer's end of stream.
    this.resumeReading();
  }

  destroy(): void {
    this.ending = true;
    this.#socket.destroy();
  }

  /** Nothing may keep half a connection: from the first end of stream on, its time is measured. */
  boundEnd(): void {
    if (this.expiresAt !== 0 || this.#socket.destroyed) return;
    this.expiresAt = performance.now() + this.#limits.linger;
    sweep.add(this);
  }

  expired(): void {
    this.#socket.destroy();
  }
}

function onData(this: Socket, bytes: Buffer): void {
  letOthersIn();
  const connection = (this as OwnedSocket)[connectionOf];
  if (!connection.ending) connection.receiver?.received(plainBytes(bytes));
  connection.took(bytes.length);
}

function onDrain(this: Socket): void {
  const connection = (this as OwnedSocket)[connectionOf];
  if (!connection.congested) return;
  connection.congested = false;
  connection.receiver?.drained();
}

function onEnd(this: Socket): void {
  letOthersIn();
  const connection = (this as OwnedSocket)[connectionOf];
  connection.boundEnd();
  connection.receiver?.ended();
}

function onError(this: Socket, error: NodeJS.ErrnoException): void {
  (this as OwnedSocket)[connectionOf].error = error.code ?? error.message;
}

function onClose(this: Socket): void {
  letOthersIn();
  const connection = (this as OwnedSocket)[connectionOf];
  if (connection.expiresAt !== 0) sweep.delete(connection);
  const receiver = connection.receiver;
  connection.receiver = undefined;
  // What a paused socket had read before it broke came before that.
  for (let bytes = this.read(); bytes !== null && !connection.ending; bytes = this.read()) {
    receiver?.received(plainBytes(bytes as Buffer));
  }
  receiver?.closed(connection.error);
}

/** Makes a ready socket a connection and offers it to the runtime; one that it refuses is destroyed. */
export function offerSocket(socket: Socket, peer: Peer, limits: SocketLimits, accept: AcceptStream): void {
  const connection = new SocketConnection(socket, peer, limits);
  (socket as OwnedSocket)[connectionOf] = connection;
  // Before `accept`: the runtime may write, end or destroy at once.
  socket.on("error", onError);
  const receiver = accept(connection);
  if (receiver === undefined) {
    socket.destroy();
    return;
  }
  connection.receiver = receiver;
  // The end of the peer's stream is the runtime's to answer, which may have something to say before.
  socket.allowHalfOpen = true;
  socket.on("drain", onDrain);
  socket.on("end", onEnd);
  socket.on("close", onClose);
  socket.on("data", onData);
}
