import type { Routed } from "../bus/bus.ts";
import type { Asker } from "../bus/commits.ts";
import type { Follower, Gate, Hold, Origin } from "../bus/gate.ts";
import type { Message } from "../bus/message.ts";
import { TopicTree } from "../bus/topic-tree.ts";
import { marksOf } from "../bus/via.ts";
import type { Identity } from "../contract/identity.ts";
import { Ring } from "../lib/ring.ts";
import type { CompileAction } from "./action.ts";
import type { EventKind } from "./event-names.ts";
import {
  connectionFields,
  FieldsOfEvent,
  messageFields,
  Published,
  type Publisher,
  publisherFields,
  wholeMilliseconds,
} from "./events.ts";
import { SinkHold } from "./hold.ts";
import { type CompiledRule, compileRule, type Failed, Rule, RuleError, type RuleSettings } from "./rule.ts";
import { withinLanguage } from "./sql/bounds.ts";
import type { Value, ValueMap } from "./value.ts";

/** Rules that one event may come through: they may lead to each other, and not for ever. */
const THROUGH_MAX = 16;
const NOTHING: readonly string[] = [];
const DELIVERIES: readonly EventKind[] = ["message_delivered", "message_acked", "delivery_dropped"];

export interface RulesParts {
  readonly gate: Gate;
  readonly node: string;
  now(): number;
  newId(): string;
  /** A run that failed; said of one rule now and then only. */
  readonly failed: Failed;
}

interface EventRule {
  readonly rule: Rule;
  readonly generation: 4 | 5;
}

interface TopicRule {
  readonly rule: Rule;
  readonly generation: 4 | 5;
}

/** All rules: which an event is for, and what they make of it. Rules follow what passes the gate and never stop it. */
export class Rules implements Follower {
  readonly #parts: RulesParts;
  #rules: ReadonlyMap<string, Rule> = new Map();
  /** As subscriptions are found: ten thousand rules cost a message those that match. */
  #byTopic = new TopicTree<TopicRule[]>();
  #byEvent: ReadonlyMap<EventKind, readonly EventRule[]> = new Map();
  #followsDeliveries = false;
  /** Those that the last topic found. One message asks twice, and devices repeat themselves. */
  readonly #found: TopicRule[] = [];
  #foundFor: string | undefined = undefined;
  readonly #caused = new Ring<Message>();
  /** What is made now is routed by the gate, which asks for it. */
  #following = false;
  #hold: SinkHold | undefined = undefined;
  #turn = 0;

  constructor(parts: RulesParts) {
    this.#parts = parts;
  }

  get all(): Iterable<Rule> {
    return this.#rules.values();
  }

  get(id: string): Rule | undefined {
    return this.#rules.get(id);
  }

  /**
   * Takes these in place of those that were there; a rule of the same id goes on counting. `errands`: messages may have
   * such, also where there is no rule. Throws `RuleError`.
   */
  update(
    settings: Readonly<Record<string, RuleSettings>>,
    action: CompileAction,
    { errands = false }: { readonly errands?: boolean } = {},
  ): void {
    const compiled = Object.entries(settings).map(
      ([id, each]) => [id, each, compiledRule(id, each, action)] as const,
    );
    const rules = new Map<string, Rule>();
    for (const [id, each, made] of compiled) rules.set(id, new Rule(id, each, made, this.#rules.get(id)));
    this.#rules = rules;
    this.#index();
    const { gate } = this.#parts;
    if (rules.size > 0 || errands) gate.follower = this;
    else if (gate.follower === this) gate.follower = undefined;
  }

  #index(): void {
    this.#byTopic = new TopicTree();
    this.#foundFor = undefined;
    const byEvent = new Map<EventKind, EventRule[]>();
    for (const rule of this.#rules.values()) {
      if (!rule.settings.enable) continue;
      for (const source of rule.sources) {
        if (source.kind === "topic") this.#addTopic(source.filter, { rule, generation: 5 });
        else if (source.event === "message_publish")
          this.#addTopic("#", { rule, generation: source.generation });
        else byEvent.set(source.event, [...(byEvent.get(source.event) ?? []), { rule, ...source }]);
      }
    }
    this.#byEvent = byEvent;
    this.#followsDeliveries = DELIVERIES.some((kind) => byEvent.has(kind));
  }

  #addTopic(filter: string, rule: TopicRule): void {
    const there = this.#byTopic.get(filter);
    if (there === undefined) this.#byTopic.set(filter, [rule]);
    else there.push(rule);
  }

  /** Some rule is for such events: spares telling of what nobody hears. */
  hears(kind: EventKind): boolean {
    return this.#byEvent.has(kind);
  }

  // ---- messages

  readonly #find = (rules: readonly TopicRule[]): void => {
    for (const each of rules) {
      if (each.rule.seen === this.#turn) continue;
      each.rule.seen = this.#turn;
      this.#found.push(each);
    }
  };

  #matching(topic: string): readonly TopicRule[] {
    if (topic === this.#foundFor) return this.#found;
    this.#foundFor = topic;
    this.#found.length = 0;
    this.#turn++;
    this.#byTopic.match(topic, this.#find);
    return this.#found;
  }

  /** A message whose deliveries some rule hears of has its id before they are made, so that they have it too. */
  entering(message: Message): void {
    if (this.#followsDeliveries) message.id ??= this.#parts.newId();
  }

  keeps(message: Message): boolean {
    return message.errand !== undefined || this.#matching(message.topic).some(({ rule }) => rule.keeps);
  }

  full(message: Message): boolean {
    return message.errand?.full === true || this.#matching(message.topic).some(({ rule }) => rule.full);
  }

  passed(
    message: Message,
    from: object | undefined,
    origin: Origin,
    by: Asker | undefined,
    routed: Routed,
  ): void {
    if (origin !== "rule") this.#hold = undefined;
    const { errand } = message;
    errand?.run(message, this.#newHold);
    if (message.through === DIRECT || errand?.swallows === true) return;
    const drops = routed === "none" && origin === "client" && this.#byEvent.has("message_dropped");
    const found = this.#matching(message.topic);
    if (found.length === 0 && !drops) return;
    const event = this.#published(message, from, by);
    this.#following = true;
    try {
      // A copy: a rule's actions may end where others are looked for.
      for (const { rule, generation } of found.length === 1 ? found : found.slice())
        this.#runOn(rule, message, event, generation);
      if (drops) this.#tell("message_dropped", this.#dropped(message, event), message.through, message);
    } finally {
      this.#following = false;
    }
  }

  #runOn(rule: Rule, message: Message, event: Published, generation: 4 | 5): void {
    const through = this.#through(rule, message.through);
    if (through === undefined) return;
    const { by, id } = event;
    const client = `${by.gateway}:${by.clientId}`;
    const { publishedAt: now, qos, properties } = message;
    const about = { event: id, client, now, qos, through, marks: marksOf(properties) };
    rule.run(event.of(generation), about, this.#newHold, this.#parts.failed);
  }

  readonly #newHold = (): SinkHold => {
    this.#hold ??= new SinkHold();
    return this.#hold;
  };

  /** Undefined where this rule has seen to it already, or too many have. */
  #through(rule: Rule, before: readonly string[] = NOTHING): readonly string[] | undefined {
    if (before.length < THROUGH_MAX && !before.includes(rule.id)) return [...before, rule.id];
    rule.counters.loops++;
    return undefined;
  }

  #published(message: Message, from: object | undefined, by: Asker | undefined): Published {
    const { node, newId } = this.#parts;
    return new Published(message, publisherOf(message, from, by), node, newId);
  }

  #dropped(message: Message, event: Published): () => Record<string, Value> {
    return () => ({
      ...publisherFields(event.by),
      ...connectionFields(event.by),
      ...messageFields(message, event.id, this.#parts.node),
      reason: "no_subscribers",
    });
  }

  next(): Message | undefined {
    return this.#caused.shift();
  }

  held(): Hold | undefined {
    const hold = this.#hold;
    this.#hold = undefined;
    return hold === undefined || hold.isOver ? undefined : hold;
  }

  /** What a rule publishes. */
  readonly emit = (message: Message, direct: boolean): void => {
    // No rule sees it then.
    if (direct) message.through = DIRECT;
    if (this.#following) this.#caused.push(message);
    else this.#parts.gate.publish(message, undefined, "rule");
  };

  // ---- events

  /** Something has happened. `fields` are made where a rule asks for them. */
  happened(kind: EventKind, fields: () => Record<string, Value>, message?: Message): void {
    if (message?.through === DIRECT || !this.#byEvent.has(kind)) return;
    this.#tell(kind, fields, message?.through, message);
  }

  #tell(
    kind: EventKind,
    make: () => Record<string, Value>,
    before: readonly string[] | undefined,
    message: Message | undefined,
  ): void {
    const { node, newId, now } = this.#parts;
    const at = now();
    const fields = { node, timestamp: wholeMilliseconds(at), id: newId(), ...make() };
    const event = new FieldsOfEvent(kind, at, fields);
    const { gateway, clientid, id } = fields as unknown as Record<string, string>;
    const about = { event: id!, client: `${gateway ?? ""}:${clientid ?? ""}`, now: at };
    for (const { rule, generation } of this.#byEvent.get(kind) ?? []) {
      const through = this.#through(rule, before);
      if (through === undefined) continue;
      const marks = marksOf(message?.properties);
      const occasion = { ...about, qos: message?.qos ?? 0, through, marks } as const;
      rule.run(event.of(generation), occasion, () => new SinkHold(), this.#parts.failed);
    }
  }

  // ---- trying

  /** What a rule would make of an event; nothing is done. Throws `RuleError` and `RuleFailure`. */
  test(settings: RuleSettings, action: CompileAction, kind: EventKind, fields: ValueMap): Tested {
    const compiled = compiledRule("test", settings, action);
    const at = this.#parts.now();
    const generation = compiled.sources.some((each) => each.kind === "event" && each.generation === 4)
      ? 4
      : 5;
    const outputs = compiled.query.run(new FieldsOfEvent(kind, at, { timestamp: at, ...fields }, generation));
    return {
      outputs,
      actions: compiled.actions.map(({ kind: of, to, prepare }) => ({
        kind: of,
        to,
        parameters: outputs.map((output, element) => {
          const occasion = {
            rule: "test",
            event: "test",
            element,
            client: "",
            now: at,
            qos: 0,
            through: [],
            marks: [],
          } as const;
          return withinLanguage(() => prepare(output, occasion).parameters);
        }),
      })),
    };
  }
}

/** Of a message that no rule shall see. */
const DIRECT: readonly string[] = [];

export interface Tested {
  readonly outputs: readonly Value[];
  readonly actions: readonly {
    readonly kind: string;
    readonly to: string;
    readonly parameters: readonly Value[];
  }[];
}

/** An id that leads to another rule's delivery id, or to nothing that a path may name, is none. */
const ID = /^[A-Za-z0-9_-]{1,64}$/;

function compiledRule(id: string, settings: RuleSettings, action: CompileAction): CompiledRule {
  if (!ID.test(id)) throw new RuleError([], "the id of a rule has letters, digits, - and _, 64 at most");
  return compileRule(id, settings, action);
}

/** From its connection; of what has none any more, from the name that the message bears. */
function publisherOf(message: Message, from: object | undefined, by: Asker | undefined): Publisher {
  const known = by ?? (from as { readonly identity?: object; readonly protocol?: string } | undefined);
  const identity = known?.identity as Identity | undefined;
  if (identity !== undefined) {
    const { gateway, clientId, username, peer } = identity;
    const { protocol } = known as { readonly protocol?: string | undefined };
    return { gateway, clientId, username, address: peer.address, port: peer.port, protocol };
  }
  const at = message.publisher.indexOf(":");
  return {
    gateway: at < 0 ? "" : message.publisher.slice(0, at),
    clientId: message.publisher.slice(at + 1),
    username: undefined,
  };
}
