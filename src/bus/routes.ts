import { SmallMap } from "../lib/small-map.ts";
import type { Grant, Subscriber, Subscription } from "./bus.ts";
import type { SharedGroup } from "./shared-group.ts";
import { hasWildcard } from "./topic.ts";
import { TopicTree } from "./topic-tree.ts";

/**
 * All that is subscribed to one filter: its subscribers, and the groups that share it. A subscription becomes its own target
 * with the first message, so that routes, which change with every subscription, are made of what is there.
 */
class FilterEntry extends SmallMap<Subscriber, Subscription | OwnTarget> {
  readonly filter: string;
  groups: SmallMap<string, SharedGroup> | undefined = undefined;

  constructor(filter: string) {
    super();
    this.filter = filter;
  }

  /** What its subscribers are to a message that no other filter of theirs matches. */
  forEachTarget(visit: (target: OwnTarget) => void): void {
    this.forEach((held, subscriber) => {
      const target = held instanceof OwnTarget ? held : new OwnTarget(subscriber, held);
      if (target !== held) this.set(subscriber, target);
      visit(target);
    });
  }
}

/** For who looks at what there is. */
export interface SubscribedFilter {
  readonly filter: string;
  readonly subscribers: number;
  /** Names of groups that share it. */
  readonly groups: readonly string[];
}

/** One receiver of one topic. */
export interface Target {
  readonly subscriber: Subscriber;
  readonly owner: object;
  readonly grant: Grant;
  /** The grant for its owner's own messages; undefined when all its matching subscriptions are no-local. */
  readonly ownGrant: Grant | undefined;
}

/** Made of one subscription. */
class OwnTarget implements Target {
  readonly subscriber: Subscriber;
  readonly owner: object;
  readonly grant: Grant;
  readonly ownGrant: Grant | undefined;
  readonly subscription: Subscription;

  constructor(subscriber: Subscriber, subscription: Subscription) {
    this.subscriber = subscriber;
    this.owner = subscriber.owner ?? subscriber;
    this.grant = grantOf(subscription);
    this.ownGrant = subscription.noLocal === true ? undefined : this.grant;
    this.subscription = subscription;
  }
}

/** Where the messages of one topic go, resolved once and used until a subscription changes. */
export interface Route {
  readonly targets: readonly Target[];
  readonly groups: readonly SharedGroup[];
}

const NOWHERE: Route = { targets: [], groups: [] };

/** Subscriptions, and routes made of them; the route of a topic in use costs one map look-up. */
export class Routes {
  /** Filters without wildcards, which are most: each matches the one topic of its name. */
  readonly #exact = new Map<string, FilterEntry>();
  /** Filters with wildcards. */
  readonly #tree = new TopicTree<FilterEntry>();
  readonly #cache = new Map<string, Route>();
  readonly #cacheSize: number;

  /** `cacheSize`: how many topics keep their resolved route. */
  constructor(cacheSize: number) {
    this.#cacheSize = cacheSize;
  }

  /** Distinct filters. */
  get filters(): number {
    return this.#exact.size + this.#tree.size;
  }

  /** All filters, or those that match a topic. */
  *subscribed(topic?: string): Generator<SubscribedFilter> {
    for (const entry of topic === undefined ? this.#all() : this.#matching(topic)) {
      const { filter, size, groups } = entry;
      yield { filter, subscribers: size, groups: [...(groups?.values() ?? [])].map(({ group }) => group) };
    }
  }

  *#all(): Generator<FilterEntry> {
    yield* this.#exact.values();
    yield* this.#tree.values();
  }

  #matching(topic: string): FilterEntry[] {
    const entries: FilterEntry[] = [];
    const exact = this.#exact.get(topic);
    if (exact !== undefined) entries.push(exact);
    this.#tree.match(topic, (entry) => entries.push(entry));
    return entries;
  }

  find(topic: string): Route {
    const known = this.#cache.get(topic);
    if (known !== undefined) return known;
    const route = this.#resolve(topic);
    // Topics that nobody hears are found out cheaply, and those of $SYS are many and seldom.
    if (route === NOWHERE || this.#cacheSize === 0 || topic.startsWith("$SYS/")) return route;
    if (this.#cache.size >= this.#cacheSize) this.#evict();
    this.#cache.set(topic, route);
    return route;
  }

  add(subscriber: Subscriber, filter: string, subscription: Subscription): boolean {
    const entry = this.#entry(filter);
    const isNew = !entry.has(subscriber);
    entry.set(subscriber, subscription);
    this.#invalidate(filter);
    return isNew;
  }

  remove(subscriber: Subscriber, filter: string): boolean {
    const entry = this.#known(filter);
    if (entry === undefined || !entry.delete(subscriber)) return false;
    this.#drop(filter, entry);
    return true;
  }

  group(filter: string, name: string): SharedGroup | undefined {
    return this.#known(filter)?.groups?.get(name);
  }

  addGroup(filter: string, group: SharedGroup): void {
    const entry = this.#entry(filter);
    entry.groups ??= new SmallMap();
    entry.groups.set(group.group, group);
    this.#invalidate(filter);
  }

  removeGroup(filter: string, group: SharedGroup): void {
    const entry = this.#known(filter);
    if (entry?.groups?.delete(group.group)) this.#drop(filter, entry);
  }

  #entry(filter: string): FilterEntry {
    let entry = this.#known(filter);
    if (entry === undefined) {
      entry = new FilterEntry(filter);
      this.#filters(filter).set(filter, entry);
    }
    return entry;
  }

  #known(filter: string): FilterEntry | undefined {
    return this.#filters(filter).get(filter);
  }

  #filters(filter: string): Map<string, FilterEntry> | TopicTree<FilterEntry> {
    return hasWildcard(filter) ? this.#tree : this.#exact;
  }

  #drop(filter: string, entry: FilterEntry): void {
    if (entry.size === 0 && (entry.groups?.size ?? 0) === 0) this.#filters(filter).delete(filter);
    this.#invalidate(filter);
  }

  /** A filter without wildcards concerns one topic only, so most changes leave the cache warm. */
  #invalidate(filter: string): void {
    if (this.#cache.size === 0) return;
    if (hasWildcard(filter)) this.#cache.clear();
    else this.#cache.delete(filter);
  }

  /** The topic that was resolved longest ago; what is in use comes back at once. */
  #evict(): void {
    const oldest = this.#cache.keys().next();
    if (oldest.done !== true) this.#cache.delete(oldest.value);
  }

  #resolve(topic: string): Route {
    const entries = this.#matching(topic);
    if (entries.length === 0) return NOWHERE;
    const targets = entries.length === 1 ? ownTargets(entries[0]!) : mergedTargets(entries);
    return { targets, groups: entries.flatMap(({ groups }) => [...(groups?.values() ?? [])]) };
  }
}

function ownTargets(entry: FilterEntry): readonly Target[] {
  const targets: Target[] = [];
  entry.forEachTarget((target) => targets.push(target));
  return targets;
}

/** Overlapping subscriptions of one client become one target of the highest QoS [MQTT-3.3.4-2]. */
function mergedTargets(entries: readonly FilterEntry[]): readonly Target[] {
  const targets: Target[] = [];
  const places = new Map<Subscriber, number>();
  let overlapping: Map<number, [OwnTarget, ...OwnTarget[]]> | undefined;
  for (const entry of entries) {
    entry.forEachTarget((target) => {
      const place = places.get(target.subscriber);
      if (place === undefined) {
        places.set(target.subscriber, targets.length);
        targets.push(target);
        return;
      }
      overlapping ??= new Map();
      const known = overlapping.get(place);
      if (known === undefined) overlapping.set(place, [targets[place] as OwnTarget, target]);
      else known.push(target);
    });
  }
  for (const [place, several] of overlapping ?? []) targets[place] = merge(several);
  return targets;
}

function merge(several: readonly [OwnTarget, ...OwnTarget[]]): Target {
  const { subscriber, owner } = several[0];
  const subscriptions = several.map(({ subscription }) => subscription);
  const local = subscriptions.filter(({ noLocal }) => noLocal !== true);
  const grant = mergedGrant(subscriptions);
  const ownGrant =
    local.length === subscriptions.length ? grant : local.length === 0 ? undefined : mergedGrant(local);
  return { subscriber, owner, grant, ownGrant };
}

const NONE: readonly number[] = [];
/** Without identifiers there are few, whatever the number of subscriptions: by QoS, and by whether retain stays as it was published. */
const PLAIN: readonly (readonly Grant[])[] = ([0, 1, 2] as const).map((qos) =>
  [false, true].map((retainAsPublished) => ({ qos, retainAsPublished, identifiers: NONE, group: undefined })),
);

function grantOf({ qos, retainAsPublished = false, identifier }: Subscription): Grant {
  if (identifier === undefined) return PLAIN[qos]![retainAsPublished ? 1 : 0]!;
  return { qos, retainAsPublished, identifiers: [identifier], group: undefined };
}

function mergedGrant(subscriptions: readonly Subscription[]): Grant {
  let qos: Grant["qos"] = 0;
  let retainAsPublished = false;
  const identifiers: number[] = [];
  for (const subscription of subscriptions) {
    if (subscription.qos > qos) qos = subscription.qos;
    retainAsPublished ||= subscription.retainAsPublished ?? false;
    if (subscription.identifier !== undefined) identifiers.push(subscription.identifier);
  }
  return { qos, retainAsPublished, identifiers, group: undefined };
}
