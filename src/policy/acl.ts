import type { QoS } from "../bus/message.ts";
import { parseSharedFilter, topicMatches } from "../bus/topic.ts";
import { AddressSet } from "./addresses.ts";
import { filterCovers, filtersOverlap } from "./filter-sets.ts";
import { TopicTemplate } from "./placeholders.ts";
import type { AskedOfPolicy, Identity } from "./policy.ts";
import type { AccessRule, Action, AuthorizationSettings, WhoConditions } from "./settings.ts";

/** A rule's topic for one client, placeholders filled in. */
export interface RuleTopic {
  readonly text: string;
  /** `eq`: the text itself and nothing else. */
  readonly exact: boolean;
}

/** A rule that concerns one client. */
export interface ClientRule {
  readonly allow: boolean;
  readonly action: Action;
  /** Undefined: every topic. */
  readonly topics: readonly RuleTopic[] | undefined;
  readonly qos: readonly QoS[] | undefined;
  readonly retain: boolean | undefined;
}

const listOf = (value: string | readonly string[] | undefined): readonly string[] | undefined =>
  typeof value === "string" ? [value] : value;

const patternsOf = (value: string | readonly string[] | undefined): readonly RegExp[] | undefined =>
  listOf(value)?.map((pattern) => new RegExp(pattern, "u"));

const foundIn = (name: string | undefined, patterns: readonly RegExp[] | undefined): boolean =>
  patterns === undefined || (name !== undefined && patterns.some((pattern) => pattern.test(name)));

/** The `who` of a rule, made ready to be asked. */
class Who {
  readonly #users: readonly string[] | undefined;
  readonly #clientIds: readonly string[] | undefined;
  readonly #userPatterns: readonly RegExp[] | undefined;
  readonly #clientIdPatterns: readonly RegExp[] | undefined;
  readonly #gateways: readonly string[] | undefined;
  readonly #addresses: AddressSet | undefined;

  constructor(who: "all" | WhoConditions) {
    const conditions = who === "all" ? {} : who;
    this.#users = listOf(conditions.user);
    this.#clientIds = listOf(conditions.clientId);
    this.#userPatterns = patternsOf(conditions.userPattern);
    this.#clientIdPatterns = patternsOf(conditions.clientIdPattern);
    this.#gateways = listOf(conditions.gateway);
    const addresses = listOf(conditions.address);
    this.#addresses = addresses && new AddressSet(addresses);
  }

  includes(identity: Identity): boolean {
    const { username, clientId, gateway, peer } = identity;
    if (this.#users && (username === undefined || !this.#users.includes(username))) return false;
    if (this.#clientIds && !this.#clientIds.includes(clientId)) return false;
    if (!foundIn(username, this.#userPatterns) || !foundIn(clientId, this.#clientIdPatterns)) return false;
    if (this.#gateways && !this.#gateways.includes(gateway)) return false;
    return this.#addresses === undefined || this.#addresses.has(peer.address);
  }
}

const DELAYED = "$delayed/";

/** The topic that is meant behind `$delayed/<seconds>/`. */
export function undelayed(topic: string): string {
  if (!topic.startsWith(DELAYED)) return topic;
  const slash = topic.indexOf("/", DELAYED.length);
  return slash === -1 ? topic : topic.slice(slash + 1);
}

const EXACT = "eq ";

class CompiledRule {
  readonly who: Who;
  readonly #rule: AccessRule;
  readonly #topics: readonly { readonly template: TopicTemplate; readonly exact: boolean }[] | undefined;

  constructor(rule: AccessRule) {
    this.#rule = rule;
    this.who = new Who(rule.who);
    this.#topics = rule.topics?.map((topic) => {
      const exact = topic.startsWith(EXACT);
      return { template: new TopicTemplate(exact ? topic.slice(EXACT.length) : topic), exact };
    });
  }

  /** For the log: `deny publish secret/#`. */
  get text(): string {
    const { permission, action, topics } = this.#rule;
    return `${permission} ${action === "both" ? "publish and subscribe" : action} ${topics?.join(", ") ?? "everything"}`;
  }

  /** Says the same to every client that it concerns. */
  get constant(): boolean {
    return this.#topics?.every(({ template }) => template.constant) ?? true;
  }

  /** A topic whose placeholder has no value for this client names nothing, so it is left out. */
  for(identity: Identity): ClientRule {
    const topics: RuleTopic[] = [];
    for (const { template, exact } of this.#topics ?? []) {
      const text = template.fill(identity);
      if (text !== undefined) topics.push({ text, exact });
    }
    return {
      allow: this.#rule.permission === "allow",
      action: this.#rule.action,
      topics: this.#topics && topics,
      qos: this.#rule.qos,
      retain: this.#rule.retain,
    };
  }
}

function speaksAbout(rule: CompiledRule, asked: AskedOfPolicy): boolean {
  const own = rule.for(asked.identity);
  if (own.action !== "both" && own.action !== asked.action) return false;
  if (asked.action === "publish")
    return ruleMatchesPublish(own, undelayed(asked.topic), asked.qos, asked.retain);
  const shared = parseSharedFilter(asked.filter);
  return ruleMatchesSubscribe(own, typeof shared === "object" ? shared.filter : asked.filter, asked.qos);
}

/** The access control list: rules in order, the first that matches decides, else `noMatch`. */
export class Acl {
  readonly #rules: readonly CompiledRule[];
  readonly allowsOnNoMatch: boolean;

  constructor(settings: AuthorizationSettings) {
    this.#rules = settings.rules.map((rule) => new CompiledRule(rule));
    this.allowsOnNoMatch = settings.noMatch === "allow";
  }

  /** Rules from elsewhere, as they are for one client. */
  static compile(rules: readonly AccessRule[], identity: Identity): readonly ClientRule[] {
    return rules
      .map((rule) => new CompiledRule(rule))
      .filter((rule) => rule.who.includes(identity))
      .map((rule) => rule.for(identity));
  }

  /** The rules that concern one client, in order: those of its own login first. */
  rulesFor(identity: Identity): readonly ClientRule[] {
    const general = this.#rules
      .filter((rule) => rule.who.includes(identity))
      .map((rule) => rule.for(identity));
    return [...Acl.compile(identity.rules ?? [], identity), ...general];
  }

  /** The rule that speaks about something, or that none does: for the log, after the fact. */
  decidedBy(asked: AskedOfPolicy): string {
    const own = asked.identity.rules ?? [];
    const rules = [...own.map((rule) => new CompiledRule(rule)), ...this.#rules];
    const index = rules.findIndex((rule) => rule.who.includes(asked.identity) && speaksAbout(rule, asked));
    if (index < 0)
      return `no rule speaks about it: authorization.noMatch ${this.allowsOnNoMatch ? "allow" : "deny"}`;
    if (index < own.length) return `rule ${index + 1} of its login: ${rules[index]!.text}`;
    return `authorization.rules ${index - own.length + 1}: ${rules[index]!.text}`;
  }

  /**
   * Clients of one kind have the same rules, word for word. Undefined for a client whose rules hold something of its
   * own, such as its id.
   */
  kindOf(identity: Identity): string | undefined {
    if (identity.rules !== undefined && identity.rules.length > 0) return undefined;
    let kind = "";
    for (let index = 0; index < this.#rules.length; index++) {
      const rule = this.#rules[index]!;
      if (!rule.who.includes(identity)) continue;
      if (!rule.constant) return undefined;
      kind += `${index} `;
    }
    return kind;
  }
}

export function ruleMatchesPublish(rule: ClientRule, topic: string, qos: QoS, retain: boolean): boolean {
  if (rule.qos && !rule.qos.includes(qos)) return false;
  if (rule.retain !== undefined && rule.retain !== retain) return false;
  if (rule.topics === undefined) return true;
  return rule.topics.some(({ text, exact }) => (exact ? text === topic : topicMatches(text, topic)));
}

/**
 * A filter is a set of topics. An `allow` speaks for a subscription when it covers the whole of it; a `deny`
 * already when it touches it, or else `secret/+` would go around a `deny` of `secret/x`.
 */
export function ruleMatchesSubscribe(rule: ClientRule, filter: string, qos: QoS): boolean {
  if (rule.qos && !rule.qos.includes(qos)) return false;
  if (rule.topics === undefined) return true;
  return rule.topics.some(({ text, exact }) => {
    if (exact) return text === filter;
    return rule.allow ? filterCovers(text, filter) : filtersOverlap(text, filter);
  });
}
