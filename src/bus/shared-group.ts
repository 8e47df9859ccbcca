import type { Grant, Lent, QueueGroup, SharedSubscription, Subscriber, Subscription } from "./bus.ts";
import type { Message } from "./message.ts";

/**
 * How a group chooses among its members: by chance, in turn, the same one as long as it is there, or by the
 * publisher, so that one device's messages stay with one member.
 */
export type ShareStrategy = "random" | "round_robin" | "sticky" | "hash";

interface Member {
  readonly subscriber: Subscriber;
  grant: Grant;
}

/** The members of one group on one filter; each message goes to one of them. */
export class SharedGroup implements SharedSubscription, QueueGroup {
  readonly group: string;
  readonly filter: string;
  readonly #strategy: ShareStrategy;
  readonly #random: () => number;
  readonly #members: Member[] = [];
  #turn = 0;

  constructor(group: string, filter: string, strategy: ShareStrategy, random: () => number) {
    this.group = group;
    this.filter = filter;
    this.#strategy = strategy;
    this.#random = random;
  }

  get empty(): boolean {
    return this.#members.length === 0;
  }

  /** Some member takes messages now. */
  get available(): boolean {
    return this.#members.some(({ subscriber }) => subscriber.available);
  }

  get durable(): boolean {
    return this.#members.some(({ subscriber, grant }) => subscriber.durable === true && grant.qos > 0);
  }

  /** One of its members, when every one that could take a message is behind. */
  get crowded(): Subscriber | undefined {
    let crowded: Subscriber | undefined;
    for (const { subscriber, grant } of this.#members) {
      if (subscriber.available || grant.qos === 0) return undefined;
      if (subscriber.pace === "crowded") crowded ??= subscriber;
    }
    return crowded;
  }

  /** No member has room for a message of this weight. */
  full(weight: number): boolean {
    return this.#members.every(({ subscriber }) => isFull(subscriber, weight));
  }

  /** True when the subscriber was not a member before. */
  join(subscriber: Subscriber, subscription: Subscription): boolean {
    const grant: Grant = {
      qos: subscription.qos,
      retainAsPublished: subscription.retainAsPublished ?? false,
      identifiers: subscription.identifier === undefined ? [] : [subscription.identifier],
      group: this,
    };
    const member = this.#members.find((known) => known.subscriber === subscriber);
    if (member !== undefined) {
      member.grant = grant;
      return false;
    }
    this.#members.push({ subscriber, grant });
    return true;
  }

  leave(subscriber: Subscriber): boolean {
    const index = this.#members.findIndex((known) => known.subscriber === subscriber);
    if (index < 0) return false;
    this.#members.splice(index, 1);
    if (index < this.#turn) this.#turn--;
    return true;
  }

  deliver(message: Message): void {
    const member = this.#choose(message, undefined);
    member?.subscriber.deliver(message, member.grant);
  }

  offer(message: Message, lent: Lent | undefined): boolean {
    if (!this.available) return false;
    const member = this.#choose(message, undefined);
    member?.subscriber.deliver(message, member.grant, lent);
    return member !== undefined;
  }

  redeliver(message: Message, except: Subscriber): boolean {
    const member = this.#choose(message, except);
    member?.subscriber.deliver(message, member.grant);
    return member !== undefined;
  }

  /** The strategy's first choice, or the next after it that is available, or else the first choice. */
  #choose(message: Message, except: Subscriber | undefined): Member | undefined {
    const count = this.#members.length;
    if (count === 0) return undefined;
    const start = this.#start(message, count);
    let fallback = -1;
    for (let step = 0; step < count; step++) {
      const index = (start + step) % count;
      const member = this.#members[index]!;
      if (member.subscriber === except) continue;
      if (member.subscriber.available) {
        if (this.#strategy === "round_robin") this.#turn = index + 1;
        if (this.#strategy === "sticky") this.#turn = index;
        return member;
      }
      if (fallback < 0) fallback = index;
    }
    if (fallback < 0) return undefined;
    // Nobody has room: they take turns all the same.
    if (this.#strategy === "round_robin") this.#turn = fallback + 1;
    return this.#members[fallback];
  }

  #start(message: Message, count: number): number {
    switch (this.#strategy) {
      case "random":
        return Math.floor(this.#random() * count);
      case "round_robin":
      case "sticky":
        return this.#turn % count;
      case "hash":
        return hash(message.publisher) % count;
    }
  }
}

/** It could only queue a message of this weight, and has no room for it. */
export const isFull = ({ queue }: Subscriber, weight: number): boolean =>
  queue !== undefined && queue.length > 0 && !queue.fits(weight);

/** FNV-1a, 32 bits. */
function hash(key: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) {
    value = Math.imul(value ^ key.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
