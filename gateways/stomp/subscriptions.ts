import type { Message, QoS } from "#core/bus/message.ts";
import type { ChannelHost } from "#core/contract/channel.ts";
import type { Client } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { Ring } from "#core/lib/ring.ts";
import type { Envelope } from "./codec/encoder.ts";
import type { Style } from "./destinations.ts";
import type { Settlement } from "./transactions.ts";

export type AckMode = "auto" | "client" | "client-individual";

type Room = Pick<ChannelHost, "reserve" | "release">;

export interface SubscriptionOptions {
  /** `id` of the SUBSCRIBE; undefined where STOMP 1.0 leaves it out. */
  readonly id: string | undefined;
  readonly destination: string;
  readonly filter: string;
  readonly style: Style;
  readonly qos: QoS;
  readonly mode: AckMode;
  /** Not what its own connection sends (JMS's noLocal). */
  readonly noLocal: boolean;
  /** Unacknowledged messages that it takes. */
  readonly prefetch: number;
  /** Name under which it lives on when the connection is gone. */
  readonly durable: string | undefined;
  /** Makes its message ids unlike those of any other subscription; also part of them. */
  readonly number: number;
  readonly envelope: Envelope;
}

/**
 * One SUBSCRIBE. Those that acknowledge, and durable ones, have a client of their own, so that the core's credit
 * is their prefetch window and its queue their backlog; the others share the connection's client.
 */
export class Subscription {
  readonly options: SubscriptionOptions;
  /** The client whose deliveries are this subscription's. */
  readonly client: Client;
  /** UNSUBSCRIBE came, and messages are still unacknowledged. */
  draining = false;
  #sequence = 0;
  /** Handed to the client and not acknowledged, by their number, oldest first. */
  readonly unacknowledged = new Map<number, Delivery>();
  /** Some of those have no id with the core, because they are QoS 0: it does not count them as credit. */
  #uncounted = 0;
  /** Its credit is 0, because the core does not see that the window is full. */
  #starved = false;
  #held: Ring<Delivery> | undefined = undefined;
  #returns: WeakMap<Message, number> | undefined = undefined;
  /** Settlements that open transactions will carry out, by the message. */
  #pledged: Map<number, readonly Settlement[]> | undefined = undefined;
  readonly #room: Room;

  constructor(options: SubscriptionOptions, client: Client, room: Room) {
    this.options = options;
    this.client = client;
    this.#room = room;
  }

  /** What UNSUBSCRIBE and a second SUBSCRIBE know it by. */
  get key(): string {
    return this.options.id ?? `\0${this.options.destination}`;
  }

  get acknowledges(): boolean {
    return this.options.mode !== "auto";
  }

  /** Counts the messages of this subscription; the number is part of the message id. */
  nextSequence(): number {
    return ++this.#sequence;
  }

  handedOut(sequence: number): boolean {
    return sequence > 0 && sequence <= this.#sequence;
  }

  /**
   * Remembers a message until it is acknowledged. One at QoS 0 is in no session; where memory is used up nobody will
   * give it back.
   */
  keep(sequence: number, delivery: Delivery): void {
    if (delivery.id === 0 && !this.#room.reserve(delivery.message.weight)) return;
    this.unacknowledged.set(sequence, delivery);
    if (delivery.id === 0) this.#uncounted++;
    if (this.#uncounted > 0 && this.full) this.#starve();
  }

  /** Nothing more may be sent until something is acknowledged. */
  get full(): boolean {
    return this.unacknowledged.size >= this.options.prefetch;
  }

  /** Keeps a message for later that was under way when the window became full. */
  hold(delivery: Delivery): void {
    this.#starve();
    if (delivery.id === 0 && !this.#room.reserve(delivery.message.weight)) return;
    this.#held ??= new Ring();
    this.#held.push(delivery);
  }

  /** The next of those messages, if there is room for it. */
  nextHeld(): Delivery | undefined {
    const next = this.full ? undefined : this.#held?.shift();
    if (next?.id === 0) this.#room.release(next.message.weight);
    return next;
  }

  #starve(): void {
    if (this.#starved || this.draining) return;
    this.#starved = true;
    this.client.credit(0);
  }

  /** UNSUBSCRIBE: nothing more is sent. */
  drain(): void {
    this.draining = true;
    this.#forget(this.#held ?? []);
    this.#held = undefined;
    this.client.credit(0);
  }

  /** It is over: nothing of it is remembered. */
  clear(): void {
    this.#forget(this.unacknowledged.values());
    this.#forget(this.#held ?? []);
    this.unacknowledged.clear();
    this.#held = undefined;
  }

  #forget(deliveries: Iterable<Delivery>): void {
    for (const { id, message } of deliveries) if (id === 0) this.#room.release(message.weight);
  }

  /** Takes a message out of the unacknowledged ones. */
  take(sequence: number): Delivery | undefined {
    const delivery = this.unacknowledged.get(sequence);
    if (delivery === undefined) return undefined;
    this.unacknowledged.delete(sequence);
    if (delivery.id === 0) {
      this.#uncounted--;
      this.#room.release(delivery.message.weight);
    }
    return delivery;
  }

  /** A transaction will settle one of its messages. */
  pledge(settlement: Settlement): void {
    this.#pledged ??= new Map();
    const others = this.#pledged.get(settlement.sequence) ?? [];
    this.#pledged.set(settlement.sequence, [...others, settlement]);
  }

  /** The transaction is over. */
  unpledge(settlement: Settlement): void {
    const { sequence } = settlement;
    const others = this.#pledged?.get(sequence)?.filter((each) => each !== settlement) ?? [];
    if (others.length > 0) this.#pledged?.set(sequence, others);
    else this.#pledged?.delete(sequence);
  }

  /** The client has acknowledged a message: transactions that are to do so have it done. */
  acknowledged(sequence: number): void {
    for (const settlement of this.#pledged?.get(sequence) ?? []) settlement.acknowledged = true;
  }

  /** Numbers of the messages that an acknowledgement of `sequence` covers, oldest first. */
  covered(sequence: number): number[] {
    if (this.options.mode === "client-individual") return [sequence];
    const covered: number[] = [];
    for (const earlier of this.unacknowledged.keys()) {
      if (earlier > sequence) break;
      covered.push(earlier);
    }
    return covered;
  }

  /** How often this message has come back by NACK, this time included. */
  deliveredOnceMore(message: Message): number {
    this.#returns ??= new WeakMap();
    const returns = (this.#returns.get(message) ?? 0) + 1;
    this.#returns.set(message, returns);
    return returns;
  }

  /** Lets messages come again after acknowledgements made room. */
  refill(): void {
    if (!this.#starved || this.draining || this.full) return;
    this.#starved = false;
    this.client.credit(this.options.prefetch);
  }

  /** Has messages that went back to the queue delivered again with the next refill, not some time later. */
  redeliver(): void {
    if (this.draining) return;
    this.#starved = true;
    this.client.credit(0);
  }
}

/** One filter of the connection's client, and the subscriptions that share it. */
export interface SharedFilter {
  readonly filter: string;
  /** Comes back with each delivery that the filter matched. */
  readonly identifier: number;
  readonly members: Subscription[];
}

/** All subscriptions of a connection. */
export class Subscriptions {
  readonly #byKey = new Map<string, Subscription>();
  /** Those with unacknowledged messages possible, by number: also those that are draining. */
  readonly #byNumber = new Map<number, Subscription>();
  readonly #byClient = new Map<Client, Subscription>();
  readonly #byFilter = new Map<string, SharedFilter>();
  readonly #byIdentifier = new Map<number, SharedFilter>();
  #numbers = 0;

  /** Open and draining ones. */
  get count(): number {
    return this.#byNumber.size;
  }

  nextNumber(): number {
    return ++this.#numbers;
  }

  hadNumber(number: number): boolean {
    return number > 0 && number <= this.#numbers;
  }

  add(subscription: Subscription): void {
    this.#byKey.set(subscription.key, subscription);
    this.#byNumber.set(subscription.options.number, subscription);
  }

  /** Ends the name of a subscription; its unacknowledged messages can still be acknowledged. */
  unname(subscription: Subscription): void {
    this.#byKey.delete(subscription.key);
  }

  remove(subscription: Subscription): void {
    if (this.#byKey.get(subscription.key) === subscription) this.#byKey.delete(subscription.key);
    this.#byNumber.delete(subscription.options.number);
    this.#byClient.delete(subscription.client);
  }

  /** By `id`, or by destination where STOMP 1.0 gave no id. */
  named(id: string | undefined, destination: string | undefined): Subscription | undefined {
    return this.#byKey.get(id ?? `\0${destination}`);
  }

  /** STOMP 1.0 may end a subscription that had an id by its destination. */
  to(destination: string | undefined): Subscription | undefined {
    if (destination === undefined) return undefined;
    for (const subscription of this.#byKey.values()) {
      if (subscription.options.destination === destination) return subscription;
    }
    return undefined;
  }

  numbered(number: number): Subscription | undefined {
    return this.#byNumber.get(number);
  }

  durable(name: string): Subscription | undefined {
    for (const subscription of this.#byNumber.values()) {
      if (subscription.options.durable === name) return subscription;
    }
    return undefined;
  }

  /** Those that have a client of their own. */
  own(subscription: Subscription): void {
    this.#byClient.set(subscription.client, subscription);
  }

  ofClient(client: Client): Subscription | undefined {
    return this.#byClient.get(client);
  }

  all(): IterableIterator<Subscription> {
    return this.#byNumber.values();
  }

  // ---- filters that several subscriptions share

  shared(filter: string): SharedFilter | undefined {
    return this.#byFilter.get(filter);
  }

  identified(identifier: number): SharedFilter | undefined {
    return this.#byIdentifier.get(identifier);
  }

  filters(): IterableIterator<SharedFilter> {
    return this.#byFilter.values();
  }

  join(subscription: Subscription): void {
    const filter = subscription.options.filter;
    const shared = this.#byFilter.get(filter);
    if (shared !== undefined) {
      shared.members.push(subscription);
      return;
    }
    const fresh = { filter, identifier: subscription.options.number, members: [subscription] };
    this.#byFilter.set(filter, fresh);
    this.#byIdentifier.set(fresh.identifier, fresh);
  }

  /** True when nobody is left, and the filter with it. */
  part(subscription: Subscription): boolean {
    const shared = this.#byFilter.get(subscription.options.filter);
    const index = shared?.members.indexOf(subscription) ?? -1;
    if (shared === undefined || index < 0) return false;
    shared.members.splice(index, 1);
    if (shared.members.length > 0) return false;
    this.#byFilter.delete(shared.filter);
    this.#byIdentifier.delete(shared.identifier);
    return true;
  }
}
