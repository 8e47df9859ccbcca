/** Rules and connectors of a running process: made from the configuration, attached to the core, and made anew at a reload. */
import { randomBytes } from "node:crypto";
import type { Message } from "./bus/message.ts";
import { Marks } from "./bus/via.ts";
import type { Config } from "./config/schema.ts";
import { compileWith } from "./connect/actions.ts";
import type { Item } from "./connect/connector.ts";
import { Connectors } from "./connect/connectors.ts";
import type { Fate, Sink, SinkState } from "./connect/sink.ts";
import { SINK_COUNTERS, type SinkCounters } from "./connect/sink-counters.ts";
import type { CoreParts } from "./core.ts";
import { dialBroker } from "./dial-broker.ts";
import type { CoreEvents } from "./door/core.ts";
import type { Clock } from "./lib/time.ts";
import { datagramSender } from "./net/datagram-sender.ts";
import { misnamed } from "./net/misnamed.ts";
import { rawSocket } from "./net/raw-socket.ts";
import type { OperatorAlarms } from "./observe/alarms.ts";
import type { Log } from "./observe/log.ts";
import type { Metrics } from "./observe/metrics.ts";
import { rowsToClients } from "./rows-to-clients.ts";
import { type ActionCounters, type CompileAction, newActionCounters } from "./rules/action.ts";
import type { EventKind } from "./rules/event-names.ts";
import { Happenings } from "./rules/happenings.ts";
import { eventIds } from "./rules/ids.ts";
import type { Rule, RuleSettings } from "./rules/rule.ts";
import { Rules, type Tested } from "./rules/rules.ts";
import { toJson, type ValueMap } from "./rules/value.ts";
import type { Sessions } from "./session/sessions.ts";
import { isInstalled, readNamedFile } from "./settings/installation.ts";
import { ConfigError, type ConfigProblem, problem } from "./settings/problem.ts";
import { SubscriptionChanges } from "./subscription-changes.ts";

/** How often it is said that a rule fails, or that messages come back. */
const SAY_AGAIN_MS = 60_000;

type Core = Pick<CoreParts, "core" | "gate" | "sessions" | "followers" | "gateways">;
type Parts = Core & RulesRoomParts;

export interface RulesRoomParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly alarms: OperatorAlarms;
  readonly events: Required<CoreEvents>[];
}

/** Of who has a session here: the publisher is known by gateway and client id. */
const usernameOf =
  (sessions: Pick<Sessions, "get">) =>
  (publisher: string): string | undefined => {
    const at = publisher.indexOf(":");
    return sessions.get(publisher.slice(0, at), publisher.slice(at + 1))?.username;
  };

export class RulesRoom {
  readonly rules: Rules;
  readonly connectors: Connectors;
  readonly #parts: Parts;
  readonly #happenings: Happenings;
  readonly #action: CompileAction;
  readonly #changes: SubscriptionChanges;
  readonly #counters = new Map<string, ActionCounters>();
  #errands = false;
  readonly #said = new Map<string, { at: number; unsaid: number }>();
  readonly #marks = new Marks(randomBytes);

  /** Before sessions are restored. */
  constructor(config: Config, core: Core, own: RulesRoomParts) {
    const parts: Parts = { ...core, ...own };
    this.#parts = parts;
    const { gate, clock } = parts;
    const now = () => clock.now();
    const newId = eventIds(now, randomBytes);
    const node = config.node.name;
    this.rules = new Rules({
      gate,
      node,
      now,
      newId,
      failed: (rule, error) => this.#failed(rule, error),
    });
    this.#changes = new SubscriptionChanges(parts);
    this.#happenings = new Happenings(this.rules, node, newId, usernameOf(parts.sessions));
    this.connectors = new Connectors({
      gate,
      sessions: parts.sessions,
      alarms: parts.core.alarms,
      host: {
        readFile: readNamedFile,
        environment: (name) => process.env[name],
        now,
        has: isInstalled,
        dial: dialBroker,
        socket: rawSocket,
        misnamed,
        datagrams: datagramSender,
        publish: (message, taken) => publishFrom(parts, message, taken),
        found: rowsToClients(parts),
        heard: (connector, payload) => this.#changes.heard(connector, payload),
        mark: (connector) => this.#marks.of(`connector:${connector}`),
        cameAgain: (connector, topic) => this.#cameAgain(connector, topic),
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
        parts.log.info("rule-output", { rule, output: toJson(output), ...occasion }),
      kindOf: (name) => this.connectors.kindOf(name),
      sink: (name) => this.connectors.get(name),
      mark: (rule) => this.#marks.of(`rule:${rule}`),
      cameBack: (rule, connector) => this.#cameBack(rule, connector),
      counters: (rule, place) => this.#countersOf(rule, place),
    });
    this.connectors.prepare(config.connectors);
    const happenings = this.#happenings;
    parts.events.push({
      connected: (event, how) => happenings.connected(event, how),
      disconnected: (event, reason, left) => happenings.disconnected(event, reason, left),
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
    this.#take(config);
  }

  /** What would be opened anew is opened on trial. */
  tryConnectors({ connectors }: Config): ConfigProblem[] {
    return this.connectors.try(connectors).map(([name, why]) => {
      const says = `cannot be opened: ${why}`;
      return problem(() => undefined, { path: ["connectors", name], says });
    });
  }

  reload(config: Config): void {
    const { log } = this.#parts;
    this.connectors.update(config.connectors).catch((error: unknown) => {
      log.error("connector-unchanged", { error });
    });
    this.#take(config);
  }

  #take({ rules, pipelines }: Config): void {
    // A message may have been sent on an errand before the last pipeline went.
    this.#errands ||= Object.keys(pipelines).length > 0;
    this.rules.update(rules, this.#action, { errands: this.#errands });
    this.#parts.followers.set("rules", this.#happenings.follower);
    this.#parts.core.follower = this.#happenings.doorFollower;
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
      "Events that a rule was not run for because they came from it, or did not send on because they came back",
      ({ counters }) => counters.loops,
    );
    const ofActions = (name: keyof ActionCounters, help: string): void =>
      metrics.gauges(`action_${name}`, help, ["rule", "action", "to"], () => actionsOf(this.rules.all, name));
    ofActions("matched", "Outputs given to an action");
    ofActions("success", "Of those, what has arrived");
    ofActions("failed", "Of those, what never will");
    ofActions("dropped", "Of those, what found no room, expired, or had come from there");
    const ofSinks = (name: string, help: string, read: (sink: Sink) => number): void =>
      metrics.labelledGauge(`connector_${name}`, help, "connector", () =>
        Array.from(this.connectors.all, (sink) => [sink.name, read(sink)] as const),
      );
    ofSinks("connected", "1 while the sink is there", ({ state }) => (state === "connected" ? 1 : 0));
    ofSinks("queuing", "Messages that wait for the sink", ({ queuing }) => queuing);
    ofSinks("inflight", "Messages that are with the sink", ({ inflight }) => inflight);
    metrics.labelledGauge(
      "connector_listening",
      "1 while a connector hears what is said on its channel",
      "connector",
      () =>
        Array.from(this.connectors.all).flatMap(({ name, listening }) =>
          listening === undefined ? [] : [[name, listening ? 1 : 0] as const],
        ),
    );
    metrics.gauges(
      "connector_changes",
      "Changes of clients' subscriptions that others asked for on a connector's channel",
      ["connector", "outcome"],
      () => Array.from(this.#changes.counts()),
    );
    for (const [name, help] of Object.entries(SINK_COUNTERS))
      ofSinks(
        name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        help,
        ({ counters }) => counters[name as keyof SinkCounters],
      );
  }

  // ---- what operators are told

  #failed(rule: string, error: Error): void {
    this.#say("rule-failed", rule, (failures) => ({ rule, failures, problem: error.message }));
  }

  #cameBack(rule: string, connector: string): void {
    const { counters } = this.rules.get(rule) ?? {};
    if (counters !== undefined) counters.loops++;
    this.#say("came-back", `rule:${rule}`, (messages) => ({ rule, connector, messages }));
  }

  #cameAgain(connector: string, topic: string): void {
    const { counters } = this.connectors.get(connector) ?? {};
    if (counters !== undefined) counters.cameAgain++;
    this.#say("came-back", `connector:${connector}`, (messages) => ({ connector, topic, messages }));
  }

  /** Of one and the same now and then only; `detail` is told how often it was, since it was said last. */
  #say(event: string, of: string, detail: (times: number) => object): void {
    const now = this.#parts.clock.now();
    const key = `${event} ${of}`;
    const said = this.#said.get(key) ?? { at: Number.NEGATIVE_INFINITY, unsaid: 0 };
    this.#said.set(key, said);
    said.unsaid++;
    if (now - said.at < SAY_AGAIN_MS) return;
    this.#parts.core.note("rules", { level: "warn", event, detail: { ...detail(said.unsaid) } });
    said.at = now;
    said.unsaid = 0;
  }

  #changed(connector: string, state: SinkState, reason: string | undefined): void {
    const { alarms, log } = this.#parts;
    const name = `connector-${connector}-away`;
    if (state === "disconnected") {
      const message = `the sink of connector ${connector} is away: ${reason ?? "no reason is known"}; what is for it waits`;
      alarms.raise(name, { severity: "error", message, details: { connector } });
    } else alarms.clear(name);
    if (state === "connected") log.info("connector-there", { connector });
  }
}

/** Of a connector: kept where it must be before it is taken. */
function publishFrom({ core, gate }: Parts, message: Message, taken: (ok: boolean) => void): void {
  core.tick();
  const heard = (answer: unknown): void => taken(answer === "accepted" || answer === "no-subscribers");
  const answer = gate.ask(message, undefined, { closed: false, answered: (_, late) => heard(late) }, 0, -1);
  if (answer !== "pending") heard(answer);
}

/** Each action is known by its rule and its place among the rule's actions. */
const actionsOf = (rules: Iterable<Rule>, name: keyof ActionCounters) =>
  Array.from(rules).flatMap(({ id, actions }) =>
    actions.map(({ to, counters }, place) => [{ rule: id, action: `${place}`, to }, counters[name]] as const),
  );
