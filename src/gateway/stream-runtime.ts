import { copyOf } from "../lib/bytes.ts";
import type { StreamConnection, StreamReceiver } from "../net/transport.ts";
import { ChannelLoop, type Link } from "./channel-loop.ts";
import type { Endpoint, Peer } from "./contract.ts";
import type { Core } from "./core.ts";
import type { Door } from "./door.ts";
import { lendSlab, returnSlab, SLAB_SIZES } from "./slabs.ts";

/** Bytes above which a packet is passed on as it is instead of being copied into the slab. */
const COPY_MAX = 8192;

/**
 * Writes are coalesced: sends fill a slab per connection, and slabs are written where that is cheapest. A
 * connection that was sent several packets while one chunk was read is written after that chunk; single packets
 * wait until all sockets that are readable in this turn of the event loop have been read.
 */
export class FlushSchedule {
  readonly #dirty: StreamLink[] = [];
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

  add(link: StreamLink): void {
    this.#dirty.push(link);
    if (this.#deferred) return;
    this.#deferred = true;
    this.#defer(this.#run);
  }

  /** After a chunk: writes what has several packets, keeps single ones for later. */
  flushBusy(): void {
    const dirty = this.#dirty;
    let kept = 0;
    for (let index = 0; index < dirty.length; index++) {
      const link = dirty[index]!;
      if (link.packets > 1) link.flush();
      else if (link.packets === 1) dirty[kept++] = link;
    }
    dirty.length = kept;
  }

  flushAll(): void {
    const dirty = this.#dirty;
    for (let index = 0; index < dirty.length; index++) dirty[index]!.flush();
    dirty.length = 0;
  }
}

/** One connection's output: a slab that is written when it is full or flushed. */
class StreamLink implements Link {
  readonly #connection: StreamConnection;
  readonly #schedule: FlushSchedule;
  /** WebSockets keep message boundaries, so nothing is merged there. */
  readonly #merging: boolean;
  loop!: ChannelLoop;
  /** Sends since the last flush. */
  packets = 0;
  #slab: Uint8Array | undefined = undefined;
  #used = 0;
  #sizeClass = 0;
  #closed = false;

  constructor(connection: StreamConnection, schedule: FlushSchedule) {
    this.#connection = connection;
    this.#schedule = schedule;
    this.#merging = connection.peer.transport === "tcp" || connection.peer.transport === "tls";
  }

  get peer(): Peer {
    return this.#connection.peer;
  }

  send(bytes: Uint8Array): void {
    if (this.#closed) return;
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
    if (this.packets++ === 0) this.#schedule.add(this);
  }

  sendView(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (this.#merging && bytes.length <= COPY_MAX) {
      this.send(bytes);
      return;
    }
    if (this.#slab !== undefined) this.#writeSlab();
    if (!this.#connection.write(bytes)) this.loop.hold(true);
  }

  flush(): void {
    this.packets = 0;
    if (this.#slab === undefined || this.#closed) return;
    if (this.#sizeClass > 0 && this.#used * 8 < this.#slab.length) this.#sizeClass--;
    this.#writeSlab();
  }

  pauseReading(): void {
    this.#connection.pauseReading();
  }

  resumeReading(): void {
    this.#connection.resumeReading();
  }

  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    this.loop.door.closing++;
    this.#connection.end();
  }

  /** The connection is gone: what was not written never will be. */
  drop(): void {
    if (this.#closed) this.loop.door.closing--;
    this.#closed = true;
    if (this.#slab !== undefined) returnSlab(this.#slab);
    this.#slab = undefined;
  }

  /** Streams are known by their connection. */
  claim(): void {}
  unclaim(): void {}

  #writeSlab(): void {
    const slab = this.#slab!;
    const bytes = this.#used === slab.length ? slab : slab.subarray(0, this.#used);
    this.#slab = undefined;
    this.#used = 0;
    if (!this.#connection.write(bytes, () => returnSlab(slab))) this.loop.hold(true);
  }
}

/** The receiver of one connection: turns its events into inputs of its channel. */
class StreamInput implements StreamReceiver {
  readonly #loop: ChannelLoop;
  readonly #link: StreamLink;
  readonly #runtime: StreamRuntime;

  constructor(runtime: StreamRuntime, loop: ChannelLoop, link: StreamLink) {
    this.#runtime = runtime;
    this.#loop = loop;
    this.#link = link;
  }

  received(bytes: Uint8Array): void {
    this.#runtime.core.tick();
    this.#loop.receive(bytes);
    this.#runtime.schedule.flushBusy();
  }

  drained(): void {
    this.#runtime.core.tick();
    this.#loop.hold(false);
    this.#runtime.schedule.flushBusy();
  }

  closed(error?: string): void {
    this.#runtime.core.tick();
    this.#link.drop();
    this.#loop.gone(error ?? "closed by the peer");
  }
}

/** Runs the connections of one stream listener. */
export class StreamRuntime {
  readonly core: Core;
  readonly schedule: FlushSchedule;
  readonly #door: Door;
  readonly #endpoint: Endpoint;

  constructor(core: Core, door: Door, endpoint: Endpoint, schedule: FlushSchedule) {
    this.core = core;
    this.#door = door;
    this.#endpoint = endpoint;
    this.schedule = schedule;
  }

  /** Called for each accepted connection; undefined refuses it. */
  readonly accept = (connection: StreamConnection): StreamReceiver | undefined => {
    const { core } = this;
    core.tick();
    const limit = this.#door.policy.limits.connections;
    const refusal =
      this.#door.loops.size >= limit ? "quota" : this.#door.policy.admit(connection.peer, core.now);
    if (refusal !== "accepted") {
      core.counters.connectsRefused.value++;
      core.note(
        this.#door.gateway,
        { level: "info", event: "connection-refused", detail: { refusal } },
        { peer: `${connection.peer.address}:${connection.peer.port}` },
      );
      return undefined;
    }
    const link = new StreamLink(connection, this.schedule);
    const loop = new ChannelLoop(core, this.#door, link);
    link.loop = loop;
    loop.open(this.#endpoint);
    return new StreamInput(this, loop, link);
  };
}
