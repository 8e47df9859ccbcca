/**
 * A world in virtual time: the real bus, sessions, door, loops and runtimes over a transport that is an array.
 * Nothing happens unless a test sends bytes or moves the clock, and then everything that follows has happened
 * before the call returns.
 */
import type { Subscriber } from "../bus/bus.ts";
import type { Commits } from "../bus/commits.ts";
import type { DelayedJournal } from "../bus/delayed.ts";
import type { EmbeddedBus, EmbeddedBusOptions } from "../bus/embedded.ts";
import type { Gate } from "../bus/gate.ts";
import { Message, type MessageOptions, type QoS } from "../bus/message.ts";
import type { RetainedJournal } from "../bus/retained.ts";
import type { Endpoint } from "../contract/endpoint.ts";
import type { Gateway, GatewayModule } from "../contract/gateway.ts";
import type { Counter, Note } from "../contract/note.ts";
import type { Refused, RefusedTo } from "../contract/refused.ts";
import { buildCore, type CoreOptions, type CoreParts } from "../core.ts";
import type { Arrival, ClientEvent, Core, Leaving } from "../door/core.ts";
import type { Door } from "../door/door.ts";
import type { Doors } from "../door/doors.ts";
import type { Judgement } from "../door/judgement.ts";
import { DatagramRuntime } from "../drive/datagram-runtime.ts";
import type { Deadlines } from "../drive/deadlines.ts";
import type { Gateways } from "../drive/gateways.ts";
import type { Roaming } from "../drive/peers.ts";
import type { Alarm } from "../lib/alarm.ts";
import type { MemoryLimits } from "../lib/memory.ts";
import { after, type Duration, days, FOREVER, type Instant, minutes, seconds, ZERO } from "../lib/time.ts";
import { FlushSchedule } from "../net/merged-output.ts";
import type { Identity, ListenerLimits, ListenerPolicy, Verdict } from "../policy/policy.ts";
import type { SessionOptions } from "../session/context.ts";
import type { SessionCounters } from "../session/counters.ts";
import type { EmbeddedEngine } from "../session/embedded-engine.ts";
import type { SessionEngine } from "../session/engine.ts";
import type { Followers } from "../session/followers.ts";
import type { SessionJournal } from "../session/journal.ts";
import type { Sessions, SessionsOptions } from "../session/sessions.ts";
import { shelvesOf } from "../session/shelf.ts";
import type { Store } from "../session/store.ts";
import type { Tracing } from "../trace/tracing.ts";
import { DatagramNetwork } from "./datagrams.ts";
import { mulberry32 } from "./random.ts";
import { StreamListener } from "./streams.ts";

export interface WorldOptions {
  readonly seed?: number;
  readonly start?: number;
  readonly bus?: Partial<EmbeddedBusOptions>;
  readonly session?: Partial<SessionOptions>;
  readonly memory?: MemoryLimits;
  readonly expiryMax?: Duration;
  readonly sessions?: number;
  /** Sessions of clients that are away and have never proven their address. */
  readonly unproven?: number;
  readonly otherUser?: SessionsOptions["otherUser"];
  readonly queues?: SessionsOptions["queues"];
  readonly limits?: Partial<ListenerLimits>;
  /** Overrides of the policy of every listener; what is missing allows everything. */
  readonly policy?: Partial<ListenerPolicy>;
  readonly roaming?: Roaming;
  readonly journal?: SessionJournal & RetainedJournal & DelayedJournal;
  readonly commits?: Commits;
  /** For what gateways keep beside sessions. */
  readonly store?: Store;
  readonly beaconTo?: readonly { address: string; port: number }[];
  /** A channel may fail, which is a bug of ours in every other test. */
  readonly mayFail?: boolean;
  /** Files that gateways may read by path. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
  /** Where sessions are, if not in this world's own bus. */
  readonly engine?: (embedded: EmbeddedEngine, deadlines: Deadlines, world: World) => SessionEngine;
  /** What such an engine keeps for longer than its devices are there goes with the world. */
  readonly endEngine?: (world: World) => void;
}

const UNLIMITED: ListenerLimits = {
  connections: 1_000_000,
  connectionRate: Number.POSITIVE_INFINITY,
  messageRate: Number.POSITIVE_INFINITY,
  byteRate: Number.POSITIVE_INFINITY,
  packetSize: 1_048_576,
  topicLevels: 128,
  subscriptions: 10_000,
  connectTimeout: 10_000 as Duration,
  stallTimeout: FOREVER,
};

/** Events that only a fault of a gateway causes. */
const FAILURES: readonly string[] = ["channel-failure", "plug-in-failure"];

export class World implements CoreParts {
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
  readonly notes: { gateway: string; note: Note; about: { peer?: string; client?: string } | undefined }[] =
    [];
  readonly refusals: (RefusedTo & Omit<Refused, "by"> & { by: string })[] = [];
  readonly connects: (ClientEvent & Arrival)[] = [];
  readonly disconnects: ({ event: ClientEvent; reason: string } & Leaving)[] = [];
  readonly counters = new Map<string, Counter>();
  readonly random: () => number;
  readonly #options: WorldOptions;
  readonly #deferred: (() => void)[] = [];
  readonly schedule: FlushSchedule;
  #healthy = true;
  /** What tests override for a listener, by its name. */
  readonly #overrides = new Map<string, Partial<ListenerPolicy>>();
  readonly #rules = new Map<string, ListenerPolicy>();
  readonly #attached: [Subscriber, string][] = [];
  readonly #alarms = new Set<Alarm>();
  readonly #runtimes: DatagramRuntime[] = [];
  readonly #endpoints: Endpoint[] = [];
  #ended = false;
  #now: Instant;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.random = mulberry32(options.seed ?? 1);
    this.#now = (options.start ?? 1_700_000_000_000) as Instant;
    const { journal, commits, files = {} } = options;
    const parts = buildCore(
      {
        bus: { ...BUS, ...options.bus, queues: options.queues },
        ...(options.memory === undefined ? {} : { memory: options.memory }),
        session: { ...SESSION, ...options.session, ...sessionsOf(options) },
      },
      {
        clock: { now: () => this.#now },
        policy: { listener: (gateway, listener) => this.#rulesOf(gateway, listener) },
        chance: this.random,
        random: (length) => Uint8Array.from({ length }, () => Math.floor(this.random() * 256)),
        counters: () => (name, _help, kind) => this.counter(kind === undefined ? name : `${name}:${kind}`),
        note: (_now, gateway, note, about) => {
          if (FAILURES.includes(note.event) && options.mayFail !== true)
            throw new Error(String(note.detail?.["error"]));
          this.notes.push({ gateway, note, about });
        },
        refused: (_now, to, { what, asked, refusal, by }) =>
          this.refusals.push({ ...to, what, asked, refusal, by: by() }),
        events: {
          connected: (event, how) => this.connects.push({ ...event, ...how }),
          disconnected: (event, reason, leaving) => this.disconnects.push({ event, reason, ...leaving }),
        },
        healthy: () => this.#healthy,
        readFile: (path) => {
          const bytes = files[path];
          if (bytes === undefined) throw new Error(`no such file in this world: ${path}`);
          return bytes;
        },
        listFiles: (folder) =>
          Object.keys(files)
            .filter((path) => path.startsWith(`${folder}/`))
            .map((path) => path.slice(folder.length + 1))
            .sort(),
        shelf: shelvesOf(options.store),
        defer: (run) => this.defer(run),
        keeping: () => ({ journal, commits }),
        engine: (embedded, { deadlines }) => options.engine?.(embedded, deadlines, this) ?? embedded,
      },
    );
    this.core = parts.core;
    this.deadlines = parts.deadlines;
    this.bus = parts.bus;
    this.gate = parts.gate;
    this.sessions = parts.sessions;
    this.followers = parts.followers;
    this.sessionCounters = parts.sessionCounters;
    this.doors = parts.doors;
    this.gateways = parts.gateways;
    this.judgement = parts.judgement;
    this.tracing = parts.tracing;
    this.schedule = new FlushSchedule((run) => this.#deferred.push(run));
  }

  get now(): Instant {
    return this.#now;
  }

  set healthy(healthy: boolean) {
    this.#healthy = healthy;
  }

  counter(name: string): Counter {
    let counter = this.counters.get(name);
    if (counter === undefined) {
      counter = { value: 0 };
      this.counters.set(name, counter);
    }
    return counter;
  }

  /** Puts something off to the end of the turn. */
  defer(run: () => void): void {
    this.#deferred.push(run);
  }

  /** Runs what was put off to the end of the turn: of this one alone, or also what that puts off. */
  settle(how: "one turn" | "all" = "all"): void {
    if (how === "one turn") for (const run of this.#deferred.splice(0)) run();
    else for (let run = this.#deferred.shift(); run !== undefined; run = this.#deferred.shift()) run();
  }

  /** Moves the clock, stopping at each deadline on the way. */
  advance(by: Duration): void {
    const target = after(this.#now, by);
    for (let due = this.deadlines.next(); due <= target; due = this.deadlines.next()) {
      if (due > this.#now) this.#now = due;
      this.core.tick();
      this.deadlines.advance(this.#now);
      this.settle();
    }
    this.#now = target;
    this.core.tick();
    this.deadlines.advance(target);
    this.settle();
  }

  /** Moves to the next deadline, if there is one within `limit`; false when there was none. */
  step(limit: Duration): boolean {
    const due = this.deadlines.next();
    if (due > after(this.#now, limit)) return false;
    this.advance(Math.max(0, due - this.#now) as Duration);
    return true;
  }

  // ---- the other side of the bus

  /** Publishes as if from another gateway. */
  publish(topic: string, payload: string | Uint8Array, options: MessageOptions = {}): void {
    const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    this.core.tick();
    const { qos = 0, retain = false, properties, expiry } = options;
    const message = new Message(topic, bytes, qos, retain, this.#now, properties, expiry);
    this.gate.publish(message, undefined, "system");
    this.settle();
  }

  /** As an alarm of the test's own. */
  ring(alarm: Alarm, due: Instant): void {
    this.#alarms.add(alarm);
    this.deadlines.arm(alarm, due);
  }

  /** Collects what is published to a filter, as a subscriber that is always ready. */
  listen(filter: string, qos: QoS = 2): Message[] {
    const heard: Message[] = [];
    const listener = {
      key: `listener-${this.#attached.length}`,
      available: true,
      deliver: (message: Message) => void heard.push(message),
    };
    this.attach(listener, filter, qos);
    return heard;
  }

  /** Subscribes something of the test's own, until this world ends. */
  attach(subscriber: Subscriber, filter: string, qos: QoS): void {
    this.#attached.push([subscriber, filter]);
    const grant = { qos, noLocal: false, retainAsPublished: true, identifier: undefined };
    this.bus.subscribe(subscriber, filter, grant);
  }

  // ---- gateways

  open<Config>(module: GatewayModule<Config>, config: Config): Gateway<Config> {
    return this.gateways.open(module, config);
  }

  /** A stream listener of a gateway. */
  streams(gateway: string, endpoint: Endpoint, policy: Partial<ListenerPolicy> = {}): StreamListener {
    return new StreamListener(this, this.#door(gateway, policy), endpoint);
  }

  /** A datagram listener of a gateway, and the network in front of it. */
  datagrams(gateway: string, endpoint: Endpoint, policy: Partial<ListenerPolicy> = {}): DatagramNetwork {
    const runtime = new DatagramRuntime(
      this.core,
      this.#door(gateway, policy),
      endpoint,
      {
        transport: "udp",
        roaming: this.#options.roaming ?? "anywhere",
        backlogMax: 1_000_000,
        beaconTo: this.#options.beaconTo ?? [],
      },
      (run) => this.#deferred.push(run),
    );
    this.#runtimes.push(runtime);
    this.#endpoints.push(endpoint);
    const network = new DatagramNetwork(this, runtime);
    runtime.bind(network);
    return network;
  }

  /** What a reload does: all that was allowed before is judged by the rules now in force. */
  judge(): void {
    for (const _ of this.judgement.steps());
    this.settle();
  }

  // ---- the end

  /** The process is gone without a word: nothing of it can be looked at any more. */
  kill(): void {
    this.#ended = true;
  }

  /** Ends as a process that stops, then lets go of what outlives that; what is left should not be. */
  end(): readonly string[] {
    if (this.#ended) return [];
    this.#ended = true;
    this.settle();
    for (const { loops } of this.doors) for (const loop of [...loops]) loop.stop("shutdown");
    this.settle();
    const left = this.#ofPeers();
    for (const [name] of [...this.gateways]) this.gateways.close(name);
    for (const runtime of this.#runtimes) runtime.close();
    for (const alarm of this.#alarms) this.deadlines.disarm(alarm);
    const { recordings } = this.tracing;
    for (const { id } of recordings.running) recordings.stop(id);
    // Some say goodbye slowly.
    this.advance(minutes(1));
    this.#options.endEngine?.(this);
    if (this.sessions.connected > 0) left.push(`${this.sessions.connected} sessions in use`);
    for (const session of [...this.sessions.all()]) this.sessions.discard(session);
    this.settle();
    for (const [subscriber, filter] of this.#attached) this.bus.unsubscribe(subscriber, filter);
    return [...left, ...this.#ofCore()];
  }

  #ofPeers(): string[] {
    const counts: [number, string][] = [...this.doors].map(({ loops }) => [loops.size, "channels"]);
    for (const { peers, unproven } of this.#runtimes) {
      counts.push([peers.count, "addresses"], [peers.claims, "claims"], [unproven.count, "unproven peers"]);
    }
    for (const endpoint of this.#endpoints) {
      for (const [name, count] of Object.entries((endpoint as { held?: object }).held ?? {}))
        counts.push([count as number, `${name} of a listener`]);
    }
    return said(counts);
  }

  #ofCore(): string[] {
    const { sessions, core, bus, gate, deadlines } = this;
    return said([
      [sessions.count, "sessions"],
      [sessions.timed, "timers of sessions"],
      [core.directory.count, "clients in the directory"],
      [core.directory.connected, "connected clients in the directory"],
      [bus.filters, "filters"],
      [deadlines.armed - gate.delayed.waiting, "alarms"],
    ]);
  }

  #door(gateway: string, policy: Partial<ListenerPolicy>): Door {
    const name = `test ${this.#overrides.size}`;
    this.#overrides.set(name, policy);
    return this.doors.open(gateway, name);
  }

  /** By the name of a listener; clients know that only as `test`, and are judged by the rules made last. */
  #rulesOf(gateway: string, listener: string): ListenerPolicy {
    const overrides = this.#overrides.get(listener);
    if (overrides === undefined) return this.#rules.get(gateway) ?? permissive(gateway);
    const rules = permissive(gateway, { ...this.#options.policy, ...overrides }, this.#options.limits);
    this.#rules.set(gateway, rules);
    return rules;
  }
}

const BUS: CoreOptions["bus"] = {
  retained: { messages: 100_000, payloadSize: 1_048_576, bytes: 1 << 30 },
  shareStrategy: "round_robin",
  shareStrategies: {},
  routeCache: 1000,
  delayed: { messages: 10_000, bytes: 1 << 24 },
};

export const SESSION = {
  queue: { messages: 1000, bytes: 1 << 24, drop: "oldest", wait: seconds(2) },
  queueQos0: true,
  inboundMax: 100,
  failuresMax: 3,
} as const;

const sessionsOf = ({ expiryMax, sessions, otherUser, unproven }: WorldOptions): SessionsOptions => ({
  expiryMax: expiryMax ?? days(3650),
  sessions: sessions ?? 1_000_000,
  unproven: unproven ?? 1_000_000,
  replayMax: 100_000,
  otherUser: otherUser ?? "refuse",
});

const said = (counts: readonly (readonly [number, string])[]): string[] =>
  counts.filter(([count]) => count !== 0).map(([count, what]) => `${count} ${what}`);

/** A policy that allows everything but what a test overrides. */
export function permissive(
  gateway: string,
  overrides: Partial<ListenerPolicy> = {},
  limits: Partial<ListenerLimits> = {},
): ListenerPolicy {
  return {
    gateway,
    listener: "test",
    limits: { ...UNLIMITED, ...limits },
    allows: () => "accepted",
    admit: () => "accepted",
    roomIn: () => ZERO,
    authenticate: (request, peer): Verdict => {
      const identity: Identity = {
        gateway,
        listener: "test",
        clientId: request.clientId,
        username: request.username,
        proven: undefined,
        endpointName: request.endpointName,
        peer,
        superuser: false,
        expiresAt: undefined,
      };
      return { ok: true, identity };
    },
    mayStay: () => "accepted",
    disconnected: () => {},
    mayPublish: () => true,
    maySubscribe: () => true,
    ask: () => Promise.resolve(true),
    asks: false,
    mountpoint: () => "",
    rewritePublish: undefined,
    rewriteSubscribe: undefined,
    automaticSubscriptions: () => [],
    revoked: "disconnect",
    generation: 0,
    ...overrides,
  };
}
