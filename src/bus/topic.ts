/** Longest topic in bytes of UTF-8 [MQTT-4.7.3-3]. */
export const TOPIC_LENGTH_MAX = 65_535;

/** Why a topic name or filter is refused, or `undefined` when it is valid. */
export type TopicProblem =
  | "empty"
  | "NUL character"
  | "half a surrogate pair"
  | "wildcard in a topic name"
  | "misplaced wildcard"
  | "too long";

/** What no UTF-8 can say [MQTT-1.5.4-1]: nothing that was decoded holds it, but JSON, rules and modules can make it. */
const isSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdfff;

/** Checks a topic name, which may not hold wildcards [MQTT-3.3.2-2]. */
export function topicNameProblem(topic: string): TopicProblem | undefined {
  const length = topic.length;
  if (length === 0) return "empty";
  if (length > TOPIC_LENGTH_MAX) return "too long";
  let surrogates = false;
  for (let index = 0; index < length; index++) {
    const code = topic.charCodeAt(index);
    if (code === 0) return "NUL character";
    if (code === 0x23 || code === 0x2b) return "wildcard in a topic name";
    surrogates ||= isSurrogate(code);
  }
  return surrogates && !topic.isWellFormed() ? "half a surrogate pair" : undefined;
}

/** Checks a topic filter: `#` only last and alone in its level, `+` alone in its level [MQTT-4.7.1-1..3]. */
export function topicFilterProblem(filter: string): TopicProblem | undefined {
  const length = filter.length;
  if (length === 0) return "empty";
  if (length > TOPIC_LENGTH_MAX) return "too long";
  let surrogates = false;
  for (let index = 0; index < length; index++) {
    const code = filter.charCodeAt(index);
    if (code === 0) return "NUL character";
    surrogates ||= isSurrogate(code);
    if (code !== 0x23 && code !== 0x2b) continue;
    const startsLevel = index === 0 || filter.charCodeAt(index - 1) === 0x2f;
    const endsLevel = index === length - 1 || (code === 0x2b && filter.charCodeAt(index + 1) === 0x2f);
    if (!startsLevel || !endsLevel) return "misplaced wildcard";
  }
  return surrogates && !filter.isWellFormed() ? "half a surrogate pair" : undefined;
}

export const hasWildcard = (filter: string): boolean => filter.includes("+") || filter.includes("#");

export function topicLevels(topic: string): number {
  let levels = 1;
  for (let index = 0; index < topic.length; index++) if (topic.charCodeAt(index) === 0x2f) levels++;
  return levels;
}

/** Whether a topic name matches a filter; a leading wildcard never matches a `$` topic [MQTT-4.7.2-1]. */
export function topicMatches(filter: string, topic: string): boolean {
  if (topic.charCodeAt(0) === 0x24 && (filter.charCodeAt(0) === 0x23 || filter.charCodeAt(0) === 0x2b)) {
    return false;
  }
  let inFilter = 0;
  let inTopic = 0;
  while (inFilter < filter.length) {
    const code = filter.charCodeAt(inFilter);
    if (code === 0x23) return true;
    if (code === 0x2b) {
      while (inTopic < topic.length && topic.charCodeAt(inTopic) !== 0x2f) inTopic++;
      inFilter++;
    } else {
      while (inFilter < filter.length && filter.charCodeAt(inFilter) !== 0x2f) {
        if (inTopic >= topic.length || filter.charCodeAt(inFilter) !== topic.charCodeAt(inTopic))
          return false;
        inFilter++;
        inTopic++;
      }
    }
    if (inFilter === filter.length) return inTopic === topic.length;
    // The filter goes on behind a "/". "a/#" matches "a" itself [MQTT-4.7.1-2].
    if (inTopic === topic.length) return filter.length === inFilter + 2 && filter.endsWith("/#");
    if (topic.charCodeAt(inTopic) !== 0x2f) return false;
    inFilter++;
    inTopic++;
  }
  return inTopic === topic.length && (topic.length === 0 || topic.charCodeAt(topic.length - 1) === 0x2f);
}

/** The group of `$queue/<filter>`. */
export const QUEUE_GROUP = "$queue";

/** A shared subscription: which group takes turns on which filter (MQTT 5 §4.8.2). */
export interface SharedFilter {
  readonly group: string;
  readonly filter: string;
}

/** What stands before the filter of a shared subscription; empty where it is an ordinary one. */
export function sharedPrefix(filter: string): string {
  if (filter.startsWith("$queue/")) return "$queue/";
  if (!filter.startsWith("$share/")) return "";
  return filter.slice(0, filter.indexOf("/", "$share/".length) + 1);
}

/**
 * Reads `$share/<group>/<filter>` and `$queue/<filter>` (a group of its own name).
 * Returns `undefined` for an ordinary filter and `"malformed"` for a broken shared one [MQTT-4.8.2-1..2].
 */
export function parseSharedFilter(filter: string): SharedFilter | "malformed" | undefined {
  if (filter.startsWith("$queue/")) {
    const rest = filter.slice("$queue/".length);
    return rest === "" ? "malformed" : { group: QUEUE_GROUP, filter: rest };
  }
  if (!filter.startsWith("$share/")) return undefined;
  const slash = filter.indexOf("/", "$share/".length);
  const group = filter.slice("$share/".length, slash === -1 ? undefined : slash);
  const rest = slash === -1 ? "" : filter.slice(slash + 1);
  if (group === "" || rest === "" || group.includes("+") || group.includes("#")) return "malformed";
  return { group, filter: rest };
}

/** Behind this gateways keep at a cluster what is for each other: no rule lets a client publish or subscribe there. */
export const GATEWAYS_OWN = "$isthmus/";

export const isGatewaysOwn = (topic: string): boolean => `${topic}/`.startsWith(GATEWAYS_OWN);
