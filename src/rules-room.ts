/** Rules and connectors of a running process: made from the configuration, attached to the core, and made anew at a reload. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Message } from "./bus/message.ts";
import type { Config } from "./config/schema.ts";
import { compileWith } from "./connect/actions.ts";
import type { Item } from "./connect/connector.ts";
import { Connectors } from "./connect/connectors.ts";
import type { Fate, Sink, SinkCounters, SinkState } from "./connect/sink.ts";
import type { CoreParts } from "./core.ts";
import { dialBroker } from "./dial-broker.ts";
import type { CoreEvents } from "./door/core.ts";
import type { Clock } from "./lib/time.ts";
import type { OperatorAlarms } from "./observe/alarms.ts";
import type { Log } from "./observe/log.ts";
import type { Metrics } from "./observe/metrics.ts";
import { type ActionCounters, type CompileAction, newActionCounters } from "./rules/action.ts";
import type { EventKind } from "./rules/event-names.ts";
import { Happenings } from "./rules/happenings.ts";
import { eventIds } from "./rules/ids.ts";
import type { Rule, RuleSettings } from "./rules/rule.ts";
import { Rules, type Tested } from "./rules/rules.ts";
import { toJson, type ValueMap } from "./rules/value.ts";
import { isInstalled, locate } from "./settings/installation.ts";
import { ConfigError, problem } from "./settings/problem.ts";

/** How often it is said that a rule fails. */
const SAY_AGAIN_MS = 60_000;

type Parts = Pick<CoreParts, "core" | "gate" | "sessions"> & RulesRoomParts;

export interface RulesRoomParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly alarms: OperatorAlarms;
  readonly events: Required<CoreEvents>[];
}

export class RulesRoom {
  readonly rules: Rules;
  readonly connectors: Connectors;
  readonly #parts: Parts;
  readonly #happenings: Happenings;
  readonly #action: CompileAction;
  readonly #counters = new Map<string, ActionCounters>();
  readonly #failedAt = new Map<string, { at: number; unsaid: number }>();

  /** Before sessions are restored. */
  constructor(config: Config, core: Pick<CoreParts, "core" | "gate" | "sessions">, own: RulesRoomParts) {
    const parts: Parts = { ...core, ...own };
    this.#parts = parts;
    const { gate, clock } = parts;
    const now = () => clock.now();
    const newId = eventIds(now, randomBytes);
    const node = config.node.name;
    this.rules = new Rules({ gate, node, now, newId, failed: (rule, error) => this.#failed(rule, error) });
    this.#happenings = new Happenings(this.rules, node, newId);
    this.connectors = new Connectors({
      gate,
      sessions: parts.sessions,
      alarms: parts.core.alarms,
      host: {
        readFile: (path) => readFileSync(locate(path)),
        environment: (name) => process.env[name],
        now,
        has: isInstalled,
        dial: dialBroker,
        publish: (message, taken) => publishFrom(parts, message, taken),
      },
      now,
      tick: () => parts.core.tick(),
      chance: Math.random,
      told: (item, fate) => this.#told(item, fate),
      changed: (connector, state, reason) => this.#changed(connector, state, reason),
      note: (event, detail) => parts.core.note("rules", { level: "warn", event, detail: { ...detail } }),
    });
    this.#action = compileWith({
      emit: this.rules.emit,
      log: (rule, output, occasion) =>
        parts.log.info({ rule, output: toJson(output), ...occasion }, "a rule's output"),
      kindOf: (name) => this.connectors.kindOf(name),
      sink: (name) => this.connectors.get(name),
      counters: (rule, place) => this.#countersOf(rule, place),
    });
    this.connectors.prepare(config.connectors);
    const happenings = this.#happenings;
    parts.events.push({
      connected: (event, how) => happenings.connected(event, how),
      disconnected: (event, reason) => happenings.disconnected(event, reason),
    });
    this.#expose();
  }

  /** Sessions are back: what waits is handed over. Throws `ConfigError`. */
  begin(config: Config): void {
    for (const [name, settings] of Object.entries(config.connectors)) {
      try {
        this.connectors.open(name, settings);
      } catch (error) {
        const says = `cannot be opened: ${(error as Error).message}`;
        throw new ConfigError([problem(() => undefined, { path: ["connectors", name], says })]);
      }
    }
    this.connectors.leaveStrangers();
    this.#take(config.rules);
  }

  reload(config: Config): void {
    const { log } = this.#parts;
    this.connectors.update(config.connectors).catch((error: unknown) => {
      log.error({ error }, "a connector cannot be opened as it is configured now");
    });
    this.#take(config.rules);
  }

  #take(rules: Readonly<Record<string, RuleSettings>>): void {
    this.rules.update(rules, this.#action);
    const { core, sessions } = this.#parts;
    const { rules: running } = this;
    const hears = running.hears("session_subscribed") || running.hears("session_unsubscribed");
    core.follower = hears ? this.#happenings : undefined;
    sessions.context.follower = this.#happenings.follower;
  }

  /** What a rule would make of an event. Throws `RuleError` and `RuleFailure`. */
  test(settings: RuleSettings, kind: EventKind, fields: ValueMap): Tested {
    return this.rules.test(settings, this.#action, kind, fields);
  }

  async close(): Promise<void> {
    await this.connectors.close();
  }

  // ---- numbers

  #countersOf(rule: string, place: number): ActionCounters {
    const key = `${rule}/${place}`;
    let counters = this.#counters.get(key);
    if (counters === undefined) {
      counters = newActionCounters();
      this.#counters.set(key, counters);
    }
    return counters;
  }

  /** What became of an item, also of a rule that is no more. */
  #told({ rule, place }: Item, fate: Fate): void {
    this.#countersOf(rule, place)[fate]++;
  }

  #expose(): void {
    const { metrics } = this.#parts;
    const ofRules = (name: string, help: string, read: (rule: Rule) => number): void =>
      metrics.labelledGauge(`rule_${name}`, help, "rule", () =>
        Array.from(this.rules.all, (rule) => [rule.id, read(rule)] as const),
      );
    ofRules("matched", "Events that a rule was run for", ({ counters }) => counters.matched);
    ofRules("passed", "Runs of a rule that had an output", ({ counters }) => counters.passed);
    ofRules("no_result", "Runs of a rule whose conditions said no", ({ counters }) => counters.noResult);
    ofRules("failed", "Runs of a rule that failed", ({ counters }) => counters.failed);
    ofRules(
      "loops",
      "Events that a rule was not run for, because they came from it",
      ({ counters }) => counters.loops,
    );
    ofRules("actions_matched", "Outputs given to the actions of a rule", (rule) => sum(rule, "matched"));
    ofRules("actions_success", "Of those, what has arrived", (rule) => sum(rule, "success"));
    ofRules("actions_failed", "Of those, what never will", (rule) => sum(rule, "failed"));
    ofRules("actions_dropped", "Of those, what found no room or expired", (rule) => sum(rule, "dropped"));
    const ofSinks = (name: string, help: string, read: (sink: Sink) => number): void =>
      metrics.labelledGauge(`connector_${name}`, help, "connector", () =>
        Array.from(this.connectors.all, (sink) => [sink.name, read(sink)] as const),
      );
    ofSinks("connected", "1 while the sink is there", ({ state }) => (state === "connected" ? 1 : 0));
    ofSinks("queuing", "Messages that wait for the sink", ({ queuing }) => queuing);
    ofSinks("inflight", "Messages that are with the sink", ({ inflight }) => inflight);
    for (const [name, help] of Object.entries(SINK_HELP))
      ofSinks(
        name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        help,
        ({ counters }) => counters[name as keyof SinkCounters],
      );
  }

  // ---- what operators are told

  #failed(rule: string, error: Error): void {
    const now = this.#parts.clock.now();
    const said = this.#failedAt.get(rule) ?? { at: Number.NEGATIVE_INFINITY, unsaid: 0 };
    this.#failedAt.set(rule, said);
    said.unsaid++;
    if (now - said.at < SAY_AGAIN_MS) return;
    const detail = { rule, failures: said.unsaid, problem: error.message };
    said.at = now;
    said.unsaid = 0;
    this.#parts.core.note("rules", { level: "warn", event: "rule-failed", detail });
  }

  #changed(connector: string, state: SinkState, reason: string | undefined): void {
    const { alarms, log } = this.#parts;
    const name = `connector-${connector}-away`;
    if (state === "disconnected") {
      const message = `the sink of connector ${connector} is away: ${reason ?? "no reason is known"}; what is for it waits`;
      alarms.raise(name, { severity: "error", message, details: { connector } });
    } else alarms.clear(name);
    if (state === "connected") log.info({ connector }, "the sink of a connector is there");
  }
}

/** Of a connector: kept where it must be before it is taken. */
function publishFrom({ core, gate }: Parts, message: Message, taken: (ok: boolean) => void): void {
  core.tick();
  const heard = (answer: unknown): void => taken(answer === "accepted" || answer === "no-subscribers");
  const answer = gate.ask(message, undefined, { closed: false, answered: (_, late) => heard(late) }, 0, -1);
  if (answer !== "pending") heard(answer);
}

const SINK_HELP: Readonly<Record<keyof SinkCounters, string>> = {
  taken: "Messages that rules gave to the connector",
  restored: "Messages that waited in the store when this process began",
  success: "Messages that the sink has acknowledged",
  failed: "Messages that were dead-lettered",
  expired: "Messages that expired before the sink had them",
  full: "Messages dropped because the queue was full",
  retriedSuccess: "Of those that succeeded, those that needed more than one try",
  retriedFailed: "Of those that failed, those that were tried more than once",
  batches: "Batches that were begun",
  tries: "Requests to the sink, those that failed among them",
};

const sum = ({ actions }: Rule, name: keyof ActionCounters): number =>
  actions.reduce((all, { counters }) => all + counters[name], 0);
