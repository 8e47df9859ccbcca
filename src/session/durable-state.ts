import type { SharedSubscription } from "../bus/bus.ts";
import type { DelayedJournal } from "../bus/delayed.ts";
import { Message, type MessageProperties, type QoS } from "../bus/message.ts";
import type { RetainedJournal } from "../bus/retained.ts";
import type { SubscribeOptions, Will } from "../gateway/contract.ts";
import { Ring } from "../lib/ring.ts";
import { type Duration, FOREVER, type Instant } from "../lib/time.ts";
import type { DeliveryId } from "./delivery.ts";
import type { SessionJournal } from "./journal.ts";
import { Outgoing } from "./outgoing.ts";
import type { Session } from "./session.ts";
import type { Store, StoredValue } from "./store.ts";

/** Times in a store are milliseconds since the epoch; this stands for `NEVER` and `FOREVER`. */
const UNBOUNDED = -1;

/** What the gateway says of itself is made anew by each process. */
const OWN_TOPICS = "$SYS/";

/** A session, without what stands in tables of its own. */
export interface SessionRecord {
  readonly gateway: string;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly mountpoint: string;
  readonly expiry: number;
  readonly will: Will | undefined;
  /** When its client left; undefined while connected, and so after a crash. */
  readonly leftAt: number | undefined;
  readonly memo: unknown;
}

type MessageRecord = readonly [
  topic: string,
  payload: Uint8Array,
  qos: QoS,
  retain: boolean,
  publishedAt: number,
  expiresAt: number,
  publisher: string,
  properties: MessageProperties | undefined,
];

type DeliveryRecord = readonly [
  message: number,
  id: number,
  stage: 0 | 1,
  qos: QoS,
  retain: boolean,
  subscriptionIds: readonly number[],
  group: readonly [group: string, filter: string] | undefined,
];

interface KeptWait {
  readonly run: () => void;
  kept: boolean;
}

/** How often a stored message is queued; its record goes with the last of them. */
interface Shared {
  readonly number: number;
  uses: number;
}

/**
 * Writes what must outlive the process as it happens: one record a session, subscription, delivery and inbound
 * id; a message queued for many sessions once. Numbers stand in for sessions and messages in keys.
 */
export class DurableState implements SessionJournal, RetainedJournal, DelayedJournal {
  readonly #store: Store;
  readonly #sessions = new WeakMap<Session, number>();
  readonly #messages = new WeakMap<Message, Shared>();
  readonly #delayed = new WeakMap<Message, number>();
  /** Those who wait for a commit, oldest first. */
  readonly #keptWaits = new Ring<KeptWait>();
  #lastSession = 0;
  #lastMessage = 0;

  /** Called before what waited for a commit runs: it may read the time. */
  readonly #tick: () => void;

  constructor(store: Store, tick: () => void = () => {}) {
    this.#store = store;
    this.#tick = tick;
  }

  // ---- sessions

  saved(session: Session): void {
    this.#store.put("session", this.#number(session), (): SessionRecord => {
      const { gateway, clientId, username, mountpoint, will, leftAt, memo } = session;
      return { gateway, clientId, username, mountpoint, expiry: bounded(session.expiry), will, leftAt, memo };
    });
  }

  subscribed(session: Session, filter: string, options: SubscribeOptions): void {
    this.#store.put("subscription", [this.#number(session), filter], () => ({ ...options }));
  }

  unsubscribed(session: Session, filter: string): void {
    this.#store.remove("subscription", [this.#number(session), filter]);
  }

  removed(session: Session): void {
    const number = this.#sessions.get(session);
    if (number === undefined) return;
    this.#sessions.delete(session);
    this.#store.remove("session", number);
    for (const packetId of session.inboundIds) this.#store.remove("inbound", [number, packetId]);
  }

  queued(session: Session, delivery: Outgoing): void {
    const message = delivery.message.kept();
    const shared = this.#shared(message);
    if (shared.uses++ === 0) {
      this.#store.put("message", shared.number, () => messageRecord(message), true);
    }
    this.#put(session, delivery, true);
  }

  moved(session: Session, delivery: Outgoing): void {
    this.#put(session, delivery, false);
  }

  settled(session: Session, delivery: Outgoing): void {
    const number = this.#sessions.get(session);
    if (number === undefined) return;
    this.#store.remove("queue", [number, delivery.sequence]);
    const message = delivery.message.kept();
    const shared = this.#messages.get(message);
    if (shared === undefined || --shared.uses > 0) return;
    this.#messages.delete(message);
    this.#store.remove("message", shared.number);
  }

  inbound(session: Session, packetId: number, known: boolean): void {
    const key: [number, number] = [this.#number(session), packetId];
    if (known) this.#store.put("inbound", key, () => 1, true);
    else this.#store.remove("inbound", key);
  }

  /** In the order of the calls, also when a commit fails: it is tried again, and this waits until one succeeds. */
  whenKept(run: () => void): void {
    const wait: KeptWait = { run, kept: false };
    this.#keptWaits.push(wait);
    this.#await(wait);
  }

  #await(wait: KeptWait): void {
    this.#store.whenCommitted((failure) => {
      if (failure !== undefined) {
        this.#await(wait);
        return;
      }
      wait.kept = true;
      this.#tick();
      while (this.#keptWaits.peek()?.kept === true) this.#keptWaits.shift()!.run();
    });
  }

  // ---- the bus

  retained(message: Message): void {
    if (message.topic.startsWith(OWN_TOPICS)) return;
    this.#store.put("retained", message.topic, () => messageRecord(message));
  }

  cleared(topic: string): void {
    if (topic.startsWith(OWN_TOPICS)) return;
    this.#store.remove("retained", topic);
  }

  delayed(message: Message, due: Instant): void {
    const number = ++this.#lastMessage;
    this.#delayed.set(message, number);
    this.#store.put("delayed", number, () => [messageRecord(message), due], true);
  }

  released(message: Message): void {
    const number = this.#delayed.get(message);
    if (number !== undefined) this.#store.remove("delayed", number);
  }

  // ---- what was there before, for `restore.ts`

  /** A session that was read back keeps its number. */
  knowSession(session: Session, number: number): void {
    this.#sessions.set(session, number);
    this.#lastSession = Math.max(this.#lastSession, number);
  }

  knowMessage(message: Message, number: number, uses: number): void {
    this.#messages.set(message, { number, uses });
    this.#lastMessage = Math.max(this.#lastMessage, number);
  }

  knowDelayed(message: Message, number: number): void {
    this.#delayed.set(message, number);
    this.#lastMessage = Math.max(this.#lastMessage, number);
  }

  // ---- inside

  #put(session: Session, delivery: Outgoing, isNew: boolean): void {
    const key: [number, number] = [this.#number(session), delivery.sequence];
    this.#store.put("queue", key, () => this.#deliveryRecord(delivery), isNew);
  }

  #deliveryRecord(delivery: Outgoing): DeliveryRecord {
    const { message, id, stage, qos, retain, subscriptionIds, group } = delivery;
    return [
      this.#messages.get(message.kept())?.number ?? 0,
      id,
      stage === "release" ? 1 : 0,
      qos,
      retain,
      subscriptionIds,
      group === undefined ? undefined : [group.group, group.filter],
    ];
  }

  #number(session: Session): number {
    let number = this.#sessions.get(session);
    if (number === undefined) {
      number = ++this.#lastSession;
      this.#sessions.set(session, number);
    }
    return number;
  }

  #shared(message: Message): Shared {
    let shared = this.#messages.get(message);
    if (shared === undefined) {
      shared = { number: ++this.#lastMessage, uses: 0 };
      this.#messages.set(message, shared);
    }
    return shared;
  }
}

const bounded = (value: number): number => (value === Number.POSITIVE_INFINITY ? UNBOUNDED : value);

export const unbounded = (value: number): number => (value === UNBOUNDED ? Number.POSITIVE_INFINITY : value);

function messageRecord(message: Message): MessageRecord {
  const { topic, payload, qos, retain, publishedAt, expiresAt, publisher, properties } = message;
  return [topic, payload, qos, retain, publishedAt, bounded(expiresAt), publisher, properties];
}

export function messageOf(record: StoredValue): Message {
  const [topic, payload, qos, retain, publishedAt, expiresAt, publisher, properties] =
    record as MessageRecord;
  const expiry = expiresAt === UNBOUNDED ? FOREVER : ((expiresAt - publishedAt) as Duration);
  const message = new Message(
    topic,
    // Its own memory: not a view of the store's.
    new Uint8Array(payload),
    qos,
    retain,
    publishedAt as Instant,
    properties ?? undefined,
    expiry,
  );
  message.publisher = publisher;
  return message;
}

/** The number of the message that a delivery refers to. */
export const deliveryMessage = (record: StoredValue): number => (record as DeliveryRecord)[0];

/** A delivery as it stood: its message's number, its id, and itself. */
export function deliveryOf(
  record: StoredValue,
  messages: (number: number) => Message | undefined,
  unmounted: (topic: string) => string,
  groupOf: (group: string, filter: string) => SharedSubscription | undefined,
): { readonly message: number; readonly id: DeliveryId; readonly delivery: Outgoing } | undefined {
  const [number, id, stage, qos, retain, subscriptionIds, origin] = record as DeliveryRecord;
  const message = messages(number);
  if (message === undefined) return undefined;
  const group = origin === undefined || origin === null ? undefined : groupOf(...origin);
  const delivery = new Outgoing(message, unmounted(message.topic), qos, retain, subscriptionIds, group);
  delivery.stage = stage === 1 ? "release" : "publish";
  return { message: number, id: id as DeliveryId, delivery };
}
