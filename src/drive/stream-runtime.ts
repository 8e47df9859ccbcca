import type { Endpoint } from "../contract/endpoint.ts";
import type { Peer } from "../contract/peer.ts";
import type { Core } from "../door/core.ts";
import type { Door } from "../door/door.ts";
import { copyOf } from "../lib/bytes.ts";
import { Burden, type Memory } from "../lib/memory.ts";
import { lendSlab, returnSlab, SLAB_SIZES } from "../lib/slabs.ts";
import { after, type Duration, milliseconds } from "../lib/time.ts";
import type { StreamConnection, StreamReceiver } from "../net/transport.ts";
import { ChannelLoop, type Link } from "./channel-loop.ts";

/** How long who makes us hold more is not read from while memory is scarce. */
const PAUSE = milliseconds(50);
/** Bytes above which a packet is passed on as it is instead of being copied into the slab. */
const COPY_MAX = 8192;

/**
 * Writes are coalesced: sends fill a slab per connection, and slabs are written where that is cheapest. A
 * connection that was sent several packets while one chunk was read is written after that chunk; single packets
 * wait until all sockets that are readable in this turn of the event loop have been read.
 */
export class FlushSchedule {
  /** Sent something while the present chunk is read. */
  readonly #touched: StreamLink[] = [];
  /** Have one packet from some earlier chunk of this turn. */
  readonly #waiting: StreamLink[] = [];
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

  touch(link: StreamLink): void {
    this.#touched.push(link);
    if (this.#deferred) return;
    this.#deferred = true;
    this.#defer(this.#run);
  }

  /** After a chunk: writes to whom it caused several packets, keeps single ones for later. */
  flushBusy(): void {
    const touched = this.#touched;
    for (let index = 0; index < touched.length; index++) {
      const link = touched[index]!;
      if (link.packets > 1) link.flush();
      else if (!link.waiting) {
        link.waiting = true;
        this.#waiting.push(link);
      }
      link.packets = 0;
    }
    touched.length = 0;
  }

  flushAll(): void {
    this.flushBusy();
    const waiting = this.#waiting;
    for (let index = 0; index < waiting.length; index++) {
      const link = waiting[index]!;
      link.waiting = false;
      link.flush();
    }
    waiting.length = 0;
  }
}

/** One connection's output: a slab that is written when it is full or flushed. */
class StreamLink implements Link {
  readonly #connection: StreamConnection;
  readonly #schedule: FlushSchedule;
  /** WebSockets keep message boundaries, so nothing is merged there. */
  readonly #merging: boolean;
  loop!: ChannelLoop;
  readonly burden: Burden;
  /** Sends while the present chunk is read. */
  packets = 0;
  /** In the schedule's list of those written at the end of the turn. */
  waiting = false;
  #slab: Uint8Array | undefined = undefined;
  #used = 0;
  #sizeClass = 0;
  /** Slabs that the kernel has not taken yet. */
  #lent: Uint8Array[] | undefined = undefined;
  #closed = false;

  constructor(connection: StreamConnection, schedule: FlushSchedule, memory: Memory) {
    this.burden = new Burden(memory, () => this.loop.stop("overload"));
    this.#connection = connection;
    this.#schedule = schedule;
    this.#merging = connection.peer.transport === "tcp" || connection.peer.transport === "tls";
  }

  get peer(): Peer {
    return this.#connection.peer;
  }

  get backlog(): number {
    return this.#connection.backlog;
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
    if (this.packets++ === 0) this.#schedule.touch(this);
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
    this.burden.gone();
    if (this.#closed) this.loop.door.closing--;
    this.#closed = true;
    if (this.#slab !== undefined) returnSlab(this.#slab);
    this.#slab = undefined;
  }

  /** Streams are known by their connection. */
  claim(): void {}
  unclaim(): void {}

  #writeSlab(): void {
    const connection = this.#connection;
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
    if (!room) this.loop.hold(true);
  }

  #reclaim(lent: readonly Uint8Array[]): void {
    this.#lent = undefined;
    for (const slab of lent) returnSlab(slab);
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
    const { core, schedule } = this.#runtime;
    core.tick();
    const before = core.memory.held;
    this.#loop.receive(bytes);
    this.#weigh(before);
    schedule.flushBusy();
  }

  gathering(bytes: number): void {
    const { core } = this.#runtime;
    core.tick();
    const before = core.memory.held;
    this.#link.burden.gathering = bytes;
    this.#weigh(before);
  }

  /** Who makes us hold more pays for it, when there is little left. */
  #weigh(before: number): void {
    const loop = this.#loop;
    const { burden, backlog } = this.#link;
    const { memory, now } = this.#runtime.core;
    burden.weigh(loop.channel.buffered ?? 0, backlog);
    if (burden.stranger && loop.clients().length > 0) burden.welcome();
    if (memory.held <= before) return;
    if (burden.tooMuch) loop.stop("overload");
    else if (memory.scarce) loop.throttle(after(now, PAUSE));
    if (memory.full || memory.crowded) memory.check();
  }

  drained(): void {
    this.#runtime.core.tick();
    this.#loop.hold(false);
    this.#weigh(this.#runtime.core.memory.held);
    this.#runtime.schedule.flushBusy();
  }

  ended(): void {
    this.#runtime.core.tick();
    this.#loop.ended("closed by the peer", "half");
  }

  closed(error?: string): void {
    this.#runtime.core.tick();
    this.#link.drop();
    this.#loop.ended(error ?? "closed by the peer", error === undefined ? "whole" : "broken");
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

  /** How long until the connection rate has room for one more. */
  readonly roomIn = (): Duration => {
    this.core.tick();
    return this.#door.policy.roomIn(this.core.now);
  };

  /** Called for each accepted connection; undefined refuses it. */
  readonly accept = (connection: StreamConnection): StreamReceiver | undefined => {
    const { core } = this;
    if (this.#door.shut) return undefined;
    core.tick();
    const limit = this.#door.policy.limits.connections;
    const refusal =
      this.#door.loops.size >= limit || core.memory.refuses
        ? "quota"
        : this.#door.policy.admit(connection.peer, core.now);
    if (refusal !== "accepted") {
      core.counters.connectsRefused.value++;
      this.#door.turnedAway(connection.peer, refusal);
      return undefined;
    }
    const link = new StreamLink(connection, this.schedule, core.memory);
    const loop = new ChannelLoop(this.#door, link);
    link.loop = loop;
    loop.open(this.#endpoint);
    return new StreamInput(this, loop, link);
  };
}
