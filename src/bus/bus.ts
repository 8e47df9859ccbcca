/** The topics in this process: who subscribes to what. Messages come to it through `gate.ts` alone. */
import type { Message, QoS } from "./message.ts";

/** What one subscription grants; several that match the same topic are merged into one. */
export interface Grant {
  readonly qos: QoS;
  readonly retainAsPublished: boolean;
  readonly identifiers: readonly number[];
  /** The group that chose this subscriber, if the subscription is shared. */
  readonly group: SharedSubscription | undefined;
}

export type Pace = "in-time" | "crowded" | "slow";

/** A message that stays somebody else's until its receiver has settled it. */
export interface Lent {
  /** It is done with. */
  done(): void;
  /** Its receiver leaves it behind. */
  back(): void;
  /** All that was left behind is back: it may go to others. */
  resume(): void;
}

/** A receiver of messages: in practice a session. */
export interface Subscriber {
  /** Unique on the bus. */
  readonly key: string;
  /** Connected and with room: shared groups prefer such members. */
  readonly available: boolean;
  /** `crowded`: connected, reading, and behind: who publishes to it at QoS 1 or 2 waits. `slow`: they have waited in vain. */
  readonly pace?: Pace;
  /** What waits for it. */
  readonly queue?: { readonly length: number; fits(weight: number): boolean } | undefined;
  /** It is kept by a store, and with it what is queued for it. */
  readonly durable?: boolean;
  /** Whom no-local takes it for, when that is not the subscriber alone; set before it subscribes. */
  readonly owner?: object | undefined;
  /** Told when it has become available; set by who has something for it. */
  onRoom?: (() => void) | undefined;
  deliver(message: Message, grant: Grant, lent?: Lent): void;
  /** It was its own, and no-local (MQTT 5 §3.8.3.1). */
  spared?(message: Message): void;
}

/** What a subscriber asked for; kept as it is given. */
export interface Subscription {
  readonly qos: QoS;
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  readonly identifier?: number | undefined;
}

/** One group on one filter (MQTT 5 §4.8.2). */
export interface SharedSubscription {
  readonly group: string;
  readonly filter: string;
  /** Gives a message that a leaving member never settled to another member. False: nobody is left. */
  redeliver(message: Message, except: Subscriber): boolean;
}

/** The group `$queue` on one filter. */
export interface QueueGroup {
  /** Some member is available. */
  readonly available: boolean;
  /** Hands the message to a member that is available; false when none is. */
  offer(message: Message, lent: Lent | undefined): boolean;
}

/** Keeps what is published to a queue until a subscriber of it has room. */
export interface QueueKeeper {
  keeps(topic: string): boolean;
  take(message: Message): void;
  /** It would have to drop something for this message. */
  full(message: Message): boolean;
  /** The subscriber is a member of `$queue` on this filter now, or no more. */
  joined(subscriber: Subscriber, filter: string): void;
  left(subscriber: Subscriber, filter: string): void;
}

/** What became of a publish: `none` matched no subscription at this moment. */
export type Routed = "matched" | "none";

export interface Bus {
  /** Absent where no queue is kept. */
  keeper: QueueKeeper | undefined;
  /** All groups `$queue` that a topic is for. */
  queueGroups(topic: string): readonly QueueGroup[];
  /**
   * Routes to all subscribers and updates the retained message. `from`, for no-local: a subscriber or an owner. Only
   * the gate calls it, and not again before it has returned.
   */
  route(message: Message, from: object | undefined): Routed;
  /** `filter` may be shared. Replaces an earlier subscription of the same filter; true when there was none. */
  subscribe(subscriber: Subscriber, filter: string, subscription: Subscription): boolean;
  unsubscribe(subscriber: Subscriber, filter: string): boolean;
  /** A group by its name and filter, while it has members. */
  sharedSubscription(group: string, filter: string): SharedSubscription | undefined;
  /** Somebody is subscribed to this topic at this moment: spares making what nobody hears. */
  hears(topic: string): boolean;
  /** Somebody for whom this message has to wait; never its publisher itself. */
  crowded(message: Message, from: object | undefined): Subscriber | undefined;
  /** Some subscriber's queue would have to drop something for this message. */
  overflows(message: Message): boolean;
  /** Something durable would have to keep this message. */
  keeps(message: Message): boolean;
  /** Retained messages that match, expired ones left out, at most `limit`, in no order. */
  retained(filter: string, limit: number): Message[];
  /** The same as a walk that finds each when it is asked for, without those that are published from now on. */
  replay(filter: string, limit: number): Iterator<Message>;
}
