import { isUtf8 } from "node:buffer";
import type { Socket } from "node:net";
import type { RawData, WebSocket } from "ws";
import type { Peer } from "../contract/peer.ts";
import { localName } from "./address.ts";
import { plainBytes } from "./plain-bytes.ts";
import { type Expiring, sweep } from "./sweep.ts";
import { SHARE, type SocketLimits } from "./tcp.ts";
import type { AcceptStream, StreamConnection, StreamReceiver } from "./transport.ts";

/** What a message costs of the share of its connection beside its length: there may be 2,000 in 16 KiB. */
const SMALL = 64;

const connectionOf: unique symbol = Symbol("connection");
interface OwnedWebSocket extends WebSocket {
  [connectionOf]: WebSocketConnection;
}
interface OwnedSocket extends Socket {
  [connectionOf]: WebSocketConnection;
}

/** RFC 6455 §7.4.1. */
const NORMAL_CLOSURE = 1000;
const UNSUPPORTED_DATA = 1003;
const ABNORMAL_CLOSURE = 1006;

/** To the runtime a WebSocket is a stream that comes in messages. */
class WebSocketConnection implements StreamConnection, Expiring {
  readonly peer: Peer;
  receiver: StreamReceiver | undefined;
  congested = false;
  ending = false;
  error: string | undefined;
  expiresAt = 0;
  /** `mirror`: the form of the client's last message. */
  #text: boolean;
  #paused = false;
  /** What is left of its share of this turn of the event loop; it rests until the next one when it is used up. */
  #share = SHARE;
  #rests = false;
  /** Messages of a chunk that was being taken apart when reading was paused. */
  #held: Uint8Array[] = [];
  #gathering = 0;
  /** Nothing more comes: the receiver is told when it has what waits. */
  #closed = false;
  readonly #websocket: WebSocket;
  readonly #socket: Socket;
  readonly #limits: SocketLimits;
  readonly #mirror: boolean;

  constructor(
    websocket: WebSocket,
    socket: Socket,
    peer: Peer,
    limits: SocketLimits,
    frames: "binary" | "mirror",
  ) {
    this.#websocket = websocket;
    this.#socket = socket;
    this.peer = peer;
    this.#limits = limits;
    this.#mirror = frames === "mirror";
    this.#text = this.#mirror;
  }

  get local(): string | undefined {
    return localName(this.#socket);
  }

  write(bytes: Uint8Array, written?: () => void): boolean {
    // A text message that is no UTF-8 would make the client close the connection (RFC 6455 §8.1).
    const binary = !this.#text || !isUtf8(bytes);
    this.#websocket.send(bytes, { binary, compress: false }, written);
    if (!this.#socket.writableNeedDrain || this.backlog <= this.#limits.highWaterMark) return true;
    this.congested = true;
    return false;
  }

  get backlog(): number {
    return this.#websocket.bufferedAmount;
  }

  pauseReading(): void {
    this.#paused = true;
    this.#websocket.pause();
  }

  resumeReading(): void {
    this.#paused = false;
    if (!this.#rests) this.#goOn();
  }

  #goOn(): void {
    if (this.ending) this.#held = [];
    while (this.#held.length > 0 && !this.#paused && this.#share > 0) this.#give(this.#held.shift()!);
    if (this.#rests || (this.#paused && !this.ending)) return;
    if (this.#closed) this.#tellClosed();
    else this.#websocket.resume();
  }

  #give(message: Uint8Array): void {
    this.receiver?.received(message);
    this.#use(SMALL);
  }

  #use(share: number): void {
    this.#share -= share;
    if (this.#share > 0 || this.#rests) return;
    this.#rests = true;
    this.#websocket.pause();
    setImmediate(() => {
      this.#rests = false;
      this.#share = SHARE;
      this.#goOn();
    });
  }

  /** So many bytes have come. */
  took(bytes: number): void {
    this.#gather();
    this.#use(bytes);
  }

  #gather(): void {
    const { _receiver: receiver } = this.#websocket as Gathering;
    const bytes = (receiver?._bufferedBytes ?? 0) + (receiver?._messageLength ?? 0);
    if (bytes === this.#gathering) return;
    this.#gathering = bytes;
    this.receiver?.gathering?.(bytes);
  }

  /** The close frame is behind the messages that still wait. */
  closed(code: number): void {
    if (this.expiresAt !== 0) sweep.delete(this);
    if (code === ABNORMAL_CLOSURE && !this.ending) this.error ??= "ended without a close frame";
    this.#closed = true;
    if (this.#held.length === 0 || this.ending) this.#tellClosed();
  }

  #tellClosed(): void {
    const { receiver } = this;
    this.receiver = undefined;
    receiver?.closed(this.error);
  }

  received(bytes: Uint8Array, text: boolean): void {
    if (this.ending) return;
    if (text && !this.#mirror) {
      this.error = "text message on a binary protocol";
      this.#close(UNSUPPORTED_DATA);
      return;
    }
    if (this.#mirror) this.#text = text;
    if (this.#paused || this.#rests) this.#held.push(bytes);
    else this.#give(bytes);
  }

  end(): void {
    this.#close(NORMAL_CLOSURE);
  }

  destroy(): void {
    this.ending = true;
    this.#websocket.terminate();
  }

  #close(code: number): void {
    if (this.ending) return;
    this.ending = true;
    this.expiresAt = performance.now() + this.#limits.linger;
    sweep.add(this);
    this.#websocket.close(code);
    this.#websocket.resume();
  }

  expired(): void {
    this.#websocket.terminate();
  }
}

function onMessage(this: WebSocket, data: RawData, binary: boolean): void {
  // `binaryType` is left at "nodebuffer".
  (this as OwnedWebSocket)[connectionOf].received(plainBytes(data as Buffer), !binary);
}

/** What `ws` holds of a message that is not whole; it does not say so by itself. */
interface Gathering {
  readonly _receiver?: { readonly _bufferedBytes?: number; readonly _messageLength?: number } | null;
}

function onBytes(this: Socket, { length }: Buffer): void {
  (this as OwnedSocket)[connectionOf].took(length);
}

function onDrain(this: Socket): void {
  const connection = (this as OwnedSocket)[connectionOf];
  if (!connection.congested) return;
  connection.congested = false;
  connection.receiver?.drained();
}

function onError(this: WebSocket, error: NodeJS.ErrnoException): void {
  (this as OwnedWebSocket)[connectionOf].error ??= error.code ?? error.message;
}

function onClose(this: WebSocket, code: number): void {
  (this as OwnedWebSocket)[connectionOf].closed(code);
}

/** Makes an upgraded WebSocket a connection and offers it to the runtime. */
export function offerWebSocket(
  websocket: WebSocket,
  socket: Socket,
  peer: Peer,
  limits: SocketLimits,
  frames: "binary" | "mirror",
  accept: AcceptStream,
): void {
  const connection = new WebSocketConnection(websocket, socket, peer, limits, frames);
  (websocket as OwnedWebSocket)[connectionOf] = connection;
  (socket as OwnedSocket)[connectionOf] = connection;
  websocket.on("error", onError);
  const receiver = accept(connection);
  if (receiver === undefined) {
    websocket.terminate();
    return;
  }
  connection.receiver = receiver;
  // Behind the listener of `ws`, which has put together by then what it could.
  socket.on("data", onBytes);
  websocket.on("close", onClose);
  websocket.on("message", onMessage);
  socket.on("drain", onDrain);
}
