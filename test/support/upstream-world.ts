/** An engine that keeps each session at a broker: the product's own, in the same virtual world. */
import { loadText } from "#core/config/load.ts";
import type { Endpoint } from "#core/contract/endpoint.ts";
import type { Peer } from "#core/contract/peer.ts";
import type { Core } from "#core/door/core.ts";
import { newCoreCounters } from "#core/door/core.ts";
import { Directory } from "#core/door/directory.ts";
import { Door } from "#core/door/door.ts";
import { Traffic } from "#core/door/traffic.ts";
import type { Deadlines } from "#core/drive/deadlines.ts";
import { StreamRuntime } from "#core/drive/stream-runtime.ts";
import { Memory } from "#core/lib/memory.ts";
import { type Duration, type Instant, minutes, seconds } from "#core/lib/time.ts";
import { FlushSchedule } from "#core/net/merged-output.ts";
import { DialError, type StreamReceiver } from "#core/net/transport.ts";
import type { ListenerPolicy } from "#core/policy/policy.ts";
import type { SessionEngine } from "#core/session/engine.ts";
import type { SessionsOptions } from "#core/session/sessions.ts";
import { ConnectBudget } from "#core/upstream/connect-budget.ts";
import { KnownVersions, newUpstreamCounters, Outage, type UpstreamContext } from "#core/upstream/context.ts";
import { Deafness } from "#core/upstream/deafness.ts";
import { type DeviceMemoryOf, UpstreamEngine } from "#core/upstream/engine.ts";
import type { UpstreamOptions } from "#core/upstream/options.ts";
import { patienceOf } from "#core/upstream/overdue.ts";
import type { Server, ServerChoice } from "#core/upstream/server-choice.ts";
import type { MqttConfig } from "#gateways/mqtt/config.ts";
import { mqtt } from "#gateways/mqtt/index.ts";
import { type PipeEnd, virtualPipe } from "./virtual-pipe.ts";

/** What it needs of its world. */
export interface Surroundings {
  readonly deadlines: Deadlines;
  readonly random: () => number;
  now(): Instant;
  defer(run: () => void): void;
  /** The engine of the broker itself. */
  readonly embedded: SessionEngine;
  readonly policy: ListenerPolicy;
}

/** Servers of a test's own. */
export interface Before {
  choice(surroundings: Surroundings): ServerChoice;
  readonly options?: Partial<UpstreamOptions>;
}

const UPSTREAM_OPTIONS: UpstreamOptions = {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is a placeholder of the configuration
  clientId: "${clientid}",
  credentials: "device",
  username: "",
  password: "",
  keepAlive: minutes(1),
  pingTimeout: seconds(10),
  connackTimeout: seconds(10),
  patience: seconds(10),
  reconnect: { first: seconds(1), longest: minutes(2) },
  connects: { rate: Number.POSITIVE_INFINITY, parallel: 10_000 },
  grace: seconds(30),
  linger: seconds(30),
  buffer: { messages: 1_000, bytes: 1 << 24 },
  receiveMaximum: 100,
  packetSize: 268_435_455,
  topicAliases: 0,
  sleepers: { whileAsleep: "release", holdFor: minutes(5) },
  quiet: 0 as Duration,
  flushMax: 1_000,
  pool: { connections: 2, lookupTimeout: seconds(5) },
  redirects: false,
};

let defaults: MqttConfig | undefined;

/** A broker that listens in the virtual world. */
export class VirtualBroker {
  readonly runtime: StreamRuntime;
  readonly core: Core;
  /** Nobody is there: connections are refused. */
  down = false;
  /** It closes the connection over what holds this text, without a word. */
  closesOver: string | undefined = undefined;
  readonly #surroundings: Surroundings;
  readonly #open = new Set<PipeEnd>();
  #ports = 1;

  constructor(surroundings: Surroundings, config: Partial<MqttConfig> = {}) {
    this.#surroundings = surroundings;
    const { deadlines, embedded, random, policy } = surroundings;
    const now = () => surroundings.now();
    const counter = () => ({ value: 0 });
    this.core = {
      now: now(),
      tick() {
        this.now = now();
      },
      engine: embedded,
      directory: new Directory(embedded),
      alarms: deadlines,
      counters: newCoreCounters(counter),
      traffic: new Traffic(),
      random: (length) => Uint8Array.from({ length }, () => Math.floor(random() * 256)),
      note: (_gateway, note) => {
        if (note.event === "channel-failure") throw new Error(String(note.detail?.["error"]));
      },
      events: {},
      healthy: () => true,
      trace: undefined,
      memory: new Memory(),
      refused: () => {},
    };
    defaults ??= loadText([mqtt], "").config.gateways["mqtt"] as unknown as MqttConfig;
    const gateway = mqtt.open(
      { ...defaults, ...config },
      {
        counter,
        random: this.core.random,
        note: () => {},
        healthy: () => true,
        readFile: () => new Uint8Array(0),
        listFiles: () => [],
        offered: () => [],
        channelOf: () => undefined,
        remembered: () => [],
        promised: () => {},
        alarms: deadlines,
        lastWord: () => {},
        clearRetained: () => {},
        shelf: { put: () => {}, remove: () => {}, entries: () => [] },
      },
    );
    const endpoint: Endpoint = gateway.endpoint({ name: "broker", transport: "tcp" });
    const schedule = new FlushSchedule((run) => surroundings.defer(run));
    this.runtime = new StreamRuntime(this.core, new Door(this.core, policy), endpoint, schedule);
  }

  readonly server: Server = {
    name: "tcp://broker:1883",
    version: "auto",
    caps: { maximumQoS: 2, retain: true, shared: true, wildcards: true, notInTopics: "" },
    dial: (connected, failed) => {
      let cancelled = false;
      this.#surroundings.defer(() => {
        if (cancelled) return;
        if (this.down) failed(new DialError("connection-refused", "nobody listens"));
        else this.#connect(connected);
      });
      return {
        cancel: () => {
          cancelled = true;
        },
      };
    },
  };

  #connect(connected: Parameters<Server["dial"]>[0]): void {
    const here: Peer = { transport: "tcp", address: "10.9.9.9", port: this.#ports++ };
    const there: Peer = { transport: "tcp", address: "10.8.8.8", port: 1883 };
    const [ours, theirs] = virtualPipe(there, here, (run) => this.#surroundings.defer(run));
    const receiver = this.runtime.accept(theirs);
    theirs.receiver = receiver === undefined ? undefined : this.#closing(theirs, receiver);
    ours.receiver = connected(ours);
    this.#open.add(ours);
    if (receiver === undefined || ours.receiver === undefined) ours.end();
  }

  #closing(end: PipeEnd, receiver: StreamReceiver): StreamReceiver {
    return {
      received: (bytes) => {
        if (this.closesOver !== undefined && Buffer.from(bytes).includes(this.closesOver)) end.end();
        else receiver.received(bytes);
      },
      drained: () => receiver.drained(),
      ended: () => receiver.ended(),
      closed: (error) => receiver.closed(error),
    };
  }

  /** Breaks all connections. */
  cut(): void {
    for (const end of this.#open) end.cut("connection reset");
    this.#open.clear();
  }
}

export function upstreamContext(
  surroundings: Surroundings,
  choice: ServerChoice,
  tick: () => void,
  options: Partial<UpstreamOptions> = {},
): UpstreamContext {
  const whole = { ...UPSTREAM_OPTIONS, ...options };
  const { deadlines, random } = surroundings;
  return {
    options: whole,
    choice,
    alarms: deadlines,
    clock: { now: () => surroundings.now() },
    tick,
    random,
    budget: new ConnectBudget(whole.connects, deadlines),
    schedule: new FlushSchedule((run) => surroundings.defer(run)),
    defer: (run) => surroundings.defer(run),
    counters: newUpstreamCounters(),
    versions: new KnownVersions(),
    outage: new Outage(),
    deafness: new Deafness(deadlines, patienceOf(whole)),
    note: () => {},
  };
}

export const onlyServer = (server: Server): ServerChoice => ({
  choose: () => server,
  succeeded: () => {},
  answered: () => {},
  failed: () => {},
  left: () => {},
});

export function upstreamEngine(
  context: UpstreamContext,
  sessions: SessionsOptions & { readonly failuresMax: number; readonly inboundMax: number },
  devices?: DeviceMemoryOf,
): UpstreamEngine {
  const delayed = { messages: 10_000, bytes: 1 << 24 };
  return new UpstreamEngine({ context, name: "gateway", sessions, delayed, devices });
}
