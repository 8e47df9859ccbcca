import { Memory } from "../lib/memory.ts";
import { type Instant, NEVER } from "../lib/time.ts";
import type { Message } from "./message.ts";
import { TopicTree } from "./topic-tree.ts";

export interface RetainedLimits {
  /** How many topics may hold a retained message. */
  readonly messages: number;
  /** Largest payload that is retained, in bytes; larger messages are delivered but not kept. */
  readonly payloadSize: number;
  /** Bytes that all retained messages together may weigh. */
  readonly bytes: number;
}

/** Told of each change so that a store can keep it. */
export interface RetainedJournal {
  retained(message: Message): void;
  cleared(topic: string): void;
}

export type RetainOutcome = "kept" | "cleared" | "full" | "too-large";

/** The last retained message of each topic. */
export class RetainedMessages {
  #tree = new TopicTree<Message>();
  #bytes = 0;
  /** Those with an expiry, oldest looked at first. */
  readonly #expiring = new Set<Message>();
  /** Messages refused because of a limit. */
  refused = 0;
  readonly #limits: RetainedLimits;
  readonly #memory: Memory;
  readonly #journal: RetainedJournal | undefined;

  constructor(limits: RetainedLimits, journal?: RetainedJournal, memory = new Memory()) {
    this.#limits = limits;
    this.#memory = memory;
    this.#journal = journal;
  }

  get count(): number {
    return this.#tree.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Applies a message published with RETAIN: keeps it, or clears the topic when it is empty [MQTT-3.3.1-6]. */
  apply(message: Message): RetainOutcome {
    const former = this.#tree.get(message.topic);
    if (message.payload.length === 0) {
      if (former !== undefined) this.#remove(former);
      return "cleared";
    }
    const bytes = this.#bytes + message.weight - (former?.weight ?? 0);
    const full =
      (former === undefined && this.#tree.size >= this.#limits.messages) ||
      bytes > this.#limits.bytes ||
      (this.#memory.refuses && bytes > this.#bytes);
    if (message.payload.length > this.#limits.payloadSize || full) {
      this.refused++;
      // The former value is older than what subscribers just saw: better none than a stale one.
      if (former !== undefined) this.#remove(former);
      return full ? "full" : "too-large";
    }
    const kept = message.kept();
    this.#keep(kept, former);
    this.#journal?.retained(kept);
    return "kept";
  }

  /** Puts back what a store had kept, once for a topic, before anything is published; not journaled. */
  restore(message: Message): void {
    this.#keep(message, undefined);
  }

  /** What is kept for one topic, expired or not. */
  get(topic: string): Message | undefined {
    return this.#tree.get(topic);
  }

  find(filter: string, now: Instant, limit: number): Message[] {
    const found: Message[] = [];
    if (limit <= 0) return found;
    this.#tree.search(filter, (message) => {
      if (message.expiresAt > now) found.push(message);
      return found.length < limit;
    });
    return found;
  }

  /**
   * As `find`, one after the other as they are asked for, and none that is newer than `since`: who subscribes has those
   * by its subscription.
   */
  *replay(filter: string, since: Instant, limit: number): Generator<Message> {
    let left = limit;
    for (const message of this.#tree.found(filter)) {
      if (message.publishedAt > since) continue;
      if (left-- <= 0) return;
      yield message;
    }
  }

  /** Removes what has expired among the next `budget` messages that can expire; call it again and again. */
  sweep(now: Instant, budget: number): void {
    for (const message of this.#expiring) {
      if (budget-- <= 0) return;
      this.#expiring.delete(message);
      if (message.expiresAt <= now) this.#remove(message);
      else this.#expiring.add(message);
    }
  }

  *all(): Generator<Message> {
    yield* this.#tree.values();
  }

  #keep(message: Message, former: Message | undefined): void {
    this.#tree.set(message.topic, message);
    this.#bytes += message.weight - (former?.weight ?? 0);
    this.#memory.take(message);
    if (former !== undefined) this.#memory.give(former);
    if (former !== undefined) this.#expiring.delete(former);
    if (message.expiresAt !== NEVER) this.#expiring.add(message);
  }

  #remove(message: Message): void {
    this.#tree.delete(message.topic);
    this.#expiring.delete(message);
    this.#bytes -= message.weight;
    this.#memory.give(message);
    this.#journal?.cleared(message.topic);
  }
}
