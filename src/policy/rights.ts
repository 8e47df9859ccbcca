import type { QoS } from "../bus/message.ts";
import { isGatewaysOwn, parseSharedFilter } from "../bus/topic.ts";
import { after, type Clock, type Duration, type Instant } from "../lib/time.ts";
import { type Acl, type ClientRule, ruleMatchesPublish, ruleMatchesSubscribe, undelayed } from "./acl.ts";
import type { Identity } from "./policy.ts";

/** Bounds of what is remembered for one client. */
export interface RightsCacheLimits {
  readonly entries: number;
  readonly ttl: Duration;
}

/** `$SYS` is the gateway's own voice: no rule lets a client publish there, delayed or not. */
export function isReservedTopic(topic: string): boolean {
  if (topic.charCodeAt(0) !== 0x24) return false;
  const meant = undelayed(topic);
  return meant === "$SYS" || meant.startsWith("$SYS/") || isGatewaysOwn(meant);
}

/** Remembered answers, oldest out first; forgotten as a whole when their time is over. */
class Answers {
  readonly #known = new Map<string, boolean>();
  #until = 0 as Instant;

  get(topic: string, now: Instant): boolean | undefined {
    if (now >= this.#until) {
      this.#known.clear();
      return undefined;
    }
    return this.#known.get(topic);
  }

  set(topic: string, answer: boolean, limits: RightsCacheLimits, now: Instant): void {
    if (limits.entries === 0) return;
    if (this.#known.size === 0) this.#until = after(now, limits.ttl);
    if (this.#known.size >= limits.entries) {
      const oldest = this.#known.keys().next();
      if (oldest.done !== true) this.#known.delete(oldest.value);
    }
    this.#known.set(topic, answer);
  }
}

/** What one client may do under one generation of the rules. */
export class Rights {
  readonly generation: number;
  readonly #publish: readonly ClientRule[];
  readonly #subscribe: readonly ClientRule[];
  readonly #otherwise: boolean;
  readonly #limits: RightsCacheLimits;
  readonly #clock: Clock;
  /** One table for each combination of QoS and RETAIN, or one for all where no rule looks at them. */
  readonly #publishAnswers: Answers[] = [];
  readonly #subscribeAnswers: Answers[] = [];
  readonly #looksAtFlags: boolean;

  constructor(acl: Acl, identity: Identity, generation: number, limits: RightsCacheLimits, clock: Clock) {
    const rules = acl.rulesFor(identity);
    this.generation = generation;
    this.#publish = rules.filter((rule) => rule.action !== "subscribe");
    this.#subscribe = rules.filter((rule) => rule.action !== "publish");
    this.#otherwise = acl.allowsOnNoMatch;
    this.#looksAtFlags = rules.some((rule) => rule.qos !== undefined || rule.retain !== undefined);
    this.#limits = limits;
    this.#clock = clock;
  }

  mayPublish(topic: string, qos: QoS, retain: boolean): boolean {
    if (isReservedTopic(topic)) return false;
    if (this.#publish.length === 0) return this.#otherwise;
    const variant = this.#looksAtFlags ? qos * 2 + (retain ? 1 : 0) : 0;
    this.#publishAnswers[variant] ??= new Answers();
    const answers = this.#publishAnswers[variant];
    const now = this.#clock.now();
    const known = answers.get(topic, now);
    if (known !== undefined) return known;
    const meant = undelayed(topic);
    const rule = this.#publish.find((candidate) => ruleMatchesPublish(candidate, meant, qos, retain));
    const answer = rule?.allow ?? this.#otherwise;
    answers.set(topic, answer, this.#limits, now);
    return answer;
  }

  maySubscribe(filter: string, qos: QoS): boolean {
    if (this.#subscribe.length === 0) return this.#otherwise;
    const variant = this.#looksAtFlags ? qos : 0;
    this.#subscribeAnswers[variant] ??= new Answers();
    const answers = this.#subscribeAnswers[variant];
    const now = this.#clock.now();
    const known = answers.get(filter, now);
    if (known !== undefined) return known;
    const shared = parseSharedFilter(filter);
    const meant = typeof shared === "object" ? shared.filter : filter;
    const rule = this.#subscribe.find((candidate) => ruleMatchesSubscribe(candidate, meant, qos));
    const answer = rule?.allow ?? this.#otherwise;
    answers.set(filter, answer, this.#limits, now);
    return answer;
  }
}
