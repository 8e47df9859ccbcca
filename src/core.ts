/**
 * The gateway without its edges: bus, sessions, the door and the gateways, put together once. Sockets, files, the clock
 * and the configured policy are given to it, by the process (`compose.ts`) or by a world of virtual time.
 */
import type { Commits } from "./bus/commits.ts";
import type { DelayedJournal, DelayedLimits } from "./bus/delayed.ts";
import { EmbeddedBus, type EmbeddedBusOptions } from "./bus/embedded.ts";
import { Gate } from "./bus/gate.ts";
import type { RetainedJournal } from "./bus/retained.ts";
import type { GatewayHost, Shelf } from "./contract/gateway.ts";
import { type Core, type CoreEvents, newCoreCounters } from "./door/core.ts";
import { Directory } from "./door/directory.ts";
import { Doors } from "./door/doors.ts";
import { tellSubscriptionsEnd } from "./door/hook-client.ts";
import { Judgement } from "./door/judgement.ts";
import { MemoryWatch } from "./door/memory-watch.ts";
import { Traffic } from "./door/traffic.ts";
import { Deadlines } from "./drive/deadlines.ts";
import { type GatewaySurroundings, Gateways } from "./drive/gateways.ts";
import { Memory, type MemoryLimits } from "./lib/memory.ts";
import { after, type Clock, type Instant, minutes, ZERO } from "./lib/time.ts";
import type { Policy } from "./policy/policy.ts";
import { BackPressure } from "./session/back-pressure.ts";
import { overflow, type SessionContext, type SessionOptions, UNPROVEN_ENDED } from "./session/context.ts";
import { newSessionCounters, type SessionCounters } from "./session/counters.ts";
import { EmbeddedEngine } from "./session/embedded-engine.ts";
import type { SessionEngine } from "./session/engine.ts";
import { Followers } from "./session/followers.ts";
import type { SessionJournal } from "./session/journal.ts";
import type { QueueOptions } from "./session/kept-queues.ts";
import { Sessions, type SessionsOptions } from "./session/sessions.ts";
import { Turns } from "./session/turns.ts";
import { Tracing } from "./trace/tracing.ts";

export interface CoreOptions {
  readonly bus: EmbeddedBusOptions & { readonly delayed: DelayedLimits } & QueueOptions;
  readonly session: SessionOptions & SessionsOptions;
  readonly memory?: MemoryLimits;
}

/** How long a flood has to be over until the next one is noted. */
const FLOOD_OVER = minutes(1);

/** What keeps sessions and retained messages, if anything does. */
export interface Keeping {
  readonly journal: (SessionJournal & RetainedJournal & DelayedJournal) | undefined;
  readonly commits: Commits | undefined;
}

/** Time as what is running sees it: the time of the input that is being processed. */
export interface Turn extends Clock {
  tick(): void;
}

/** What an engine is given that is made here. */
export interface EngineSurroundings {
  readonly deadlines: Deadlines;
  readonly turn: Turn;
  readonly memory: Memory;
  readonly journal: DelayedJournal | undefined;
  readonly commits: Commits | undefined;
  shelf(name: string): Shelf;
  note(...note: Parameters<Core["note"]>): void;
}

export interface Surroundings extends GatewaySurroundings {
  readonly clock: Clock;
  readonly policy: Policy;
  /** From 0 to below 1: which member of a group gets a message. */
  chance(): number;
  /** Bytes that nobody can guess. */
  random(length: number): Uint8Array;
  note(now: Instant, ...note: Parameters<Core["note"]>): void;
  refused(now: Instant, ...refused: Parameters<Core["refused"]>): void;
  readonly events: CoreEvents;
  healthy(): boolean;
  /** Runs something at the end of this turn of the event loop. */
  defer(run: () => void): void;
  keeping?(turn: Turn): Keeping;
  /** Where sessions are, if not in this process. */
  engine?(embedded: EmbeddedEngine, around: EngineSurroundings): SessionEngine;
}

/** The parts, for those who observe, operate and test them. */
export interface CoreParts {
  readonly core: Core;
  readonly deadlines: Deadlines;
  readonly bus: EmbeddedBus;
  readonly gate: Gate;
  readonly sessions: Sessions;
  readonly followers: Followers;
  readonly sessionCounters: SessionCounters;
  readonly doors: Doors;
  readonly gateways: Gateways;
  readonly judgement: Judgement;
  readonly tracing: Tracing;
}

export function buildCore(options: CoreOptions, surroundings: Surroundings): CoreParts {
  const { clock, policy } = surroundings;
  const counter: GatewayHost["counter"] = surroundings.counters("");
  const counters = newCoreCounters(counter);
  const sessionCounters = newSessionCounters(counter);
  const deadlines = new Deadlines(clock.now());
  const memory = new Memory(options.memory);
  // Sessions take the time of the input that is being processed: reading the clock for each message would cost.
  const turn: Turn = { now: () => core.now, tick: () => core.tick() };
  const { journal, commits } = surroundings.keeping?.(turn) ?? {};
  const bus = new EmbeddedBus(options.bus, clock, surroundings.chance, journal, memory);
  const gate = new Gate(bus, {
    alarms: deadlines,
    delayed: options.bus.delayed,
    journal,
    commits,
    memory,
    unheard: counters.messagesNoSubscribers,
  });
  const { wait = ZERO, bytes } = options.session.queue;
  const pressure = new BackPressure({ gate, alarms: deadlines, counters: sessionCounters, wait, bytes });
  let quietUntil = clock.now();
  const context: SessionContext = {
    pressure,
    memory,
    options: options.session,
    clock: turn,
    counters: sessionCounters,
    gate,
    journal,
    turns: new Turns((run) =>
      surroundings.defer(() => {
        core.tick();
        run();
      }),
    ),
    tooManyUnproven: (gateway) => {
      if (core.now >= quietUntil) core.note(gateway, UNPROVEN_ENDED);
      quietUntil = after(core.now, FLOOD_OVER);
    },
    overflowed: (gateway, client, dropped) => core.note(gateway, overflow(dropped), { client }),
  };
  const { queues, queuesMax } = options.bus;
  const sessions = new Sessions(gate, deadlines, context, { ...options.session, queues, queuesMax });
  const embedded = new EmbeddedEngine(sessions, commits, pressure);
  const note: Core["note"] = (...note) => core.note(...note);
  const engine =
    surroundings.engine?.(embedded, {
      ...{ deadlines, turn, memory, journal, commits, note },
      shelf: (name) => surroundings.shelf(name),
    }) ?? embedded;
  const core: Core = {
    now: clock.now(),
    tick() {
      this.now = clock.now();
    },
    engine,
    directory: new Directory(engine, (attendance) => tellSubscriptionsEnd(core.hooks, attendance)),
    alarms: deadlines,
    counters,
    traffic: new Traffic(),
    random: surroundings.random,
    note(...note) {
      surroundings.note(this.now, ...note);
    },
    trace: undefined,
    refused(...refused) {
      surroundings.refused(this.now, ...refused);
      this.trace?.refused(...refused);
    },
    events: surroundings.events,
    memory,
    healthy: surroundings.healthy,
  };
  const doors = new Doors(core, policy);
  const watch = new MemoryWatch(core, doors);
  memory.check = () => watch.check();
  const judgement = new Judgement(core, policy, () => doors);
  const gateways = new Gateways(core, surroundings);
  const tracing = new Tracing({
    core,
    gate,
    sessions: context,
    dissectors: (gateway, of) => gateways.dissector(gateway, of),
    now: () => clock.now(),
  });
  return {
    core,
    deadlines,
    bus,
    gate,
    sessions,
    followers: new Followers(context),
    sessionCounters,
    doors,
    gateways,
    judgement,
    tracing,
  };
}
