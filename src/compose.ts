/** Puts the parts together: from a configuration to a running gateway. Only `main.ts` knows which gateways there are. */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { EmbeddedBus } from "./bus/embedded.ts";
import { Gate } from "./bus/gate.ts";
import { locate } from "./config/installation.ts";
import {
  datagramOptions,
  isDatagram,
  type OpenListener,
  openListeners,
  streamOptions,
} from "./config/listeners.ts";
import { type AuthenticationObserver, policySettings } from "./config/policy-settings.ts";
import type { Config } from "./config/schema.ts";
import type { GatewayHost, GatewayModule } from "./contract/gateway.ts";
import { type Core, type CoreCounters, type CoreEvents, newCoreCounters } from "./door/core.ts";
import { Judgement } from "./door/judgement.ts";
import { Deadlines } from "./drive/deadlines.ts";
import { Lifecycle, type ListenerPlan } from "./drive/lifecycle.ts";
import { banJournal, keptBans } from "./kept-bans.ts";
import { CallbackAlarm } from "./lib/alarm.ts";
import { after, between, type Clock, type Duration, inSeconds, seconds } from "./lib/time.ts";
import { timerLength } from "./lib/timer-length.ts";
import { systemClock } from "./net/clock.ts";
import { listenStream } from "./net/listen.ts";
import { Ticker } from "./net/ticker.ts";
import { ListenError } from "./net/transport.ts";
import type { Log } from "./observe/log.ts";
import { Metrics } from "./observe/metrics.ts";
import { NoteBook } from "./observe/notes.ts";
import { ConfiguredPolicy } from "./policy/configured-policy.ts";
import { Reload } from "./reload.ts";
import { datagramOpener, forgetStrangers } from "./secure-datagrams.ts";
import { overflow, type SessionContext } from "./session/context.ts";
import { newSessionCounters, type SessionCounters } from "./session/counters.ts";
import { DurableState } from "./session/durable-state.ts";
import { EmbeddedEngine } from "./session/embedded-engine.ts";
import type { SessionEngine } from "./session/engine.ts";
import { Restoration, type Restored } from "./session/restore.ts";
import { Sessions } from "./session/sessions.ts";
import { StoreCommits } from "./session/store-commits.ts";
import type { OpenedStore } from "./store/open.ts";

/** A gateway of any configuration type; its options were validated against its schema. */
// biome-ignore lint/suspicious/noExplicitAny: modules of different configuration types stand in one list
export type AnyGatewayModule = GatewayModule<any>;

/** Retained messages looked at for expiry each second. */
const SWEEP_BUDGET = 10_000;
const SWEEP_PERIOD = seconds(1);

const STEPS_A_TURN = 1_000;

/** A start that takes long says how far it is. */
const PROGRESS_PERIOD = seconds(2);

/** The parts of a running process, for those who observe and operate it. */
export interface Composition {
  readonly config: Config;
  readonly core: Core;
  readonly deadlines: Deadlines;
  readonly bus: EmbeddedBus;
  readonly gate: Gate;
  readonly sessions: Sessions;
  readonly sessionCounters: SessionCounters;
  readonly policy: ConfiguredPolicy;
  readonly lifecycle: Lifecycle;
  readonly metrics: Metrics;
  readonly kept: OpenedStore | undefined;
  readonly events: Required<CoreEvents>[];
  /** Opens all listeners; throws `ListenError` and closes those already open. */
  open(): Promise<void>;
  /** Takes the configuration that `load` reads, as far as it can change while running, and says what cannot. */
  reload(load: () => Config): void;
  stop(within?: Duration): Promise<void>;
}

/** `kept`: the store, opened before; without it everything ends with the process. */
export function compose(
  config: Config,
  modules: readonly AnyGatewayModule[],
  log: Log,
  kept?: OpenedStore,
): Composition {
  const clock: Clock = systemClock;
  const deadlines = new Deadlines(clock.now());
  const metrics = new Metrics({ process: true });
  const sessionCounters = newSessionCounters(metrics.counters(""));
  const observer = observing(clock, metrics, log);
  const prepared = policySettings(config, observer);
  const { settings } = prepared;
  const policy =
    kept === undefined
      ? new ConfiguredPolicy(settings, clock)
      : new ConfiguredPolicy(settings, clock, banJournal(kept.store), keptBans(kept.store, clock.now()));
  // Sessions take the time of the input that is being processed: reading the clock for each message would cost.
  const ticked: Clock = { now: () => core.now };
  const state = kept === undefined ? undefined : new DurableState(kept.store, ticked, () => core.tick());
  const bus = new EmbeddedBus(config.bus, clock, Math.random, state);
  const counters = newCoreCounters(metrics.counters(""));
  const commits = kept === undefined ? undefined : new StoreCommits(kept.store, () => core.tick());
  const gate = new Gate(bus, {
    alarms: deadlines,
    delayed: config.bus.delayed,
    journal: state,
    commits,
    unheard: counters.messagesNoSubscribers,
  });
  const context: SessionContext = {
    options: config.session,
    clock: ticked,
    counters: sessionCounters,
    gate,
    journal: state,
    overflowed: (gateway, client, dropped) => core.note(gateway, overflow(dropped), { client }),
  };
  const sessions = new Sessions(gate, deadlines, context, config.session);
  const events: Required<CoreEvents>[] = [];
  const engine = new EmbeddedEngine(sessions, commits);
  const core: Core = coreOf({ engine, deadlines, clock, counters, metrics, log, events, kept });
  const ticker = new Ticker(deadlines, () => {
    core.tick();
    return core.now;
  });
  deadlines.onArmed = ticker.expect;
  const openers = {
    stream: listenStream,
    datagram: datagramOpener({ config, metrics, alarms: deadlines, kept, policy }),
    defer: setImmediate,
  };
  const lifecycle = new Lifecycle(core, policy, openers);
  const judgement = new Judgement(core, policy, () => lifecycle.listeners.map(({ door }) => door));
  if (kept !== undefined && state !== undefined) {
    const from = (progress: (far: Restored) => void): Restoration =>
      new Restoration(kept.store, state, sessions, bus, clock, context, progress);
    restore(from, clock, log);
    const associations = forgetStrangers(kept, config);
    if (associations > 0)
      log.info({ associations }, "forgot DTLS associations of listeners that are no more");
  }
  openGateways(config, modules, core, metrics, lifecycle);
  // The rules may be others than those of the life before.
  for (const _ of judgement.steps());
  const judge = (): void => inTurns(core, judgement.steps());
  const reload = new Reload({ log, policy, lifecycle, judge, observer }, config, prepared);
  everySecond(core, () => bus.retainedMessages.sweep(core.now, SWEEP_BUDGET));
  return {
    config,
    core,
    deadlines,
    bus,
    gate,
    sessions,
    sessionCounters,
    policy,
    lifecycle,
    metrics,
    kept,
    events,
    async open() {
      for (const listener of openListeners(config)) {
        await lifecycle
          .open(plan(modules, config, listener))
          .catch((error: unknown) => throwNamed(error, listener));
      }
    },
    reload: (load) => reload.run(load),
    async stop(within = config.node.shutdownTimeout) {
      await lifecycle.stop(
        within,
        (length) => new Promise((resolve) => setTimeout(resolve, timerLength(length as Duration))),
      );
      reload.stop();
      ticker.stop();
      await kept?.store.close();
    },
  };
}

/** Brings back what the store has kept, and says how far it is where that takes long. */
function restore(from: (progress: (far: Restored) => void) => Restoration, clock: Clock, log: Log): void {
  const started = clock.now();
  const restored = from(
    everySoOften(clock, (far: Restored) => log.info({ ...far }, "restoring from the store")),
  ).run();
  const took = inSeconds(between(started, clock.now()));
  log.info({ ...restored, seconds: took }, "restored from the store");
}

/** Authenticators are counted by name and result, and their trouble is logged with their name. */
function observing(clock: Clock, metrics: Metrics, log: Log): AuthenticationObserver {
  const help = "What authenticators said about logins";
  const counter = metrics.family("authenticator_answers", help, ["authenticator", "result"]);
  return {
    now: () => clock.now(),
    count(authenticator, result) {
      counter({ authenticator, result }).value++;
    },
    note(authenticator, problem) {
      log.warn({ authenticator, problem }, "an authenticator has trouble");
    },
  };
}

interface CoreParts {
  readonly engine: SessionEngine;
  readonly counters: CoreCounters;
  readonly deadlines: Deadlines;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly events: readonly Required<CoreEvents>[];
  readonly kept: OpenedStore | undefined;
}

function coreOf({ engine, deadlines, clock, counters, metrics, log, events, kept }: CoreParts): Core {
  const count = metrics.family("notes", "Events that protocol code noted", ["gateway", "event"]);
  const notes = new NoteBook(log, count);
  return {
    now: clock.now(),
    tick() {
      this.now = clock.now();
    },
    engine,
    alarms: deadlines,
    counters,
    random: (length) => randomBytes(length),
    note(gateway, note, about) {
      notes.write(gateway, note, this.now, about);
    },
    events: {
      connected: (event, how) => {
        for (const listener of events) listener.connected(event, how);
      },
      disconnected: (event, reason) => {
        for (const listener of events) listener.disconnected(event, reason);
      },
    },
    healthy: () => kept?.store.failure === undefined,
  };
}

/** An operator looks for the key. */
function throwNamed(error: unknown, { gateway, name }: OpenListener): never {
  if (!(error instanceof ListenError)) throw error;
  throw new ListenError(error.code, `gateways.${gateway}.listeners.${name}: ${error.message}`);
}

function openGateways(
  config: Config,
  modules: readonly AnyGatewayModule[],
  core: Core,
  metrics: Metrics,
  lifecycle: Lifecycle,
): void {
  const offers = new Map<string, readonly unknown[]>();
  for (const module of modules) {
    const own = config.gateways[module.name];
    if (own === undefined || !own.enable) continue;
    const host: GatewayHost = {
      counter: metrics.counters(module.name),
      random: core.random,
      note: (note) => core.note(module.name, note),
      healthy: () => core.healthy(),
      readFile: (path) => readFileSync(locate(path)),
      listFiles: (folder) => readdirSync(locate(folder)).sort(),
      offered: (name) => offers.get(name) ?? [],
      remembered: () => core.engine.memos(module.name),
      alarms: core.alarms,
      lastWord: (clientId, word, memo, said) => core.engine.lastWord(module.name, clientId, word, memo, said),
    };
    const gateway = module.open(own, host);
    for (const [name, parts] of Object.entries(gateway.offers ?? {})) offers.set(name, parts);
    lifecycle.add(module.name, gateway);
  }
}

function everySoOften<T extends object>(clock: Clock, say: (value: T) => void): (value: T) => void {
  let due = after(clock.now(), PROGRESS_PERIOD);
  return (value) => {
    const now = clock.now();
    if (now < due) return;
    due = after(now, PROGRESS_PERIOD);
    say(value);
  };
}

/** Lets others have their turn between some steps and the next. */
function inTurns(core: Core, steps: Iterator<void>): void {
  core.tick();
  for (let step = 0; step < STEPS_A_TURN; step++) if (steps.next().done === true) return;
  setImmediate(inTurns, core, steps);
}

function everySecond(core: Core, run: () => void): void {
  const alarm = new CallbackAlarm(() => {
    run();
    core.alarms.arm(alarm, after(core.now, SWEEP_PERIOD));
  });
  core.alarms.arm(alarm, after(core.now, SWEEP_PERIOD));
}

/** What a listener's configuration asks the transports for. */
function plan(modules: readonly AnyGatewayModule[], config: Config, listener: OpenListener): ListenerPlan {
  const { gateway, name, tls } = listener;
  const module = modules.find((module) => module.name === gateway);
  if (!isDatagram(listener.config.transport)) {
    const profile = module?.websocket?.(config.gateways[gateway] as never);
    return { gateway, name, stream: streamOptions(listener, profile) };
  }
  const secure =
    tls === undefined
      ? undefined
      : { name: `${gateway}:${name}`, tls, dtls: config.dtls, protocols: module?.protocolNames ?? [] };
  return { gateway, name, datagram: { ...datagramOptions(listener), secure } };
}
