import type { Bus, Grant, Lent, QueueGroup, QueueKeeper, Subscriber } from "../bus/bus.ts";
import type { Message } from "../bus/message.ts";
import { isFull } from "../bus/shared-group.ts";
import { hasWildcard, topicMatches } from "../bus/topic.ts";
import type { Delivery, DeliveryId } from "../contract/delivery.ts";
import { type Duration, FOREVER } from "../lib/time.ts";
import type { Occupant, SessionContext } from "./context.ts";
import { newSessionCounters } from "./counters.ts";
import type { QueueLimits } from "./queue.ts";
import { Session } from "./session.ts";

/** Queues of topics that match keep their messages, within these limits. */
export interface QueueRule extends QueueLimits {
  readonly filter: string;
  /** How long a message waits at most. */
  readonly expiry: Duration;
}

export interface QueueOptions {
  /** Which queues keep their messages, and how many there may be. */
  readonly queues?: readonly QueueRule[] | undefined;
  readonly queuesMax?: number | undefined;
}

/** In the place of a gateway's name in a session's record: no gateway is called so. */
export const KEPT_QUEUE = "$queue";

/** QoS 1: a queue is no client that could take a message twice. Its consumers get the message's own QoS. */
const GRANT: Grant = { qos: 1, retainAsPublished: true, identifiers: [], group: undefined };
/** Handed out and not settled, by all its consumers together: as many as there are ids. */
const CREDIT = 65_535;

/**
 * Queues that keep messages while none of their subscribers has room. Each is a session of its own, in the store like
 * any other, whose client is whoever subscribes to `$queue/<topic>`: a message is the queue's until its consumer settles
 * it, or, where that has a durable session, until it is kept there.
 */
export class KeptQueues implements QueueKeeper {
  readonly #bus: Bus;
  readonly #context: SessionContext;
  readonly #rules: readonly QueueRule[];
  readonly #queuesMax: number;
  readonly #queues = new Map<string, KeptQueue>();
  /** Those in which something waits, and perhaps some more. */
  readonly #waiting = new Set<KeptQueue>();
  readonly #filters = new WeakMap<Subscriber, Set<string>>();

  constructor(bus: Bus, context: SessionContext, rules: readonly QueueRule[], queuesMax: number) {
    this.#bus = bus;
    this.#context = context;
    this.#rules = rules;
    this.#queuesMax = queuesMax;
    if (rules.length > 0) bus.keeper = this;
  }

  get count(): number {
    return this.#queues.size;
  }

  *sessions(): Iterable<Session> {
    for (const { session } of this.#queues.values()) yield session;
  }

  /** Messages that wait, and those that are handed out and not settled. */
  get messages(): number {
    let messages = 0;
    for (const { session } of this.#queues.values()) messages += session.queued + session.unsettled;
    return messages;
  }

  keeps(topic: string): boolean {
    return this.#ruleOf(topic) !== undefined;
  }

  take(message: Message): void {
    const rule = this.#ruleOf(message.topic);
    const queue = this.#queues.get(message.topic) ?? this.#begin(message.topic);
    if (rule === undefined || queue === undefined) {
      this.#context.counters.droppedFull.value++;
      return;
    }
    queue.take(message.within(rule.expiry));
    if (queue.session.queued > 0) this.#waiting.add(queue);
  }

  full(message: Message): boolean {
    const queue = this.#queues.get(message.topic);
    return queue !== undefined && isFull(queue.session, message.weight);
  }

  joined(subscriber: Subscriber, filter: string): void {
    let filters = this.#filters.get(subscriber);
    if (filters === undefined) {
      const own = new Set<string>();
      filters = own;
      this.#filters.set(subscriber, own);
      subscriber.onRoom = () => this.#feed(own);
    }
    filters.add(filter);
    this.#feed(filters);
  }

  left(subscriber: Subscriber, filter: string): void {
    const filters = this.#filters.get(subscriber);
    if (filters?.delete(filter) !== true || filters.size > 0) return;
    this.#filters.delete(subscriber);
    subscriber.onRoom = undefined;
  }

  /** Drops what has waited too long. */
  sweep(): void {
    const { clock, counters, journal } = this.#context;
    for (const queue of this.#waiting) {
      const expired = queue.session.queue?.takeExpired(clock.now()) ?? [];
      counters.droppedExpired.value += expired.length;
      for (const delivery of expired) if (delivery.qos > 0) journal?.settled(queue.session, delivery);
      this.#look(queue);
    }
  }

  // ---- from one process to the next

  /** The session of a queue that a store had kept; also where none is configured any more, until it is empty. */
  restore(topic: string): Session {
    this.#bus.keeper = this;
    const queue = this.#add(topic);
    this.#waiting.add(queue);
    return queue.session;
  }

  /** What was kept is back. */
  resume(): void {
    for (const queue of this.#waiting) {
      if (queue.session.queued + queue.session.unsettled > 0) queue.open();
      else this.#end(queue);
    }
  }

  // ---- inside

  #ruleOf(topic: string): QueueRule | undefined {
    return this.#rules.find(({ filter }) => topicMatches(filter, topic));
  }

  #begin(topic: string): KeptQueue | undefined {
    if (this.#queues.size >= this.#queuesMax && !this.#endAnEmptyOne()) return undefined;
    const queue = this.#add(topic);
    queue.session.save();
    queue.open();
    return queue;
  }

  #add(topic: string): KeptQueue {
    const { messages, bytes, drop } = this.#ruleOf(topic) ?? this.#context.options.queue;
    const counters = { ...newSessionCounters(), droppedFull: this.#context.counters.droppedFull };
    const shared = this.#context;
    const context: SessionContext = {
      ...shared,
      // A trace may begin at any time.
      get watch() {
        return shared.watch;
      },
      options: { ...this.#context.options, queue: { messages, bytes, drop }, queueQos0: true },
      // Nobody waits for a queue: it is there to wait.
      pressure: undefined,
      // Its consumers count what they are handed.
      counters: { ...counters, droppedExpired: this.#context.counters.droppedExpired },
    };
    const queue = new KeptQueue(topic, this.#bus, context, (waits) => this.#waiting.add(waits));
    this.#queues.set(topic, queue);
    return queue;
  }

  #endAnEmptyOne(): boolean {
    for (const queue of this.#queues.values()) {
      if (queue.session.queued + queue.session.unsettled > 0) continue;
      this.#end(queue);
      return true;
    }
    return false;
  }

  #end(queue: KeptQueue): void {
    this.#queues.delete(queue.topic);
    this.#waiting.delete(queue);
    queue.session.end();
  }

  /** A subscriber of these has room. */
  #feed(filters: ReadonlySet<string>): void {
    if (this.#waiting.size === 0) return;
    for (const filter of filters) {
      for (const queue of hasWildcard(filter) ? this.#waiting : this.#waitingAt(filter)) {
        if (!topicMatches(filter, queue.topic)) continue;
        queue.session.flush();
        this.#look(queue);
      }
    }
  }

  *#waitingAt(topic: string): Generator<KeptQueue> {
    const queue = this.#queues.get(topic);
    if (queue !== undefined && this.#waiting.has(queue)) yield queue;
  }

  /** What is handed out may come back to wait. */
  #look(queue: KeptQueue): void {
    const { queued, unsettled } = queue.session;
    if (queued + unsettled > 0) return;
    this.#waiting.delete(queue);
    if (this.#ruleOf(queue.topic) === undefined) this.#end(queue);
  }
}

/** One queue, as the client of its own session: what it is handed goes on to a consumer. */
class KeptQueue implements Occupant {
  readonly topic: string;
  readonly session: Session;
  readonly #bus: Bus;
  readonly #waits: (queue: KeptQueue) => void;

  constructor(topic: string, bus: Bus, context: SessionContext, waits: (queue: KeptQueue) => void) {
    this.topic = topic;
    this.#bus = bus;
    this.#waits = waits;
    this.session = new Session(KEPT_QUEUE, topic, FOREVER, context);
  }

  open(): void {
    this.session.attach(this, CREDIT);
  }

  take(message: Message): void {
    // Where it has to wait, the store need not.
    if (this.held) this.session.prompt = false;
    this.session.deliver(message, GRANT);
  }

  /** No consumer has room. */
  get held(): boolean {
    return !this.#groups.some(({ available }) => available);
  }

  deliver({ id, qos, message, duplicate }: Delivery): void {
    const lent = qos === 0 ? undefined : new LentDelivery(this, id);
    const given = duplicate ? message.leftBehind() : message;
    for (const group of this.#groups) if (group.offer(given, lent)) return;
    lent?.back();
  }

  evict(): void {}

  /** A consumer has left a message behind. */
  takeBack(id: DeliveryId): void {
    this.session.settle(id, "again");
    this.#waits(this);
  }

  get #groups(): readonly QueueGroup[] {
    return this.#bus.queueGroups(this.topic);
  }
}

class LentDelivery implements Lent {
  readonly #queue: KeptQueue;
  readonly #id: DeliveryId;

  constructor(queue: KeptQueue, id: DeliveryId) {
    this.#queue = queue;
    this.#id = id;
  }

  done(): void {
    this.#queue.session.settle(this.#id, "done");
  }

  back(): void {
    this.#queue.takeBack(this.#id);
  }

  resume(): void {
    this.#queue.session.flush();
  }
}
