import type { Endpoint } from "../contract/endpoint.ts";
import type { Peer } from "../contract/peer.ts";
import type { Core } from "../door/core.ts";
import type { Door } from "../door/door.ts";
import { Burden, type Memory } from "../lib/memory.ts";
import { after, type Duration, milliseconds } from "../lib/time.ts";
import { type FlushSchedule, MergedOutput } from "../net/merged-output.ts";
import type { StreamConnection, StreamReceiver, TurnAway } from "../net/transport.ts";
import { ChannelLoop, type Link } from "./channel-loop.ts";

/** How long who makes us hold more is not read from while memory is scarce. */
const PAUSE = milliseconds(50);
/** One connection's output, as its channel's loop sees it. */
class StreamLink extends MergedOutput implements Link {
  loop!: ChannelLoop;
  readonly burden: Burden;

  constructor(connection: StreamConnection, schedule: FlushSchedule, memory: Memory) {
    super(connection, schedule);
    this.burden = new Burden(memory, () => this.loop.stop("overload"));
  }

  get peer(): Peer {
    return this.connection.peer;
  }

  get local(): string | undefined {
    return this.connection.local;
  }

  get backlog(): number {
    return this.connection.backlog;
  }

  protected override filled(): void {
    this.loop.hold(true);
  }

  pauseReading(): void {
    this.connection.pauseReading();
  }

  resumeReading(): void {
    this.connection.resumeReading();
  }

  close(_reason: string, parted = false): void {
    if (this.closed) {
      // It went before all that it had sent was worked on, which was held until now.
      this.burden.gone();
      return;
    }
    this.flush();
    this.closed = true;
    this.loop.door.closing++;
    this.connection.end(parted);
  }

  override drop(): void {
    if (this.closed) this.loop.door.closing--;
    super.drop();
  }

  /** Streams are known by their connection. */
  claim(): void {}
  unclaim(): void {}
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

  lost(): void {
    this.#runtime.core.tick();
    this.#loop.unheard();
  }

  ended(): void {
    this.#runtime.core.tick();
    this.#loop.ended("closed by the peer", "half");
  }

  closed(error?: string): void {
    this.#runtime.core.tick();
    this.#link.drop();
    this.#loop.ended(error ?? "closed by the peer", error === undefined ? "whole" : "broken");
    if (this.#loop.closed) this.#link.burden.gone();
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
    this.turnAway = {
      words: endpoint.turnAway?.bind(endpoint),
      refused: (peer, why) => {
        core.tick();
        core.counters.connectsRefused.value++;
        door.turnedAway(peer, "unauthenticated", why, "connect");
      },
    };
  }

  /** How long until the connection rate has room for one more. */
  readonly roomIn = (): Duration => {
    this.core.tick();
    return this.#door.policy.roomIn(this.core.now);
  };

  /** For clients whom the transport refuses. */
  readonly turnAway: TurnAway;

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
