import { Memory } from "../lib/memory.ts";
import { Ring } from "../lib/ring.ts";
import { after, type Duration, type Instant, minutes, NEVER } from "../lib/time.ts";
import type { Outgoing } from "./outgoing.ts";

/** Which message goes when a queue is full. */
export type DropPolicy = "oldest" | "newest" | "qos0-first";

export interface QueueLimits {
  readonly messages: number;
  readonly bytes: number;
  readonly drop: DropPolicy;
  /** How long publishers wait for a connected client that is behind; absent, they never do. */
  readonly wait?: Duration;
}

/** How often it is said of one queue that it overflows. */
const SAY_AGAIN = minutes(1);

/** Messages that wait for credit: bounded by count and by bytes. */
export class Queue {
  readonly #ring = new Ring<Outgoing>();
  readonly #limits: QueueLimits;
  readonly #memory: Memory;
  #bytes = 0;
  /** How many of those queued can expire, and how many are QoS 0: spares the search when there are none. */
  #expiring = 0;
  #qos0 = 0;
  /** So many at the front are known not to be QoS 0: the search begins behind them. */
  #searched = 0;
  #unsaid = 0;
  #sayAt = 0 as Instant;

  constructor(limits: QueueLimits, memory: Memory = UNCOUNTED) {
    this.#limits = limits;
    this.#memory = memory;
  }

  get length(): number {
    return this.#ring.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Three quarters of what there is room for are taken. */
  get nearlyFull(): boolean {
    const { messages, bytes } = this.#limits;
    return this.#ring.length * 4 >= messages * 3 || this.#bytes * 4 >= bytes * 3;
  }

  /** No more than half of it is. */
  get halfEmpty(): boolean {
    const { messages, bytes } = this.#limits;
    return this.#ring.length * 2 <= messages && this.#bytes * 2 <= bytes;
  }

  /** A message of this weight needs no other to go. */
  fits(weight: number): boolean {
    return this.#ring.length < this.#limits.messages && this.#bytes + weight <= this.#limits.bytes;
  }

  /** Adds at the end; returns what had to go for it, which may be the message itself. */
  push(delivery: Outgoing, now: Instant): readonly Outgoing[] {
    const weight = delivery.message.weight;
    if (this.#memory.refuses) return this.#exchange(delivery);
    if (this.fits(weight)) {
      this.#ring.push(delivery);
      this.#count(delivery, 1);
      return NOTHING;
    }
    if (weight > this.#limits.bytes) return [delivery];
    const dropped = this.#dropExpired(now);
    while (!this.fits(weight)) {
      const victim = this.#victim(delivery);
      if (victim === undefined) {
        dropped.push(delivery);
        return dropped;
      }
      dropped.push(victim);
    }
    this.#ring.push(delivery);
    this.#count(delivery, 1);
    return dropped;
  }

  /** There is no memory for one more, whatever this queue may hold: one has to go for it, or it goes itself. */
  #exchange(delivery: Outgoing): readonly Outgoing[] {
    const victim = this.#victim(delivery);
    if (victim === undefined) return [delivery];
    this.#ring.push(delivery);
    this.#count(delivery, 1);
    return [victim];
  }

  /** The session gives up all of it. */
  clear(): void {
    this.remove(() => true);
  }

  /** Because it was full. Returns how many that makes since it was last said, or 0 while it is too early to say it again. */
  lost(count: number, now: Instant): number {
    this.#unsaid += count;
    if (this.#unsaid === 0 || now < this.#sayAt) return 0;
    const said = this.#unsaid;
    this.#unsaid = 0;
    this.#sayAt = after(now, SAY_AGAIN);
    return said;
  }

  /** Gives back at the front what was taken or handed out before; never refused. */
  unshift(delivery: Outgoing): void {
    this.#ring.unshift(delivery);
    this.#searched = delivery.qos === 0 ? 0 : this.#searched + 1;
    this.#count(delivery, 1);
  }

  peek(): Outgoing | undefined {
    return this.#ring.peek();
  }

  shift(): Outgoing | undefined {
    const delivery = this.#ring.shift();
    if (this.#searched > 0) this.#searched--;
    if (delivery !== undefined) this.#count(delivery, -1);
    return delivery;
  }

  /** Removes all that `drop` approves, and returns it. */
  remove(drop: (delivery: Outgoing) => boolean): Outgoing[] {
    const removed: Outgoing[] = [];
    this.#searched = 0;
    this.#ring.filter((delivery) => {
      if (!drop(delivery)) return true;
      removed.push(delivery);
      this.#count(delivery, -1);
      return false;
    });
    return removed;
  }

  /** Takes out what has expired. */
  takeExpired(now: Instant): readonly Outgoing[] {
    return this.#dropExpired(now);
  }

  *[Symbol.iterator](): Generator<Outgoing> {
    yield* this.#ring;
  }

  #count(delivery: Outgoing, step: 1 | -1): void {
    this.#bytes += step * delivery.message.weight;
    if (step > 0) this.#memory.take(delivery.message);
    else this.#memory.give(delivery.message);
    if (delivery.qos === 0) this.#qos0 += step;
    if (delivery.message.expiresAt !== NEVER) this.#expiring += step;
  }

  #dropExpired(now: Instant): Outgoing[] {
    if (this.#expiring === 0) return [];
    return this.remove((delivery) => delivery.message.expiresAt <= now);
  }

  #victim(newcomer: Outgoing): Outgoing | undefined {
    switch (this.#limits.drop) {
      case "newest":
        return undefined;
      case "oldest":
        return this.shift();
      case "qos0-first": {
        if (newcomer.qos === 0) return undefined;
        if (this.#qos0 === 0) return this.shift();
        this.#searched = this.#ring.findIndex(isQos0, this.#searched);
        const found = this.#ring.takeAt(this.#searched)!;
        this.#count(found, -1);
        return found;
      }
    }
  }
}

const isQos0 = ({ qos }: Outgoing): boolean => qos === 0;
const NOTHING: readonly Outgoing[] = [];
/** For queues that stand for themselves. */
const UNCOUNTED = new Memory();
