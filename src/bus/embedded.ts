import type { Memory } from "../lib/memory.ts";
import type { Clock } from "../lib/time.ts";
import type {
  Bus,
  QueueGroup,
  QueueKeeper,
  Routed,
  SharedSubscription,
  Subscriber,
  Subscription,
} from "./bus.ts";
import type { Message } from "./message.ts";
import { type RetainedJournal, type RetainedLimits, RetainedMessages } from "./retained.ts";
import { Routes, type SubscribedFilter } from "./routes.ts";
import { isFull, SharedGroup, type ShareStrategy } from "./shared-group.ts";
import { parseSharedFilter, QUEUE_GROUP } from "./topic.ts";

export interface EmbeddedBusOptions {
  readonly retained: RetainedLimits;
  readonly shareStrategy: ShareStrategy;
  /** Strategies of single groups, by group name. */
  readonly shareStrategies: Readonly<Record<string, ShareStrategy>>;
  /** Topics whose resolved route is remembered. */
  readonly routeCache: number;
}

/** The bus in this process. */
export class EmbeddedBus implements Bus {
  readonly retainedMessages: RetainedMessages;
  keeper: QueueKeeper | undefined = undefined;
  readonly #routes: Routes;
  readonly #options: EmbeddedBusOptions;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(
    options: EmbeddedBusOptions,
    clock: Clock,
    random: () => number,
    journal?: RetainedJournal,
    memory?: Memory,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#routes = new Routes(options.routeCache);
    this.retainedMessages = new RetainedMessages(options.retained, journal, memory);
  }

  get filters(): number {
    return this.#routes.filters;
  }

  subscribe(subscriber: Subscriber, filter: string, subscription: Subscription): boolean {
    const shared = parseSharedFilter(filter);
    if (shared === undefined || shared === "malformed") {
      return this.#routes.add(subscriber, filter, subscription);
    }
    let group = this.#routes.group(shared.filter, shared.group);
    if (group === undefined) {
      const strategy = this.#options.shareStrategies[shared.group] ?? this.#options.shareStrategy;
      group = new SharedGroup(shared.group, shared.filter, strategy, this.#random);
      this.#routes.addGroup(shared.filter, group);
    }
    const isNew = group.join(subscriber, subscription);
    if (shared.group === QUEUE_GROUP) this.keeper?.joined(subscriber, shared.filter);
    return isNew;
  }

  unsubscribe(subscriber: Subscriber, filter: string): boolean {
    const shared = parseSharedFilter(filter);
    if (shared === undefined || shared === "malformed") return this.#routes.remove(subscriber, filter);
    const group = this.#routes.group(shared.filter, shared.group);
    if (group === undefined || !group.leave(subscriber)) return false;
    if (group.empty) this.#routes.removeGroup(shared.filter, group);
    if (shared.group === QUEUE_GROUP) this.keeper?.left(subscriber, shared.filter);
    return true;
  }

  /** A group by its name and filter, while it has members. */
  sharedSubscription(group: string, filter: string): SharedSubscription | undefined {
    return this.#routes.group(filter, group);
  }

  /** How many a topic's next message goes to, a group counting as one, and how many of them take it now. */
  subscribers(topic: string): { readonly all: number; readonly connected: number } {
    const { targets, groups } = this.#routes.find(topic);
    let connected = 0;
    for (const { subscriber } of targets) if (subscriber.available) connected++;
    for (const group of groups) if (group.available) connected++;
    return { all: targets.length + groups.length, connected };
  }

  /** What somebody is subscribed to: all filters, or those that match a topic. */
  subscribed(topic?: string): Generator<SubscribedFilter> {
    return this.#routes.subscribed(topic);
  }

  queueGroups(topic: string): readonly QueueGroup[] {
    return this.#routes.find(topic).groups.filter(({ group }) => group === QUEUE_GROUP);
  }

  hears(topic: string): boolean {
    if (this.keeper?.keeps(topic) === true) return true;
    const { targets, groups } = this.#routes.find(topic);
    return targets.length + groups.length > 0;
  }

  keeps(message: Message): boolean {
    if (message.retain || this.keeper?.keeps(message.topic) === true) return true;
    const { targets, groups } = this.#routes.find(message.topic);
    return (
      targets.some(({ subscriber, grant }) => subscriber.durable === true && grant.qos > 0) ||
      groups.some((group) => group.durable)
    );
  }

  crowded(message: Message, from: object | undefined): Subscriber | undefined {
    if (message.qos === 0) return undefined;
    const { targets, groups } = this.#routes.find(message.topic);
    for (let index = 0; index < targets.length; index++) {
      const { subscriber, owner, grant } = targets[index]!;
      if (subscriber.pace === "crowded" && owner !== from && grant.qos > 0) return subscriber;
    }
    const isKept = this.keeper?.keeps(message.topic) === true;
    for (let index = 0; index < groups.length; index++) {
      if (isKept && groups[index]!.group === QUEUE_GROUP) continue;
      const member = groups[index]!.crowded;
      if (member !== undefined && member !== from) return member;
    }
    return undefined;
  }

  overflows(message: Message): boolean {
    if (message.qos === 0) return false;
    const { weight } = message;
    const isKept = this.keeper?.keeps(message.topic) === true;
    const { targets, groups } = this.#routes.find(message.topic);
    return (
      targets.some(({ subscriber, grant }) => grant.qos > 0 && isFull(subscriber, weight)) ||
      groups.some((group) => !(isKept && group.group === QUEUE_GROUP) && group.full(weight)) ||
      (isKept && this.keeper?.full(message) === true)
    );
  }

  replay(filter: string, limit: number): Iterator<Message> {
    return this.retainedMessages.replay(filter, this.#clock.now(), limit);
  }

  retained(filter: string, limit: number): Message[] {
    return this.retainedMessages.find(filter, this.#clock.now(), limit);
  }

  route(message: Message, from: object | undefined): Routed {
    if (message.retain) this.retainedMessages.apply(message);
    const route = this.#routes.find(message.topic);
    const targets = route.targets;
    for (let index = 0; index < targets.length; index++) {
      const target = targets[index]!;
      const grant = target.owner === from ? target.ownGrant : target.grant;
      if (grant !== undefined) target.subscriber.deliver(message, grant);
      else target.subscriber.spared?.(message);
    }
    const groups = route.groups;
    if (this.keeper?.keeps(message.topic) === true) {
      for (const group of groups) if (group.group !== QUEUE_GROUP) group.deliver(message);
      this.keeper.take(message);
      return "matched";
    }
    for (let index = 0; index < groups.length; index++) groups[index]!.deliver(message);
    return targets.length + groups.length === 0 ? "none" : "matched";
  }
}
