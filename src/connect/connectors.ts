import type { Gate } from "../bus/gate.ts";
import { Message } from "../bus/message.ts";
import type { Alarms } from "../lib/alarm.ts";
import { stackOf } from "../lib/thrown.ts";
import { days, type Instant } from "../lib/time.ts";
import { Template } from "../rules/template.ts";
import { textOf, toJson, type Value } from "../rules/value.ts";
import type { SessionContext } from "../session/context.ts";
import type { Sessions } from "../session/sessions.ts";
import type { ConnectHost, Connector, Item, UnexpectedFailure } from "./connector.ts";
import { type ConfiguredConnector, kindOf } from "./kinds.ts";
import { CONNECTORS, contextOf, type Fate, Sink, type SinkState } from "./sink.ts";

export interface ConnectorsParts {
  readonly gate: Gate;
  readonly sessions: Sessions;
  readonly alarms: Alarms;
  readonly host: ConnectHost;
  now(): Instant;
  tick(): void;
  chance(): number;
  told(item: Item, fate: Fate): void;
  changed(connector: string, state: SinkState, reason: string | undefined): void;
  note(event: string, detail: object): void;
}

/** How long what waits for a connector is kept that is not configured any more. */
const KEPT = days(7);

type Configured = Readonly<Record<string, ConfiguredConnector>>;

/** All connectors by name. */
export class Connectors {
  readonly #parts: ConnectorsParts;
  readonly #sinks = new Map<string, Sink>();
  #configured: Configured = {};

  constructor(parts: ConnectorsParts) {
    this.#parts = parts;
  }

  get all(): Iterable<Sink> {
    return this.#sinks.values();
  }

  get(name: string): Sink | undefined {
    return this.#sinks.get(name);
  }

  kindOf(name: string): string | undefined {
    return Object.hasOwn(this.#configured, name) ? this.#configured[name]!.kind : undefined;
  }

  /** Before sessions are restored: theirs have limits of their own. */
  prepare(configured: Configured): void {
    this.#configured = configured;
    const { sessions } = this.#parts;
    sessions.context.ownOf = (gateway, name) => {
      const settings = gateway === CONNECTORS ? this.#configured[name] : undefined;
      return settings && this.#contextOf(name, settings);
    };
  }

  #contextOf(name: string, settings: ConfiguredConnector): SessionContext {
    return contextOf(this.#parts.sessions.context, settings, () => this.#sinks.get(name));
  }

  /** Opens those that are new or have changed, and closes those that are no more. Throws where one cannot be opened. */
  async update(configured: Configured): Promise<void> {
    const before = this.#configured;
    this.#configured = configured;
    const former = [...this.#sinks];
    // At once, before anything is waited for: rules and pipelines may lead there already.
    for (const [name, settings] of Object.entries(configured))
      if (!this.#sinks.has(name)) this.open(name, settings);
    for (const [name, sink] of former) {
      const now = configured[name];
      if (now !== undefined && JSON.stringify(now) === JSON.stringify(before[name])) continue;
      await sink.close();
      this.#sinks.delete(name);
      if (now === undefined) sink.release();
      else this.open(name, now, sink);
    }
    this.leaveStrangers();
  }

  /** Throws where it cannot work as configured. */
  open(name: string, settings: ConfiguredConnector, before?: Sink): void {
    const { sessions, host, ...parts } = this.#parts;
    const connector = opened(name, settings, host);
    const dead = (sink: string, item: Item | undefined, payload: Uint8Array, reason: string): void =>
      this.#bury(settings.deadLetter, sink, item, payload, reason);
    const unexpected = (sink: string, { thrown }: UnexpectedFailure): void =>
      parts.note("connector-error", { connector: sink, error: stackOf(thrown) });
    const sink = new Sink({ ...parts, name, settings, connector, sessions, dead, unexpected }, before);
    this.#sinks.set(name, sink);
    if (settings.enable) sink.begin();
    else sink.rest();
  }

  /** Opens and closes what would be opened anew, and gives it nothing. What is wrong, by connector. */
  try(configured: Configured): readonly (readonly [connector: string, problem: string])[] {
    const { host } = this.#parts;
    return Object.entries(configured).flatMap(([name, settings]) => {
      if (JSON.stringify(settings) === JSON.stringify(this.#configured[name])) return [];
      try {
        void opened(name, settings, host)
          .close()
          .catch(() => {});
        return [];
      } catch (error) {
        return [[name, (error as Error).message] as const];
      }
    });
  }

  /** What waits for whom nobody names any more is kept for a while: the name may have been mistyped. */
  leaveStrangers(): void {
    const { sessions, note } = this.#parts;
    for (const session of [...sessions.all()]) {
      if (session.gateway !== CONNECTORS || session.occupant !== undefined) continue;
      if (session.expiry === KEPT || this.#sinks.has(session.clientId)) continue;
      note("connector-unknown", {
        connector: session.clientId,
        messages: session.queued + session.unsettled,
      });
      session.expiry = KEPT;
      session.save();
      sessions.resumeAbsence(session);
    }
  }

  #bury(topic: string, connector: string, item: Item | undefined, payload: Uint8Array, reason: string): void {
    const { gate, now, note } = this.#parts;
    note("dead-letter", { connector, rule: item?.rule, reason });
    if (topic === "") return;
    const { rule = "", id = "", at = 0, parameters } = item ?? {};
    const letter: Value = {
      ...{ connector, rule, id, reason, at, buried_at: now() },
      ...(parameters === undefined
        ? { octets: Buffer.from(payload).toString("base64") }
        : { parameters: readable(parameters) }),
    };
    const where = new Template(topic).fill({ connector, rule });
    const message = new Message(where, Buffer.from(toJson(letter)), 1, false, now());
    message.publisher = `${CONNECTORS}:${connector}`;
    message.through = item?.through;
    gate.publish(message, undefined, "system");
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#sinks.values(), (sink) => sink.close()));
  }
}

function opened(name: string, settings: ConfiguredConnector, host: ConnectHost): Connector {
  const kind = kindOf(settings.kind)!;
  for (const library of kind.libraries ?? [])
    if (!host.has(library))
      throw new Error(`it needs the package ${library}, which is not installed: npm install ${library}`);
  return kind.open(settings, host, name);
}

/** Octets that are text are shown as that. */
export function readable(value: Value): Value {
  if (value instanceof Uint8Array) return textOf(value);
  if (Array.isArray(value)) return (value as readonly Value[]).map(readable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, readable(each)]));
}
