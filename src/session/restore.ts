import type { DelayedMessages } from "../bus/delayed.ts";
import type { EmbeddedBus } from "../bus/embedded.ts";
import type { Message } from "../bus/message.ts";
import { after, type Clock, type Duration, earliest, type Instant } from "../lib/time.ts";
import { contextFor } from "./context.ts";
import { ALIVE, ALIVE_PERIOD, type DurableState, type KeptDelivery } from "./durable-state.ts";
import { KEPT_QUEUE } from "./kept-queues.ts";
import { Session } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import type { Key, Store, StoredValue, Table } from "./store.ts";
import {
  deliveryMessage,
  deliveryOf,
  messageOf,
  type SessionRecord,
  sessionOf,
  subscriptionOf,
  unbounded,
} from "./stored-values.ts";

export interface Restored {
  sessions: number;
  deliveries: number;
  retained: number;
  delayed: number;
  /** Records that belonged to nothing: left by an older version, and removed. */
  orphans: number;
  /** Records that make no sense: they are kept aside, and everything else is back. */
  aside: number;
}

/** Records after which there is a word on progress. */
const PROGRESS_EVERY = 10_000;

/** Brings back what a store had kept, before listeners open. */
export class Restoration {
  readonly #store: Store;
  readonly #state: DurableState;
  readonly #sessions: Sessions;
  readonly #bus: EmbeddedBus;
  readonly #now: Instant;
  readonly #byNumber = new Map<number, { readonly session: Session; readonly record: SessionRecord }>();
  readonly #messages = new Map<number, { readonly message: Message; readonly deliveries: KeptDelivery[] }>();
  readonly #progress: (restored: Restored) => void;
  /** Records read so far. */
  #read = 0;
  readonly #restored: Restored = {
    sessions: 0,
    deliveries: 0,
    retained: 0,
    delayed: 0,
    orphans: 0,
    aside: 0,
  };

  /** `progress`: told again and again what has been read so far; a large store takes seconds. */
  constructor(
    store: Store,
    state: DurableState,
    sessions: Sessions,
    bus: EmbeddedBus,
    clock: Clock,
    progress: (restored: Restored) => void = () => {},
  ) {
    this.#store = store;
    this.#state = state;
    this.#sessions = sessions;
    this.#bus = bus;
    this.#now = clock.now();
    this.#progress = progress;
  }

  run(): Restored {
    this.#readSessions();
    this.#readSubscriptions();
    // Before deliveries, which belong to shared subscriptions.
    for (const { session } of this.#byNumber.values()) {
      if (session.gateway !== KEPT_QUEUE) this.#sessions.restore(session);
    }
    this.#readMessages();
    this.#settleMessages(this.#readDeliveries());
    this.#readInbound();
    this.#readBus();
    this.#sessions.queues.resume();
    const lostAt = this.#lostAt();
    // Last, because it publishes wills and ends sessions, and so writes.
    for (const { session, record } of this.#byNumber.values()) this.#resumeAbsence(session, record, lostAt);
    this.#byNumber.clear();
    this.#messages.clear();
    return this.#restored;
  }

  /** Only what waits for its time: all else is at a cluster. */
  runDelayed(delayed: DelayedMessages): Restored {
    this.#readDelayed(delayed);
    return this.#restored;
  }

  /** One bad record is no reason not to start. */
  #each(table: Table, take: (key: Key, value: StoredValue) => void): void {
    for (const [key, value] of this.#store.entries(table)) {
      if (++this.#read % PROGRESS_EVERY === 0) this.#progress(this.#restored);
      try {
        take(key, value);
      } catch (error) {
        this.#restored.aside++;
        this.#store.setAside(table, key, value, (error as Error).message);
      }
    }
  }

  #readSessions(): void {
    this.#each("session", (key, value) => {
      const record = sessionOf(value);
      const expiry = unbounded(record.expiry) as Duration;
      const session =
        record.gateway === KEPT_QUEUE
          ? this.#sessions.queues.restore(record.clientId)
          : this.#newSession(record, expiry);
      session.username = record.username ?? undefined;
      session.proven = record.proven ?? undefined;
      session.unclaimed = record.proven === undefined;
      session.identity = record.identity ?? undefined;
      // Whoever was connected when the process was killed may have said more than the store was told.
      session.shown = record.unproven === true ? "talk" : "proof";
      session.mountpoint = record.mountpoint;
      session.will = record.will ?? undefined;
      session.memo = record.memo ?? undefined;
      session.subscriptions.memo = record.memoWeight ?? 0;
      session.expectedUntil = (record.expectedUntil ?? undefined) as Instant | undefined;
      this.#state.knowSession(session, key as number);
      this.#byNumber.set(key as number, { session, record });
      this.#restored.sessions++;
    });
  }

  #newSession({ gateway, clientId }: SessionRecord, expiry: Duration): Session {
    return new Session(gateway, clientId, expiry, contextFor(this.#sessions.context, gateway, clientId));
  }

  #readSubscriptions(): void {
    this.#each("subscription", (key, value) => {
      const [number, filter] = key as [number, string];
      const owner = this.#byNumber.get(number);
      if (owner === undefined) this.#orphan("subscription", key);
      else owner.session.subscriptions.set(filter, subscriptionOf(value));
    });
  }

  #readMessages(): void {
    this.#each("message", (key, value) => {
      this.#messages.set(key as number, { message: messageOf(value), deliveries: [] });
    });
  }

  /** In two steps: uses of a message are known before the first delivery that does not fit any more is dropped. */
  #readDeliveries(): readonly (() => void)[] {
    const deliveries: (() => void)[] = [];
    this.#each("queue", (key, value) => {
      const [number, sequence] = key as [number, number];
      const session = this.#byNumber.get(number)?.session;
      const found =
        session === undefined
          ? undefined
          : deliveryOf(
              value,
              (message) => this.#messages.get(message)?.message,
              (topic) => session.unmounted(topic),
              (group, filter) => this.#bus.sharedSubscription(group, filter),
            );
      if (session === undefined || found === undefined) {
        this.#orphan("queue", key);
        return;
      }
      const kept = this.#state.knowDelivery(session, found.delivery);
      const message = deliveryMessage(value);
      if (message !== undefined) this.#messages.get(message)!.deliveries.push(kept);
      deliveries.push(() => session.restore(found.delivery, found.id, sequence));
      this.#restored.deliveries++;
    });
    return deliveries;
  }

  #readInbound(): void {
    this.#each("inbound", (key) => {
      const [number, packetId] = key as [number, number];
      const owner = this.#byNumber.get(number);
      if (owner === undefined) this.#orphan("inbound", key);
      // However many may wait by now.
      else owner.session.takeInbound(packetId, Number.POSITIVE_INFINITY);
    });
  }

  #readBus(): void {
    this.#each("retained", (key, value) => {
      const message = messageOf(value);
      // Clearing its topic would not find it.
      if (message.topic !== key) throw new Error(`it is of topic ${message.topic}`);
      if (message.expiresAt <= this.#now) this.#store.remove("retained", key);
      else {
        this.#bus.retainedMessages.restore(message);
        this.#restored.retained++;
      }
    });
    this.#readDelayed(this.#sessions.gate.delayed);
  }

  #readDelayed(delayed: DelayedMessages): void {
    this.#each("delayed", (key, value) => {
      const [record, due] = value as [StoredValue, number];
      const message = messageOf(record);
      this.#state.knowDelayed(message, key as number);
      delayed.restore(message, due as Instant);
      this.#restored.delayed++;
    });
  }

  #settleMessages(deliveries: readonly (() => void)[]): void {
    for (const [number, { message, deliveries: waiting }] of this.#messages) {
      this.#state.knowMessage(number, message, waiting);
      if (waiting.length === 0) this.#orphan("message", number);
    }
    for (const putBack of deliveries) putBack();
  }

  /** When the last process ended, at the latest, if it said no more: it would have said that it is there. */
  #lostAt(): Instant {
    let lostAt = this.#now;
    for (const [key, value] of this.#store.entries("meta")) {
      if (key === ALIVE && typeof value === "number")
        lostAt = earliest(lostAt, after(value as Instant, ALIVE_PERIOD));
    }
    return lostAt;
  }

  /**
   * Clients that were connected when the process ended were lost at that moment; those that need no connection are lost
   * when nothing is heard of them for as long as was left.
   */
  #resumeAbsence(session: Session, record: SessionRecord, lostAt: Instant): void {
    if (session.gateway === KEPT_QUEUE) return;
    session.leftAt = (record.leftAt ?? session.expectedUntil ?? lostAt) as Instant;
    if (record.leftAt === undefined || record.leftAt === null) session.save();
    this.#sessions.resumeAbsence(session);
  }

  #orphan(table: Table, key: Key): void {
    this.#restored.orphans++;
    this.#store.remove(table, key);
  }
}
