/** Connections of the virtual world: what a device writes is read in the same turn. */
import type { Endpoint } from "../contract/endpoint.ts";
import type { Peer, Transport } from "../contract/peer.ts";
import type { Door } from "../door/door.ts";
import type { ChannelLoop } from "../drive/channel-loop.ts";
import { StreamRuntime } from "../drive/stream-runtime.ts";
import type { StreamConnection, StreamReceiver } from "../net/transport.ts";
import type { World } from "./world.ts";

export class StreamListener {
  readonly #world: World;
  readonly #door: Door;
  readonly #runtime: StreamRuntime;
  #ports = 40_000;

  constructor(world: World, door: Door, endpoint: Endpoint) {
    this.#world = world;
    this.#door = door;
    this.#runtime = new StreamRuntime(world.core, door, endpoint, world.schedule);
  }

  /** What drives the open connections, for a test that ends one from the core's side. */
  loops(): ChannelLoop[] {
    return [...this.#door.loops] as ChannelLoop[];
  }

  connect(peer: Partial<Peer> & { transport?: Transport } = {}): VirtualStream {
    const stream = new VirtualStream(this.#world, {
      transport: "tcp",
      address: "127.0.0.1",
      port: this.#ports++,
      ...peer,
    });
    const receiver = this.#runtime.accept(stream);
    if (receiver === undefined) stream.refuse();
    else stream.receiver = receiver;
    this.#world.settle();
    return stream;
  }
}

/** The device's end of a virtual stream. Reading can be stopped to play a slow reader. */
export class VirtualStream implements StreamConnection {
  readonly peer: Peer;
  receiver: StreamReceiver | undefined = undefined;
  /** Chunks as written, in order; `takeBytes` empties it. */
  readonly written: Uint8Array[] = [];
  /** The gateway has ended the connection, or refused it. */
  ended = false;
  destroyed = false;
  readingPaused = false;
  /** Bytes that the device lets pile up before it is "slow"; `Infinity` reads all at once. */
  capacity = Number.POSITIVE_INFINITY;
  readonly #world: World;
  readonly #inbox: Uint8Array[] = [];
  #finished = false;
  #reset = false;
  #unread = 0;

  constructor(world: World, peer: Peer) {
    this.#world = world;
    this.peer = peer;
  }

  /** From device to gateway. */
  send(bytes: Uint8Array): void {
    this.#inbox.push(bytes);
    this.#pump();
  }

  /** The device sends its end of stream, behind what it has sent; it may still read. */
  finish(): void {
    this.#finished = true;
    this.#pump();
  }

  /** The device drops the connection. */
  drop(error?: string): void {
    const receiver = this.receiver;
    this.receiver = undefined;
    receiver?.closed(error);
    this.#world.settle();
  }

  /** The connection breaks, and what the device has sent before is still read. */
  reset(): void {
    this.#reset = true;
    this.receiver?.lost?.();
    this.#pump();
  }

  /** What the gateway has sent since the last call, as one array of bytes. */
  takeBytes(): Uint8Array {
    const taken = Buffer.concat(this.written);
    this.written.length = 0;
    const wasFull = this.#unread > this.capacity;
    this.#unread = 0;
    if (wasFull) this.receiver?.drained();
    this.#world.settle();
    return taken;
  }

  refuse(): void {
    this.ended = true;
    this.destroyed = true;
  }

  get closed(): boolean {
    return this.ended || this.destroyed;
  }

  // ---- StreamConnection, the gateway's side

  write(bytes: Uint8Array, written?: () => void): boolean {
    this.written.push(new Uint8Array(bytes));
    this.#unread += bytes.length;
    written?.();
    return this.#unread <= this.capacity;
  }

  get backlog(): number {
    return this.#unread > this.capacity ? this.#unread : 0;
  }

  pauseReading(): void {
    this.readingPaused = true;
  }

  resumeReading(): void {
    this.readingPaused = false;
    // Not within the input that resumed it.
    if (this.#inbox.length > 0 || this.#finished || this.#reset) this.#world.defer(() => this.#pump());
  }

  end(): void {
    this.ended = true;
    const receiver = this.receiver;
    this.receiver = undefined;
    receiver?.closed();
  }

  destroy(): void {
    this.destroyed = true;
    this.end();
  }

  #pump(): void {
    while (!this.readingPaused && this.receiver !== undefined) {
      const bytes = this.#inbox.shift();
      if (bytes === undefined) break;
      this.receiver.received(bytes);
    }
    // As a socket does: what is paused does not hold back an end of stream that has nothing before it.
    if (this.#finished && this.#inbox.length === 0) {
      this.#finished = false;
      this.receiver?.ended();
    }
    if (this.#reset && this.#inbox.length === 0 && !this.readingPaused) this.drop("ECONNRESET");
    this.#world.settle();
  }
}
