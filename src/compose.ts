/** Puts the parts together: from a configuration to a running gateway. Only `main.ts` knows which gateways there are. */
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import type { ReloadOutcome } from "./api/ports.ts";
import type { ListedLogins } from "./authenticate/listed-logins.ts";
import { LoginLists } from "./authenticate/login-list.ts";
import { Pace } from "./authenticate/pace.ts";
import { openListeners } from "./config/listeners.ts";
import { type AuthenticationObserver, policySettings } from "./config/policy-settings.ts";
import type { Config } from "./config/schema.ts";
import { buildCore, type CoreParts } from "./core.ts";
import type { Core, CoreEvents } from "./door/core.ts";
import { Lifecycle } from "./drive/lifecycle.ts";
import { roomForPeers } from "./heap.ts";
import { type HooksHost, Plugged } from "./hooks/plugged.ts";
import { Room } from "./hooks/room.ts";
import { banJournal, keptBans } from "./kept-bans.ts";
import { listKeeper } from "./kept-logins.ts";
import { CallbackAlarm } from "./lib/alarm.ts";
import { after, between, type Clock, type Duration, inSeconds, seconds } from "./lib/time.ts";
import { timerLength } from "./lib/timer-length.ts";
import { Measures } from "./measures.ts";
import { behindTheDate, systemClock } from "./net/clock.ts";
import { rawSocket } from "./net/raw-socket.ts";
import { Ticker } from "./net/ticker.ts";
import { ListenError } from "./net/transport.ts";
import { atEndOfTurn } from "./net/turn.ts";
import { OperatorAlarms } from "./observe/alarms.ts";
import type { Log } from "./observe/log.ts";
import { Metrics } from "./observe/metrics.ts";
import { NoteBook } from "./observe/notes.ts";
import { Refusals } from "./observe/refusals.ts";
import type { OpenedHook } from "./open-hooks.ts";
import { Clients } from "./operate/clients.ts";
import { GatewayControl } from "./operate/gateways.ts";
import type { Operator } from "./operate/operator.ts";
import type { PipelineHost } from "./pipelines/pipeline.ts";
import { PipelinesRoom } from "./pipelines-room.ts";
import { type AnyGatewayModule, Plans } from "./plans.ts";
import { ConfiguredPolicy } from "./policy/configured-policy.ts";
import type { PolicySettings } from "./policy/settings.ts";
import { Reload } from "./reload.ts";
import { RulesRoom } from "./rules-room.ts";
import { datagramOpener, forgetStrangers } from "./secure-datagrams.ts";
import { streamOpener } from "./secure-streams.ts";
import { ALIVE_PERIOD, DurableState } from "./session/durable-state.ts";
import { Restoration, type Restored } from "./session/restore.ts";
import { shelvesOf } from "./session/shelf.ts";
import { StoreCommits } from "./session/store-commits.ts";
import { locate, readNamedFile } from "./settings/installation.ts";
import type { OpenedStore } from "./store/open.ts";
import type { UpstreamEngine } from "./upstream/engine.ts";
import { openUpstream, type Upstream } from "./upstream-servers.ts";
import type { Worker } from "./workers/worker.ts";

/** Retained messages looked at for expiry each second. */
const SWEEP_BUDGET = 10_000;
const REFUSAL_LABELS = ["gateway", "what", "reason"] as const;
const SWEEP_PERIOD = seconds(1);
/** What has expired in a queue that nobody takes from. */
const QUEUE_SWEEP_PERIOD = seconds(30);

const STEPS_A_TURN = 1_000;

/** A start that takes long says how far it is. */
const PROGRESS_PERIOD = seconds(2);

/** The parts of a running process, for those who observe and operate it. */
export interface Composition extends CoreParts {
  readonly config: Config;
  readonly policy: ConfiguredPolicy;
  readonly lifecycle: Lifecycle;
  readonly metrics: Metrics;
  readonly kept: OpenedStore | undefined;
  /** Where sessions are, if they are at the servers of a cluster. */
  readonly upstream: Upstream | undefined;
  readonly operator: Operator;
  readonly events: Required<CoreEvents>[];
  readonly refusals: Refusals;
  readonly alarms: OperatorAlarms;
  readonly rules: RulesRoom;
  readonly measures: Measures;
  readonly pipelines: PipelinesRoom;
  /** Opens all listeners; throws `ListenError` and closes those already open. */
  open(): Promise<void>;
  /** Takes the configuration that `load` reads, as far as it can change while running, and says what cannot. */
  reload(load: () => Config): ReloadOutcome;
  /** Keys that were changed, and take effect at a restart. */
  pending(): readonly string[];
  tellPending(): readonly string[];
  /** Judges what was allowed before by the rules now in force. */
  judge(): void;
  /** Lists of users and client ids that the configuration in force names. */
  loginLists(): readonly ListedLogins[];
  stop(within?: Duration): Promise<void>;
}

/** What a session takes that nothing waits in (`npm run bench -- growth`), and the part of all memory for those of nobody in particular. */
const SESSION_BYTES = 1_300;
const UNPROVEN_PART = 4;

/** With the limits that follow from what Node's heap has room for. */
function withinMemory(config: Config) {
  const total = config.memory.total ?? roomForPeers();
  const unproven = Math.min(config.session.unproven, Math.floor(total / UNPROVEN_PART / SESSION_BYTES));
  return {
    ...config,
    memory: { ...config.memory, total },
    session: { ...config.session, unproven },
  };
}

/**
 * `kept`: the store, opened before; without it everything ends with the process. `openedHooks`: as the configuration
 * names them. `worker`: which one of those that share the ports this process is.
 */
export function compose(
  config: Config,
  modules: readonly AnyGatewayModule[],
  log: Log,
  kept?: OpenedStore,
  openedHooks: readonly OpenedHook[] = [],
  worker?: Worker,
): Composition {
  const clock: Clock = systemClock;
  const metrics = new Metrics({ process: true, worker: worker?.number });
  const observer = { ...observing(clock, metrics, log), lists: listsOf(kept) };
  const prepared = policySettings(config, observer);
  const policy = policyOf(prepared.settings, clock, kept);
  const events: Required<CoreEvents>[] = [];
  let journal: DurableState | undefined;
  let upstream: Upstream | undefined;
  const notes = noteBook(log, metrics);
  const reports = reporting(log, metrics, clock);
  const parts = buildCore(withinMemory(config), {
    clock,
    policy,
    chance: Math.random,
    random: (length) => randomBytes(length),
    counters: (gateway) => metrics.counters(gateway),
    note: (now, gateway, note, about) => notes.write(gateway, note, now, about),
    refused: (now, to, refused) => reports.refusals.note(to, refused, now),
    events: toAll(events),
    healthy: () => kept?.store.failure === undefined && upstream?.engine.healthy !== false,
    readFile: readNamedFile,
    listFiles: (folder) => readdirSync(locate(folder)).sort(),
    shelf: shelvesOf(kept?.store),
    defer: setImmediate,
    keeping(turn) {
      if (kept === undefined) return { journal: undefined, commits: undefined };
      const tick = (): void => turn.tick();
      journal = new DurableState(kept.store, turn, tick);
      return { journal, commits: new StoreCommits(kept.store, tick) };
    },
    engine(embedded, around) {
      if (config.bus.engine === "embedded") return embedded;
      upstream = openUpstream(config, around, metrics);
      return upstream.engine;
    },
  });
  const { core, deadlines, bus, sessions, doors, gateways, judgement } = parts;
  const pipelines = plugIn(openedHooks, config, core, metrics, (name) => rules.connectors.get(name));
  const ticker = tickerOf(core, deadlines);
  const lifecycle = new Lifecycle(core, doors, gateways, {
    stream: streamOpener(policy, worker !== undefined),
    datagram: datagramOpener({ config, metrics, alarms: deadlines, kept, policy }),
    defer: atEndOfTurn,
    wait: async (length) => void (await wait(timerLength(length as Duration))),
  });
  const rules = new RulesRoom(config, parts, { clock, log, metrics, events, alarms: reports.alarms });
  upstream?.start();
  if (kept !== undefined && journal !== undefined) {
    const from = (progress: (far: Restored) => void): Restoration =>
      new Restoration(kept.store, journal!, sessions, bus, clock, progress);
    restore(from, upstream?.engine, clock, log);
    forgetAssociations(kept, config, log);
  }
  rules.begin(config);
  const plans = new Plans(config, modules, gateways, worker);
  plans.openAll();
  for (const _ of judgement.steps()); // The rules may be others than those of the life before.
  const judge = judging(core, () => judgement.steps());
  const measures = new Measures(config, parts, metrics);
  const reloadable = { measures, log, policy, plans, core, rules, upstream, pipelines, judge, observer };
  const reload = new Reload(reloadable, config, prepared);
  lookAfter(core, bus, sessions);
  if (journal !== undefined) sayAlive(core, sessions, journal, events);
  return {
    ...parts,
    config,
    policy,
    lifecycle,
    metrics,
    ...{ kept, upstream, events },
    ...reports,
    ...{ rules, pipelines, measures },
    operator: {
      clients: new Clients(core, gateways),
      gateways: new GatewayControl(lifecycle, plans, config.node.shutdownTimeout),
    },
    open: () => openEach(config, lifecycle, plans, upstream),
    reload: (load) => reload.run(load),
    ...{ pending: () => reload.pending, tellPending: () => reload.tellPending() },
    ...{ judge, loginLists: () => reload.loginLists },
    async stop(within = config.node.shutdownTimeout) {
      await lifecycle.stop(within);
      await rules.close();
      upstream?.stop();
      await core.hooks?.close();
      reload.stop();
      ticker.stop();
      journal?.behind(behindTheDate());
      await kept?.store.close();
    },
  };
}

/** Not before the servers of a cluster are there that have to be. */
async function openEach(
  config: Config,
  lifecycle: Lifecycle,
  plans: Plans,
  upstream: Upstream | undefined,
): Promise<void> {
  await upstream?.reached();
  for (const { gateway, name } of openListeners(config)) {
    await lifecycle
      .open(plans.plan(gateway, name))
      .catch((error: unknown) => throwNamed(error, gateway, name));
  }
}

/** Rings the deadlines when they have come. */
function tickerOf(core: Core, deadlines: CoreParts["deadlines"]): Ticker {
  const ticker = new Ticker(deadlines, () => {
    core.tick();
    return core.now;
  });
  deadlines.onArmed = ticker.expect;
  return ticker;
}

/** Bans that are added outlive the process where there is a store. */
const policyOf = (settings: PolicySettings, clock: Clock, kept: OpenedStore | undefined): ConfiguredPolicy =>
  kept === undefined
    ? new ConfiguredPolicy(settings, clock)
    : new ConfiguredPolicy(settings, clock, banJournal(kept.store), keptBans(kept.store, clock.now()));

/** Lists of users and client ids that are changed over the API outlive the process where there is a store. */
const listsOf = (kept: OpenedStore | undefined): LoginLists =>
  new LoginLists(kept === undefined ? undefined : listKeeper(kept.store));

function forgetAssociations(kept: OpenedStore, config: Config, log: Log): void {
  const associations = forgetStrangers(kept, config);
  if (associations === 0) return;
  log.info("associations-forgotten", { associations });
}

/** What operators are told of. */
function reporting(log: Log, metrics: Metrics, clock: Clock): Pick<Composition, "refusals" | "alarms"> {
  return {
    refusals: new Refusals(log, metrics.family("refusals", "What was refused", REFUSAL_LABELS)),
    alarms: new OperatorAlarms(log, () => clock.now()),
  };
}

/**
 * Brings back what the store has kept, and says how far it is where that takes long. `elsewhere`: the engine whose
 * sessions are at a cluster, and only what waits for its time here.
 */
function restore(
  from: (progress: (far: Restored) => void) => Restoration,
  elsewhere: UpstreamEngine | undefined,
  clock: Clock,
  log: Log,
): void {
  const started = clock.now();
  const restoration = from(everySoOften(clock, (far: Restored) => log.info("restoring", { ...far })));
  const restored = elsewhere === undefined ? restoration.run() : restoration.runDelayed(elsewhere.delayed);
  const took = inSeconds(between(started, clock.now()));
  log.info("restored", { ...restored, seconds: took });
}

/** Authenticators are counted by name and result, and their trouble is logged with their name. */
function observing(clock: Clock, metrics: Metrics, log: Log): AuthenticationObserver {
  const help = "What authenticators said about logins";
  const counter = metrics.family("authenticator_answers", help, ["authenticator", "result"]);
  const decisions = metrics.family("authorization_answers", "What sources of access rules said", [
    "source",
    "result",
  ]);
  return {
    pace: { questions: new Pace(), answers: new Pace() },
    socket: rawSocket,
    now: () => clock.now(),
    date: () => Date.now(),
    count(authenticator, result) {
      counter({ authenticator, result }).value++;
    },
    decided(source, result) {
      decisions({ source, result }).value++;
    },
    note(authenticator, problem) {
      log.warn("authenticator-trouble", { authenticator, problem });
    },
  };
}

function noteBook(log: Log, metrics: Metrics): NoteBook {
  const count = metrics.family("notes", "Events that protocol code noted", ["gateway", "event"]);
  return new NoteBook(log, count);
}

/** Those who want to know may come later. */
const toAll = (events: readonly Required<CoreEvents>[]): CoreEvents => ({
  connected: (event, how) => {
    for (const listener of events) listener.connected(event, how);
  },
  disconnected: (event, reason, leaving) => {
    for (const listener of events) listener.disconnected(event, reason, leaving);
  },
});

/** Hooks, and pipelines behind them, are counted by name, member and result. */
function plugIn(
  opened: readonly OpenedHook[],
  config: Config,
  core: Core,
  metrics: Metrics,
  sink: PipelineHost["sink"],
): PipelinesRoom {
  const { queue, waiting, linger } = config.hooks;
  const room = new Room({ ofClient: queue, ofAll: waiting, linger });
  const help = "What became of asking and telling hooks, where not all went well";
  const counter = metrics.family("hooks", help, ["hook", "member", "result"]);
  metrics.gauge("hooks_waiting", "What waits for hooks", () => room.waiting);
  const host: HooksHost = {
    alarms: core.alarms,
    tick() {
      core.tick();
      return core.now;
    },
    count: (hook, member, result) => counter({ hook, member, result }).value++,
    note: (event, detail) => core.note("hooks", { level: "warn", event, detail }),
    room,
  };
  const modules = opened.map(({ hook, settings }) => new Plugged(hook, settings, host));
  const pipelines = new PipelinesRoom(config, { core, metrics, sink, modules, host });
  core.hooks = pipelines.hooks;
  return pipelines;
}

/** An operator looks for the key. */
function throwNamed(error: unknown, gateway: string, name: string): never {
  if (!(error instanceof ListenError)) throw error;
  throw new ListenError(error.code, `gateways.${gateway}.listeners.${name}: ${error.message}`);
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

/** Lets others have their turn between some steps and the next; what comes meanwhile waits for a judgement of its own. */
function judging(core: Core, stepsOf: () => Iterator<void>): () => void {
  let steps: Iterator<void> | undefined;
  let again = false;
  const turn = (): void => {
    core.tick();
    for (let step = 0; step < STEPS_A_TURN; step++) {
      if (steps?.next().done !== true) continue;
      steps = again ? stepsOf() : undefined;
      again = false;
      if (steps === undefined) return;
    }
    setImmediate(turn);
  };
  return () => {
    again = steps !== undefined;
    if (again) return;
    steps = stepsOf();
    turn();
  };
}

function lookAfter(core: Core, bus: CoreParts["bus"], sessions: CoreParts["sessions"]): void {
  every(core, SWEEP_PERIOD, () => bus.retainedMessages.sweep(core.now, SWEEP_BUDGET));
  every(core, QUEUE_SWEEP_PERIOD, () => sessions.queues.sweep());
  every(core, SWEEP_PERIOD, () => core.memory.check());
}

/** So that the next process knows when this one has ended. */
function sayAlive(
  core: Core,
  sessions: CoreParts["sessions"],
  journal: DurableState,
  events: Required<CoreEvents>[],
): void {
  events.push({ connected: () => journal.alive(), disconnected: () => {} });
  every(core, ALIVE_PERIOD, () => {
    if (sessions.connected > 0) journal.alive();
    journal.behind(behindTheDate());
  });
}

function every(core: Core, period: Duration, run: () => void): void {
  const alarm = new CallbackAlarm(() => {
    run();
    core.alarms.arm(alarm, after(core.now, period));
  });
  core.alarms.arm(alarm, after(core.now, period));
}
