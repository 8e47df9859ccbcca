/** Access rules as tokens, services and tables write them. What is no rule is an error, never a rule left out. */
import type { QoS } from "../bus/message.ts";
import { topicFilterProblem } from "../bus/topic.ts";
import { isAddressRange } from "../policy/addresses.ts";
import type { AccessRule, Action, WhoConditions } from "../policy/settings.ts";

/** Rules of one login at most. */
const RULES_MAX = 1_000;

export class RulesError extends Error {
  override name = "RulesError";
}

type Fields = Readonly<Record<string, unknown>>;

const ACTIONS: Readonly<Record<string, Action>> = {
  publish: "publish",
  subscribe: "subscribe",
  all: "both",
  both: "both",
  pubsub: "both",
};
/** A placeholder as the one level that it will be. */
const standIn = (filter: string): string => filter.replaceAll(/%[cuae]|\$\{[^}]*\}/g, "x");

function topicOf(value: unknown): string {
  if (typeof value !== "string") throw new RulesError("a rule's topic is no text");
  if (topicFilterProblem(standIn(value.replace(/^eq /, ""))) !== undefined) {
    throw new RulesError("a rule's topic is no topic filter");
  }
  return value;
}

function actionOf(value: unknown): Action {
  const action = value === undefined || value === null ? "both" : ACTIONS[String(value)];
  if (action === undefined) throw new RulesError("a rule's action is none of publish, subscribe, all");
  return action;
}

/** `1`, `[0, 1]` and `"0,1"`. */
function qosOf(value: unknown): QoS[] | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const list = Array.isArray(value) ? value : String(value).split(",");
  const numbers = list.map((item) =>
    typeof item === "string" && item.trim() === "" ? Number.NaN : Number(item),
  );
  if (!numbers.every((number): number is QoS => number === 0 || number === 1 || number === 2)) {
    throw new RulesError("a rule's qos is none of 0, 1, 2");
  }
  return numbers;
}

function retainOf(value: unknown): boolean | undefined {
  if (value === undefined || value === null || value === "" || value === "all") return undefined;
  if ([true, 1, "1", "true"].includes(value as never)) return true;
  if ([false, 0, "0", "false"].includes(value as never)) return false;
  throw new RulesError("a rule's retain is neither true nor false");
}

/** EMQX 5's form, in tokens, answers and rows: permission, action, topic (or topics), qos, retain, ipaddress. */
export function ruleOf(fields: Fields): AccessRule {
  const { permission, topic, topics, ipaddress } = fields;
  if (permission !== "allow" && permission !== "deny") {
    throw new RulesError("a rule's permission is neither allow nor deny");
  }
  const list = topics ?? [topic];
  if (!Array.isArray(list)) throw new RulesError("a rule's topics are no list");
  const qos = qosOf(fields["qos"]);
  const retain = retainOf(fields["retain"]);
  const given = ipaddress !== undefined && ipaddress !== null && ipaddress !== "";
  return {
    permission,
    who: given ? { address: addressOf(ipaddress) } : "all",
    action: actionOf(fields["action"]),
    topics: list.map(topicOf),
    ...(qos === undefined ? {} : { qos }),
    ...(retain === undefined ? {} : { retain }),
  };
}

function addressOf(value: unknown): string {
  if (typeof value !== "string" || !isAddressRange(value)) throw new RulesError("a rule's address is none");
  return value;
}

/** Access of EMQ X 4: 1 subscribe, 2 publish, 3 both. */
export function numberedAction(access: unknown): Action {
  const action = ([undefined, "subscribe", "publish", "both"] as const)[Number(access)];
  if (action === undefined) throw new RulesError("a rule's access is none of 1, 2, 3");
  return action;
}

/** A row of EMQ X 4's mqtt_acl: allow, ipaddr, username, clientid, access, topic; empty fields match anybody. */
export function numberedRule(row: Fields): AccessRule {
  const said = (value: unknown): string | undefined =>
    value === undefined || value === null || value === "" ? undefined : String(value);
  const user = said(row["username"]);
  const clientId = said(row["clientid"]);
  const address = said(row["ipaddr"]);
  const who: WhoConditions = {
    ...(user === undefined || user === "$all" ? {} : { user }),
    ...(clientId === undefined || clientId === "$all" ? {} : { clientId }),
    ...(address === undefined ? {} : { address: addressOf(address) }),
  };
  const allow = Number(row["allow"]);
  if (allow !== 0 && allow !== 1) throw new RulesError("a rule's allow is neither 0 nor 1");
  return {
    permission: allow === 1 ? "allow" : "deny",
    who: Object.keys(who).length === 0 ? "all" : who,
    action: numberedAction(row["access"]),
    topics: [topicOf(row["topic"])],
  };
}

export function bounded<Item>(rules: readonly Item[]): readonly Item[] {
  if (rules.length > RULES_MAX) throw new RulesError(`more than ${RULES_MAX} rules`);
  return rules;
}

/** A claim or answer `acl`: EMQX 5's list of rules, or its older lists of allowed filters `pub`, `sub`, `all`. */
export function rulesOf(acl: unknown): readonly AccessRule[] | undefined {
  if (acl === undefined || acl === null) return undefined;
  if (Array.isArray(acl)) return bounded(acl).map((entry) => ruleOf(fieldsOf(entry)));
  const lists = fieldsOf(acl);
  const rules: AccessRule[] = [];
  for (const [key, action] of [
    ["pub", "publish"],
    ["sub", "subscribe"],
    ["all", "both"],
  ] as const) {
    const topics = lists[key];
    if (topics === undefined) continue;
    if (!Array.isArray(topics)) throw new RulesError("an allow list is no list");
    rules.push({ permission: "allow", who: "all", action, topics: bounded(topics).map(topicOf) });
  }
  return rules;
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new RulesError("a rule is no object");
  }
  return value as Fields;
}
