import type { QoS } from "../bus/message.ts";
import { parseSharedFilter } from "../bus/topic.ts";
import { after, type Clock, type Instant } from "../lib/time.ts";
import { Acl, type ClientRule, ruleMatchesPublish, ruleMatchesSubscribe, undelayed } from "./acl.ts";
import type { AuthorizationSource, Question } from "./authorization.ts";
import type { Identity } from "./policy.ts";
import { isReservedTopic, type RightsCacheLimits } from "./rights.ts";

interface Known {
  readonly allowed: boolean;
  readonly until: Instant;
}

/** What a source said of a client's rules. */
interface Rules {
  readonly rules: readonly ClientRule[];
  readonly until: Instant;
}

const keyOf = ({ action, topic, qos, retain }: Question): string =>
  `${action === "publish" ? "p" : "s"}${qos}${retain ? "r" : ""} ${topic}`;

/**
 * What one client may do where sources outside this process have a say. An answer that is not at hand is `undefined`:
 * then `ask` finds it out. Answers are remembered for as long as decisions are.
 */
export class SourcedRights {
  readonly generation: number;
  readonly #identity: Identity;
  readonly #sources: readonly AuthorizationSource[];
  readonly #own: readonly ClientRule[];
  readonly #otherwise: boolean;
  readonly #sourcesFirst: boolean;
  readonly #limits: RightsCacheLimits;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();
  readonly #asked = new Map<string, Promise<boolean>>();
  readonly #rules = new Map<AuthorizationSource, Rules>();
  readonly #fetching = new Map<AuthorizationSource, Promise<readonly ClientRule[] | undefined>>();

  constructor(
    acl: Acl,
    identity: Identity,
    generation: number,
    limits: RightsCacheLimits,
    clock: Clock,
    sources: { readonly list: readonly AuthorizationSource[]; readonly first: boolean },
  ) {
    this.generation = generation;
    this.#identity = identity;
    this.#sources = sources.list;
    this.#sourcesFirst = sources.first;
    this.#own = acl.rulesFor(identity);
    this.#otherwise = acl.allowsOnNoMatch;
    this.#limits = limits;
    this.#clock = clock;
  }

  mayPublish(topic: string, qos: QoS, retain: boolean): boolean | undefined {
    if (isReservedTopic(topic)) return false;
    return this.#look({ action: "publish", topic: undelayed(topic), qos, retain });
  }

  maySubscribe(filter: string, qos: QoS): boolean | undefined {
    return this.#look(this.#ofFilter(filter, qos));
  }

  /** Never rejects. */
  ask(question: Question): Promise<boolean> {
    const meant =
      question.action === "publish"
        ? { ...question, topic: undelayed(question.topic) }
        : this.#ofFilter(question.topic, question.qos);
    if (meant.action === "publish" && isReservedTopic(question.topic)) return Promise.resolve(false);
    const key = keyOf(meant);
    const running = this.#asked.get(key);
    if (running !== undefined) return running;
    const asked = this.#find(meant, key).finally(() => this.#asked.delete(key));
    this.#asked.set(key, asked);
    return asked;
  }

  /** Fetches rules ahead of the first question. */
  async prepare(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.rules && this.#rulesOf(source)));
  }

  #ofFilter(filter: string, qos: QoS): Question {
    const shared = parseSharedFilter(filter);
    const topic = typeof shared === "object" ? shared.filter : filter;
    return { action: "subscribe", topic, qos, retain: false };
  }

  #look(question: Question): boolean | undefined {
    const now = this.#clock.now();
    const known = this.#known.get(keyOf(question));
    if (known !== undefined && known.until > now) return known.allowed;
    if (!this.#sourcesFirst) {
      const own = judge(this.#own, question);
      if (own !== undefined) return own;
    }
    for (const source of this.#sources) {
      const fetched = this.#rules.get(source);
      if (source.rules === undefined || fetched === undefined || fetched.until <= now) return undefined;
      const said = judge(fetched.rules, question);
      if (said !== undefined) return said;
    }
    return (this.#sourcesFirst ? judge(this.#own, question) : undefined) ?? this.#otherwise;
  }

  async #find(question: Question, key: string): Promise<boolean> {
    const own = judge(this.#own, question);
    if (!this.#sourcesFirst && own !== undefined) return own;
    for (const source of this.#sources) {
      const said =
        source.rules === undefined
          ? await this.#decide(source, question)
          : await this.#match(source, question);
      if (said === "away") {
        if (source.onError === "next") continue;
        // It is not remembered: the next question tries again.
        return (source.onError === "keep" && this.#known.get(key)?.allowed) || false;
      }
      if (said !== undefined) return this.#remember(key, said);
    }
    return this.#remember(key, (this.#sourcesFirst ? own : undefined) ?? this.#otherwise);
  }

  async #decide(source: AuthorizationSource, question: Question): Promise<boolean | undefined | "away"> {
    const decision = await source.decide?.(this.#identity, question);
    if (decision === undefined) return "away";
    return decision === "ignore" ? undefined : decision === "allow";
  }

  async #match(source: AuthorizationSource, question: Question): Promise<boolean | undefined | "away"> {
    const rules = await this.#rulesOf(source);
    return rules === undefined ? "away" : judge(rules, question);
  }

  /** Undefined: it cannot be asked, and nothing of before counts. */
  async #rulesOf(source: AuthorizationSource): Promise<readonly ClientRule[] | undefined> {
    const known = this.#rules.get(source);
    if (known !== undefined && known.until > this.#clock.now()) return known.rules;
    let fetching = this.#fetching.get(source);
    if (fetching === undefined) {
      fetching = this.#fetch(source).finally(() => this.#fetching.delete(source));
      this.#fetching.set(source, fetching);
    }
    return (await fetching) ?? (source.onError === "keep" ? known?.rules : undefined);
  }

  async #fetch(source: AuthorizationSource): Promise<readonly ClientRule[] | undefined> {
    const rules = await source.rules?.(this.#identity);
    if (rules === undefined) return undefined;
    const compiled = Acl.compile(rules, this.#identity);
    this.#rules.set(source, { rules: compiled, until: after(this.#clock.now(), this.#limits.ttl) });
    return compiled;
  }

  #remember(key: string, allowed: boolean): boolean {
    const { entries, ttl } = this.#limits;
    if (entries === 0) return allowed;
    this.#known.delete(key);
    if (this.#known.size >= entries) {
      const oldest = this.#known.keys().next();
      if (oldest.done !== true) this.#known.delete(oldest.value);
    }
    this.#known.set(key, { allowed, until: after(this.#clock.now(), ttl) });
    return allowed;
  }
}

/** What the first rule that matches says; undefined where none does. */
function judge(rules: readonly ClientRule[], { action, topic, qos, retain }: Question): boolean | undefined {
  for (const rule of rules) {
    if (rule.action !== "both" && rule.action !== action) continue;
    const matches =
      action === "publish"
        ? ruleMatchesPublish(rule, topic, qos, retain)
        : ruleMatchesSubscribe(rule, topic, qos);
    if (matches) return rule.allow;
  }
  return undefined;
}
