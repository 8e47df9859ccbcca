import type { DelayedJournal } from "../bus/delayed.ts";
import type { Message } from "../bus/message.ts";
import type { RetainedJournal } from "../bus/retained.ts";
import type { SubscribeOptions } from "../contract/client.ts";
import { Ring } from "../lib/ring.ts";
import { after, type Clock, type Duration, type Instant, milliseconds, seconds, ZERO } from "../lib/time.ts";
import type { SessionJournal } from "./journal.ts";
import type { Outgoing } from "./outgoing.ts";
import type { SessionState } from "./session-state.ts";
import { type Store, StoreRecord } from "./store.ts";
import { type DeliveryRecord, type MessageRecord, messageRecord, sessionRecord } from "./stored-values.ts";

/** A client that takes no longer to acknowledge a message than this is likely to do without a commit. */
const PROMPT = milliseconds(10);

const NEVER_SAID = Number.NEGATIVE_INFINITY as Instant;

/** Under this name in the table `meta`: when the process was there last. */
export const ALIVE = "alive";
/** How often that is written. */
export const ALIVE_PERIOD = seconds(10);
/** In `meta`, too: how far the process's clock was behind the date of the machine. */
export const BEHIND = "behind";
/** Clocks differ by less; more is a clock that was set. */
export const CLOCK_STEP = seconds(1);

/** What the gateway says of itself is made anew by each process. */
const OWN_TOPICS = "$SYS/";

interface KeptWait {
  readonly run: () => void;
  kept: boolean;
}

/** A message that waits for several sessions, and is written once; its record goes with the last of them. */
class SharedMessage extends StoreRecord {
  readonly table = "message";
  readonly key: number;
  readonly message: Message;

  constructor(number: number, message: Message, needers: number) {
    super();
    this.key = number;
    this.message = message;
    this.needers = needers;
  }

  value(): MessageRecord {
    return messageRecord(this.message);
  }
}

/** A delivery that a durable session has not settled. */
export class KeptDelivery extends StoreRecord {
  readonly table = "queue";
  /** The number of its session. */
  readonly session: number;
  readonly delivery: Outgoing;
  declare needs: SharedMessage | undefined;

  constructor(session: number, delivery: Outgoing) {
    super();
    this.session = session;
    this.delivery = delivery;
  }

  get key(): [number, number] {
    return [this.session, this.delivery.sequence];
  }

  value(): DeliveryRecord {
    const { message, id, stage, qos, retain, subscriptionIds, group } = this.delivery;
    return [
      this.needs?.key ?? messageRecord(message),
      id,
      stage === "release" ? 1 : 0,
      qos,
      retain,
      subscriptionIds,
      group === undefined ? undefined : [group.group, group.filter],
    ];
  }
}

/**
 * Writes what must outlive the process as it happens: one record a session, subscription, delivery and inbound
 * id; a message queued for many sessions once. Numbers stand in for sessions and messages in keys.
 */
export class DurableState implements SessionJournal, RetainedJournal, DelayedJournal {
  readonly #store: Store;
  readonly #delayed = new WeakMap<Message, number>();
  /** Those who wait for a commit, oldest first. */
  readonly #keptWaits = new Ring<KeptWait>();
  #lastSession = 0;
  #lastMessage = 0;
  /** What was queued last: the sessions that a message is for follow each other. */
  #lastQueued: KeptDelivery | undefined = undefined;
  #lastAlive = NEVER_SAID;
  #behind = ZERO;
  readonly #clock: Clock;
  /** Called before what waited for a commit runs: it may read the time. */
  readonly #tick: () => void;

  constructor(store: Store, clock: Clock, tick: () => void = () => {}) {
    this.#store = store;
    this.#clock = clock;
    this.#tick = tick;
  }

  // ---- sessions

  saved(session: SessionState): void {
    this.#store.put("session", this.#number(session), () => sessionRecord(session));
  }

  subscribed(session: SessionState, filter: string, options: SubscribeOptions): void {
    this.#store.put("subscription", [this.#number(session), filter], () => ({ ...options }));
  }

  unsubscribed(session: SessionState, filter: string): void {
    this.#store.remove("subscription", [this.#number(session), filter]);
  }

  removed(session: SessionState): void {
    const { number } = session;
    if (number === 0) return;
    session.number = 0;
    this.#store.remove("session", number);
    // A delivery that is still to be removed would be nobody's after a crash.
    this.#store.hasten();
    for (const packetId of session.inboundIds) this.#store.remove("inbound", [number, packetId]);
  }

  queued(session: SessionState, delivery: Outgoing): void {
    const record = new KeptDelivery(this.#number(session), delivery);
    delivery.record = record;
    const last = this.#lastQueued;
    if (last !== undefined && mayShare(last) && last.delivery.message.isOneWith(delivery.message)) {
      record.needs = this.#share(last);
      record.needs.needers++;
    }
    this.#lastQueued = record;
    // QoS 2 does not go out before it is kept.
    const patient =
      session.occupant !== undefined && session.prompt && delivery.qos === 1 && !reachesDisk(record.needs);
    // Were it kept without an earlier one, a crash in between would change their order.
    if (!patient && session.patient) this.#store.hasten();
    session.patient = patient;
    this.#store.write(record, patient);
  }

  moved(delivery: Outgoing): void {
    const { record } = delivery;
    // Nothing of QoS 1 waits for its id to be kept.
    if (record !== undefined) this.#store.write(record, delivery.qos === 1);
  }

  settled(session: SessionState, delivery: Outgoing): void {
    const { record } = delivery;
    if (record === undefined) return;
    session.prompt = after(delivery.message.publishedAt, PROMPT) >= this.#clock.now();
    this.#store.drop(record);
    delivery.record = undefined;
  }

  inbound(session: SessionState, packetId: number, known: boolean): void {
    const key: [number, number] = [this.#number(session), packetId];
    if (known) this.#store.put("inbound", key, () => 1);
    else this.#store.remove("inbound", key);
  }

  /** In the order of the calls, also when a commit fails: it is tried again, and this waits until one succeeds. */
  whenKept(run: () => void): void {
    const wait: KeptWait = { run, kept: false };
    this.#keptWaits.push(wait);
    this.#store.whenSafe(() => {
      wait.kept = true;
      this.#tick();
      while (this.#keptWaits.peek()?.kept === true) this.#keptWaits.shift()!.run();
    });
  }

  /**
   * The process is there, and with it the clients that are connected: if it dies without a word, the next one counts
   * their absence from about now, and not from its own beginning.
   */
  alive(): void {
    const now = this.#clock.now();
    if (now < after(this.#lastAlive, ALIVE_PERIOD)) return;
    this.#lastAlive = now;
    this.#store.put("meta", ALIVE, () => now);
  }

  /** By how much this process's clock is behind the machine's: that was set since it began, or stood still. */
  behind(length: Duration): void {
    if (Math.abs(length - this.#behind) < CLOCK_STEP) return;
    this.#behind = length;
    this.#store.put("meta", BEHIND, () => length);
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
    this.#store.put("delayed", number, () => [messageRecord(message), due]);
  }

  released(message: Message): void {
    const number = this.#delayed.get(message);
    if (number !== undefined) this.#store.remove("delayed", number);
  }

  // ---- what was there before, for `restore.ts`

  /** A session that was read back keeps its number. */
  knowSession(session: SessionState, number: number): void {
    session.number = number;
    this.#lastSession = Math.max(this.#lastSession, number);
  }

  /** `deliveries`: all that a message waits for. */
  knowMessage(number: number, message: Message, deliveries: readonly KeptDelivery[]): void {
    const shared = new SharedMessage(number, message, deliveries.length);
    shared.onDisk = true;
    for (const delivery of deliveries) delivery.needs = shared;
    this.#lastMessage = Math.max(this.#lastMessage, number);
  }

  knowDelivery(session: SessionState, delivery: Outgoing): KeptDelivery {
    const record = new KeptDelivery(session.number, delivery);
    record.onDisk = true;
    delivery.record = record;
    return record;
  }

  knowDelayed(message: Message, number: number): void {
    this.#delayed.set(message, number);
    this.#lastMessage = Math.max(this.#lastMessage, number);
  }

  // ---- inside

  #number(session: SessionState): number {
    if (session.number === 0) session.number = ++this.#lastSession;
    return session.number;
  }

  #share(first: KeptDelivery): SharedMessage {
    if (first.needs !== undefined) return first.needs;
    const shared = new SharedMessage(++this.#lastMessage, first.delivery.message.kept(), 1);
    first.needs = shared;
    this.#store.write(shared, true);
    return shared;
  }
}

/**
 * Whether the next delivery may refer to the same message. Not where this one is on disk with the message as a part of
 * itself, as a retained message may be that is queued for another session later: on disk it would refer to nothing, and
 * the message would stay when the other delivery goes.
 */
const mayShare = (record: KeptDelivery): boolean =>
  !record.dropped && (record.needs !== undefined || !reachesDisk(record));

const reachesDisk = (record: StoreRecord | undefined): boolean =>
  record !== undefined && (record.onDisk || record.committing);
