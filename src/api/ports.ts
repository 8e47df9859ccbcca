/** What the API reads and does, by noun; it knows nothing else of the gateway. */

import type { ListedLogins } from "../authenticate/listed-logins.ts";
import type { Message } from "../bus/message.ts";
import type { EffectiveChange } from "../config/effects.ts";
import type { ShownSetting } from "../config/shown-config.ts";
import type { OperatorAlarms } from "../observe/alarms.ts";
import type { MetricFamily } from "../observe/metrics.ts";
import type { Refusals } from "../observe/refusals.ts";
import type { ClientHistories } from "../operate/client-histories.ts";
import type {
  HttpCaller,
  HttpMessage,
  HttpPublished,
  HttpReader,
  HttpSubscriber,
  HttpSubscription,
} from "../operate/http-clients.ts";
import type { Operator } from "../operate/operator.ts";
import type { Series } from "../operate/series.ts";
import type { SlowSubscriptions } from "../operate/slow-subscriptions.ts";
import type { TopicDirectory } from "../operate/topic-directory.ts";
import type { TopicMetrics } from "../operate/topic-metrics.ts";
import type { Ban } from "../policy/settings.ts";
import type { JsonSchema } from "../settings/json-schema.ts";
import type { ConfigProblem } from "../settings/problem.ts";
import type { ScenarioName, SimulationStatus } from "../sim/options.ts";
import type { Recordings } from "../trace/recordings.ts";
import type { Balance, RouteSettings, ServerSettings, ServerStatus } from "../upstream/servers/settings.ts";
import type { WorkerRow } from "../workers/worker.ts";
import type { Access } from "./access/access.ts";

/** One thing that must be true before the gateway should be sent clients. */
export interface ReadyCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What is wrong, for people. */
  readonly detail?: string;
}

export interface NodePort {
  readonly name: string;
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** File descriptors that the process may have. */
  readonly descriptors: number;
  /** Numbers that an overview shows, by name. */
  numbers(): Readonly<Record<string, number>>;
  /** Those that share the ports, this one among them; none where one process has them. */
  workers(): readonly WorkerRow[];
}

export interface MetricsPort {
  readonly contentType: string;
  text(): Promise<string>;
  families(): Promise<readonly MetricFamily[]>;
}

export interface HealthPort {
  /** Asked in this order by `/ready`. */
  readiness(): readonly ReadyCheck[];
  /** What can be asked besides, by name; `within`: milliseconds that a certificate must still be good for. */
  questions(): readonly string[];
  answer(question: string, within: number): ReadyCheck | Promise<ReadyCheck>;
  /** Somebody listens on this port, or with this protocol. */
  listensOn(port: number): boolean;
  speaks(protocol: string): boolean;
}

export interface RetainedPort {
  readonly count: number;
  readonly bytes: number;
  /** Those that match, as they are walked. */
  walk(filter: string): Iterator<Message>;
  get(topic: string): Message | undefined;
  /** False when there was none. */
  clear(topic: string): boolean;
}

export interface MessagesPort {
  publish(caller: HttpCaller, messages: readonly HttpMessage[]): Promise<readonly HttpPublished[]>;
  subscribe(
    caller: HttpCaller,
    subscriptions: readonly HttpSubscription[],
    reader: HttpReader,
  ): Promise<HttpSubscriber>;
  /** How many subscribers a topic has at this moment, and how many of them are connected. */
  subscribers(topic: string): { readonly all: number; readonly connected: number };
}

/** A filter that somebody is subscribed to. */
export interface Subscribed {
  readonly filter: string;
  readonly subscribers: number;
  readonly groups: readonly string[];
}

export interface TopicsPort {
  /** All filters, or those that match a topic. */
  walk(topic: string | undefined): Iterator<Subscribed>;
  /** Topics by levels, with their last messages. */
  readonly directory: Pick<TopicDirectory, "children" | "at" | "since" | "count" | "left">;
}

export type BanTarget = Pick<Ban, "clientId" | "user" | "address">;

export interface BansPort {
  list(): readonly (Ban & { readonly configured: boolean })[];
  /** False when the list is full. Ends the connections of those whom it concerns. */
  add(ban: Ban): boolean;
  lift(target: BanTarget): boolean;
}

export interface LoginsPort {
  /** Lists that the configuration in force names. */
  lists(): readonly ListedLogins[];
  /** Judges by them who is connected. */
  judge(): void;
  /** Forgets what was found out about the rights of clients; of how many connected ones. */
  forget(whose: { readonly clientId?: string; readonly user?: string }): number;
}

/** A route as it is wished: to a group of the configuration, or to servers of its own. */
export interface RouteWish extends Omit<RouteSettings, "id" | "group"> {
  readonly group?: string | undefined;
  readonly servers?: readonly ServerSettings[] | undefined;
  readonly balance: Balance;
}

export interface RouteRow extends RouteSettings {
  readonly servers?: readonly ServerSettings[] | undefined;
  readonly balance?: Balance;
  readonly configured: boolean;
}

/** The servers of the cluster that has the sessions. */
export interface UpstreamPort {
  servers(): readonly ServerStatus[];
  /** False when there is no such server. */
  drain(group: string, url: string, draining: boolean): boolean;
  /** Groups that a route may name. */
  groups(): readonly string[];
  routes(): readonly RouteRow[];
  put(id: string, wish: RouteWish): RouteRow;
  remove(id: string): void;
}
export type TracesPort = Pick<Recordings, "list" | "get" | "start" | "stop" | "remove">;
export type RefusalsPort = Pick<Refusals, "rows">;
export type SeriesPort = Pick<Series, "points" | "latest" | "watch">;
export type HistoriesPort = Pick<ClientHistories, "of">;
export interface MeasuresPort {
  readonly topics: Pick<TopicMetrics, "all" | "get" | "reset">;
  readonly slow: Pick<SlowSubscriptions, "rows" | "clear">;
}
export type AlarmsPort = Pick<OperatorAlarms, "active" | "history" | "dismiss" | "forgetHistory">;

export interface SimulatorWish {
  readonly scenario: ScenarioName;
  readonly devices: number;
  /** In percent. */
  readonly loss: number;
  /** In seconds, as the next one. */
  readonly duration: number;
  readonly interval: number;
}

export interface SimulatorState {
  readonly running: boolean;
  readonly offered: boolean;
  readonly why?: string;
  readonly failure?: string;
  readonly wish?: SimulatorWish;
  /** Milliseconds since the epoch. */
  readonly startedAt?: number;
  readonly until?: number;
  /** Of the fleet that runs, or of the last one. */
  readonly status?: SimulationStatus;
}

export interface SimulatorPort {
  readonly state: SimulatorState;
  /** Why it cannot be. */
  start(wish: SimulatorWish): string | undefined;
  /** False when there was none. */
  stop(): Promise<boolean>;
}

/** What reading the configuration again has led to, or why it has led to nothing. */
export type ReloadOutcome =
  | { readonly changed: readonly string[]; readonly restart: readonly string[] }
  | { readonly problem: string };

/** What is wished: a JSON merge patch, one value in the place of what is there, or one change taken back. */
export type ConfigWish = (
  | { readonly patch: Record<string, unknown> }
  | { readonly set: readonly string[]; readonly value: unknown }
  | { readonly unset: readonly string[] }
) & {
  /** Only tried. */
  readonly dryRun?: boolean;
  /** Only where this is the version that is in force. */
  readonly match?: string | undefined;
};

/** What has come of it, or would; or why nothing has. */
export type ConfigOutcome =
  | {
      readonly changes: readonly EffectiveChange[];
      readonly warnings: readonly string[];
      readonly version: string;
    }
  | { readonly problems: readonly ConfigProblem[] }
  /** Right, and not to be done now. */
  | { readonly failure: string }
  /** Somebody else was faster; the version that is in force. */
  | { readonly stale: string }
  /** Nobody has changed what is to be taken back. */
  | { readonly unknown: true };

export interface OverlayRow {
  readonly key: string;
  /** As in force or waiting, secrets hidden. */
  readonly value: unknown;
  /** What it is without the change. */
  readonly beneath?: unknown;
  /** Waits for a restart. */
  readonly pending: boolean;
}

/** A section, as rules and connectors are. */
export interface ConfigSection {
  /** Secrets hidden, defaults filled in. */
  readonly definition: unknown;
  /** api: made here; else where it stands. */
  readonly origin: string;
}

export interface ConfigPort {
  /** Another one after each change. */
  readonly version: string;
  settings(): readonly ShownSetting[];
  /** Undefined where there is none. */
  section(path: readonly string[]): ConfigSection | undefined;
  /** What operators have changed. */
  overlay(): Promise<readonly OverlayRow[]>;
  change(wish: ConfigWish): Promise<ConfigOutcome>;
  reload(): Promise<ReloadOutcome>;
}

/** What is published under $SYS, by the names that it has there. */
export interface SysPort {
  statistics(): Promise<Readonly<Record<string, { readonly count: number; readonly max: number }>>>;
  metrics(): Readonly<Record<string, number>>;
}

/** What is tried: a statement, an event, actions. */
export interface RuleWish {
  readonly sql?: string;
  readonly actions?: readonly Readonly<Record<string, unknown>>[];
  readonly event?: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What would come of it, or what is wrong with the wish and where. */
export type RuleTest =
  | { readonly outputs: readonly unknown[]; readonly actions: readonly unknown[]; readonly failure?: string }
  | { readonly field: string; readonly refusal: string };

export interface Reached {
  readonly reached: boolean;
  /** Why not. */
  readonly detail?: string;
  readonly milliseconds: number;
}

export interface RulesPort {
  /** Of all kinds that there are. */
  readonly actionKinds: readonly JsonSchema[];
  readonly connectorKinds: readonly JsonSchema[];
  rules(): readonly (Readonly<Record<string, unknown>> & { readonly id: string })[];
  connectors(): readonly Readonly<Record<string, unknown>>[];
  /** Whether the sink of a connector is there; undefined where there is no connector of that name. */
  reach(connector: string): Promise<Reached | undefined>;
  /** Undefined where there is no rule of that id. */
  test(id: string, wish: RuleWish): RuleTest | undefined;
  test(id: undefined, wish: RuleWish): RuleTest;
}

/** What is tried: a pipeline as the configuration would have it, where none is named, and a packet. */
export interface PipelineWish {
  readonly pipeline?: Readonly<Record<string, unknown>>;
  readonly packet: {
    readonly topic?: string;
    /** A text, or JSON. */
    readonly payload?: unknown;
    readonly qos?: number;
    readonly retain?: boolean;
    readonly gateway?: string;
    readonly clientid?: string;
    readonly username?: string;
    readonly password?: string;
    readonly peerhost?: string;
    readonly reason?: string;
  };
}

/** What would come of it, or what is wrong with the wish and where. */
export type PipelineTest =
  | {
      readonly outcome: "passed" | "refused";
      readonly refusal?: string;
      readonly reason?: string;
      /** Subscribers here would be given it. */
      readonly delivered: boolean;
      readonly filters: readonly { readonly filter: string; readonly result: string }[];
      readonly keys: Readonly<Record<string, unknown>>;
      readonly sends: readonly { readonly connector: string; readonly parameters: unknown }[];
    }
  | { readonly field: string; readonly refusal: string };

export interface PipelinesPort {
  pipelines(): readonly (object & { readonly name: string })[];
  /** Undefined where there is no pipeline of that name. */
  test(name: string, wish: PipelineWish): PipelineTest | undefined;
  test(name: undefined, wish: PipelineWish): PipelineTest;
}

export interface ApiPorts {
  /** Milliseconds since the epoch. */
  now(): number;
  readonly node: NodePort;
  readonly metrics: MetricsPort;
  readonly health: HealthPort;
  readonly retained: RetainedPort;
  readonly messages: MessagesPort;
  readonly bans: BansPort;
  readonly logins: LoginsPort;
  readonly topics: TopicsPort;
  readonly operator: Operator;
  /** Undefined while sessions are in this process. */
  readonly upstream?: UpstreamPort | undefined;
  readonly sys: SysPort;
  readonly rules: RulesPort;
  readonly pipelines: PipelinesPort;
  readonly config: ConfigPort;
  readonly series: SeriesPort;
  readonly histories: HistoriesPort;
  readonly traces: TracesPort;
  readonly refusals: RefusalsPort;
  readonly alarms: AlarmsPort;
  readonly measures: MeasuresPort;
  readonly simulator: SimulatorPort;
  readonly access: Access;
  /** The account of what is held: bodies are in it while they are worked on. */
  readonly memory: { held: number; readonly refuses: boolean };
  /** What cookies are set with. */
  readonly cookie: { readonly path: string; readonly secure: boolean };
}
