import type { Bus, Grant } from "../bus/bus.ts";
import { parseDelayedTopic } from "../bus/delayed.ts";
import type { Gate } from "../bus/gate.ts";
import { Message } from "../bus/message.ts";
import { sharedPrefix } from "../bus/topic.ts";
import type { SubscribeOptions, Will } from "../contract/client.ts";
import { type Alarm, type Alarms, CallbackAlarm } from "../lib/alarm.ts";
import { after, type Duration, type Instant, latest, milliseconds, NEVER, ZERO } from "../lib/time.ts";
import { Aggregate } from "./aggregate.ts";
import type { Attendance } from "./attendance.ts";
import type { Occupant, SessionContext, SessionEnd, Stopped } from "./context.ts";
import { contextFor, sessionKey } from "./context.ts";
import type { AttendanceWatcher } from "./engine.ts";
import { journalWhole } from "./journal.ts";
import { KeptQueues, type QueueOptions } from "./kept-queues.ts";
import { plainIdentity } from "./plain-identity.ts";
import { Session } from "./session.ts";
import { UnprovenSessions } from "./unproven-sessions.ts";

export interface SessionsOptions extends QueueOptions {
  /** Longest time a session may outlive its connection. */
  readonly expiryMax: Duration;
  /** Sessions that may exist, connected or not. */
  readonly sessions: number;
  /** Of those whose client is away and may never have been there. Absent: as many as there may be sessions. */
  readonly unproven?: number;
  /** Retained messages sent for one subscribe. */
  readonly replayMax: number;
  /** What somebody gets who comes with the client id of another proven user's session. */
  readonly otherUser: "refuse" | "anew";
}

/** How a client goes. Only a goodbye takes the will back. */
export type Departure =
  | "closed" // it said goodbye
  | "parted" // it did, and wants its will published all the same
  | "lost" // its transport has gone
  | "silent" // nothing came of it in its time
  | "refused" // its gateway ended the connection, because of what came
  | "expected"; // only its channel goes, and the device knows nothing of that

export interface Opened {
  readonly session: Session;
  readonly present: boolean;
}

/** Who opens a session, and how. */
export interface Opening {
  readonly gateway: string;
  readonly clientId: string;
  /** See `Session.proven`. */
  readonly proven: string | undefined;
  readonly cleanStart: boolean;
  readonly expiry: Duration;
}

const QUEUES_MAX = 10_000;

/** All sessions by key: connecting, taking over, expiring, and what wills do then. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();
  /** As many as configurations name. */
  readonly #aggregates = new Map<string, Aggregate>();
  readonly #pending = new Map<Session, SessionTimers>();
  /** What sessions publish for clients that are lost passes it. */
  readonly gate: Gate;
  /** Sessions without clients of their own. */
  readonly queues: KeptQueues;
  /** Whose clients are away, and were perhaps never there. */
  readonly unproven: UnprovenSessions;
  readonly #bus: Bus;
  readonly #alarms: Alarms;
  readonly #context: SessionContext;
  readonly #options: SessionsOptions;
  /** Asked before a will is published: it was allowed when the client came, which may be long ago. */
  mayPublishWill: ((session: Attendance, will: Will) => boolean) | undefined = undefined;
  watcher: AttendanceWatcher | undefined = undefined;
  /** Sessions that ended because their expiry passed. */
  expired = 0;
  takenOver = 0;
  /** Sessions whose client is connected. */
  connected = 0;

  constructor(gate: Gate, alarms: Alarms, context: SessionContext, options: SessionsOptions) {
    this.gate = gate;
    this.#bus = gate.bus;
    this.#alarms = alarms;
    this.#context = context;
    this.#options = options;
    const { queues = [], queuesMax = QUEUES_MAX, unproven = Number.POSITIVE_INFINITY } = options;
    this.unproven = new UnprovenSessions(unproven);
    this.queues = new KeptQueues(gate.bus, context, queues, queuesMax);
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** Sessions whose end, or will, has a time. */
  get timed(): number {
    return this.#pending.size;
  }

  get(gateway: string, clientId: string): Session | undefined {
    return this.#sessions.get(sessionKey(gateway, clientId));
  }

  /** What clients that share this identity have in common. */
  aggregate(gateway: string, clientId: string): Aggregate {
    const key = sessionKey(gateway, clientId);
    let aggregate = this.#aggregates.get(key);
    if (aggregate === undefined) {
      aggregate = new Aggregate(key, clientId);
      this.#aggregates.set(key, aggregate);
    }
    return aggregate;
  }

  /** What a gateway remembers of its sessions. */
  *memos(gateway: string): Generator<{ readonly clientId: string; readonly memo: unknown }> {
    for (const session of this.#sessions.values()) {
      if (session.gateway !== gateway || session.memo === undefined) continue;
      yield { clientId: session.clientId, memo: session.memo };
    }
  }

  all(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  /** The session of this client id is another proven user's, and refused to whom is proven here. */
  refuses(gateway: string, clientId: string, proven: string | undefined): boolean {
    const session = this.#sessions.get(sessionKey(gateway, clientId));
    if (session === undefined || session.belongsTo(proven)) return false;
    // What nobody was proven for is nobody's to keep.
    return session.proven !== undefined && this.#options.otherUser === "refuse";
  }

  /** Opens a client's session for a new connection. `full`: the limit of sessions is reached. */
  open({ gateway, clientId, proven, cleanStart, expiry }: Opening): Opened | "full" | "another-users" {
    if (this.refuses(gateway, clientId, proven)) return "another-users";
    const former = this.#sessions.get(sessionKey(gateway, clientId));
    if (former?.occupant !== undefined) {
      this.takenOver++;
      former.occupant.evict("taken-over", undefined, cleanStart);
    }
    // Eviction may have ended it, when it was not to outlive its connection.
    const known = this.#sessions.get(sessionKey(gateway, clientId));
    if (known !== undefined && !cleanStart && known.belongsTo(proven)) {
      known.proven = proven;
      known.unclaimed = false;
      this.#cancelTimers(known);
      this.setExpiry(known, expiry);
      return { session: known, present: true };
    }
    if (known !== undefined) {
      // Its client was expected, and is here: it was never lost.
      const returns = known.belongsTo(proven) && (known.leftAt ?? ZERO) > this.#context.clock.now();
      if (returns) known.will = undefined;
      this.discard(known, "discarded");
    }
    if (this.#sessions.size >= this.#options.sessions) this.#endUnproven(this.unproven.first);
    if (this.#sessions.size >= this.#options.sessions) return "full";
    const context = contextFor(this.#context, gateway, clientId);
    const session = new Session(gateway, clientId, this.#bounded(expiry), context);
    session.proven = proven;
    this.#sessions.set(session.key, session);
    return { session, present: false };
  }

  occupy(session: Session, occupant: Occupant, credit: number): void {
    this.connected++;
    this.unproven.delete(session);
    session.leftAt = undefined;
    session.save();
    session.attach(occupant, credit);
  }

  /** Ends a subscription to which the client has no right any more, with what waits because of it. */
  revoke(session: Session, filter: string): void {
    if (this.unsubscribe(session, filter)) session.dropUnsubscribed(filter);
  }

  /** A connection ended; `stopped`: because we ended it. */
  leave(session: Session, how: Departure, now: Instant, stopped?: Stopped): void {
    this.connected--;
    session.detach();
    if (session.identity !== undefined) session.identity = plainIdentity(session.identity);
    if (how === "closed") session.will = undefined;
    if (how === "expected") {
      session.leftAt = latest(now, session.expectedUntil ?? now);
    } else {
      session.leftAt = now;
      if (session.expiry > ZERO) this.expect(session, undefined);
    }
    session.save();
    this.resumeAbsence(session, stopped ?? (how === "expected" ? "expired" : how));
    if (this.#sessions.get(session.key) !== session) return;
    this.unproven.add(session);
    this.#endUnproven(this.unproven.excess);
  }

  #endUnproven(session: Session | undefined): void {
    if (session === undefined) return;
    this.#context.counters.unprovenEnded.value++;
    this.#context.tooManyUnproven?.(session.gateway);
    this.discard(session, "unproven");
  }

  setExpiry(session: Session, expiry: Duration): void {
    this.#change(session, () => {
      session.expiry = this.#bounded(expiry);
    });
  }

  /** Until when the client counts as connected without a connection; undefined: as long as it has one. */
  expect(session: Session, until: Instant | undefined): void {
    if (session.expectedUntil === until) return;
    this.#change(session, () => {
      session.expectedUntil = until;
    });
  }

  setWill(session: Session, will: Will | undefined): void {
    session.will = will;
    session.save();
  }

  /** Ends a session for good; a will that still waits is published now [MQTT-3.1.2-8]. */
  discard(session: Session, why: SessionEnd = "kicked"): void {
    this.#cancelTimers(session);
    this.#publishWill(session);
    if (session.subscriptions.size > 0) this.watcher?.subscriptionsEnd(session);
    for (const filter of session.subscriptions.keys()) {
      this.#bus.unsubscribe(session, session.mounted(filter));
      if (session.durable) this.#context.journal?.unsubscribed(session, filter);
    }
    this.#sessions.delete(session.key);
    this.unproven.delete(session);
    session.end();
    this.watcher?.ended(session);
    this.#context.follower?.ended(session, why);
  }

  // ---- subscriptions

  subscribe(session: Session, filter: string, options: SubscribeOptions): void {
    const isNew = !session.subscriptions.has(filter);
    session.subscriptions.set(filter, options);
    const onBus = session.mounted(filter);
    this.#bus.subscribe(session, onBus, options);
    if (session.durable) this.#context.journal?.subscribed(session, filter, options);
    this.#context.follower?.subscribed(session, onBus, options.qos);
    const handling = options.retainHandling ?? 0;
    // A shared subscription gets no retained messages (MQTT 5 §4.8.2).
    if (handling === 2 || (handling === 1 && !isNew) || sharedPrefix(filter) !== "") return;
    session.replay(filter, this.#bus.replay(onBus, this.#options.replayMax), asGrant(options));
  }

  unsubscribe(session: Session, filter: string): boolean {
    if (!session.subscriptions.delete(filter)) return false;
    session.endReplay(filter);
    const onBus = session.mounted(filter);
    this.#bus.unsubscribe(session, onBus);
    if (session.durable) this.#context.journal?.unsubscribed(session, filter);
    this.#context.follower?.unsubscribed(session, onBus);
    return true;
  }

  /** Moves the subscriptions of a session under another prefix, or another owner; what waits does not move along. */
  remount(session: Session, mountpoint: string): void {
    for (const filter of session.subscriptions.keys())
      this.#bus.unsubscribe(session, session.mounted(filter));
    if (session.mountpoint !== mountpoint) session.drop();
    session.mountpoint = mountpoint;
    for (const [filter, options] of session.subscriptions) {
      this.#bus.subscribe(session, session.mounted(filter), options);
    }
  }

  /** Puts back a session that a store had kept, before listeners open. */
  restore(session: Session): void {
    this.#sessions.set(session.key, session);
    for (const [filter, options] of session.subscriptions) {
      this.#bus.subscribe(session, session.mounted(filter), options);
    }
    this.unproven.add(session);
    this.watcher?.restored(session);
  }

  /**
   * The client is away since `leftAt`, which may be yet to come. What is due happens now, the rest in its time: will
   * delay and expiry both begin there [MQTT-3.1.3-9], [MQTT-3.1.2-23].
   */
  resumeAbsence(session: Session, how: SessionEnd = "expired"): void {
    const now = this.#context.clock.now();
    const { leftAt = now, expiry, will } = session;
    const awayUntil = after(leftAt, expiry);
    if (awayUntil <= now) {
      if (expiry > ZERO) this.expired++;
      this.discard(session, expiry > ZERO ? "expired" : how);
      return;
    }
    if (awayUntil !== NEVER) this.#timers(session).armExpiry(awayUntil);
    if (will === undefined) return;
    const willDue = after(leftAt, will.delay);
    if (willDue <= now) this.#publishWill(session);
    // A session that ends before publishes it then.
    else if (willDue < awayUntil) this.#timers(session).armWill(willDue);
  }

  /** For a new session that is built before it is known here. */
  get context(): SessionContext {
    return this.#context;
  }

  // ---- inside

  #bounded(expiry: Duration): Duration {
    return Math.min(expiry, this.#options.expiryMax) as Duration;
  }

  /** Something of which it depends whether the session is durable. */
  #change(session: Session, change: () => void): void {
    const wasDurable = session.durable;
    change();
    const { journal } = this.#context;
    if (wasDurable === session.durable) session.save();
    else if (journal !== undefined) journalWhole(session, journal, wasDurable);
  }

  /** See `GatewayHost.lastWord`; false when nothing was said. */
  lastWord(
    gateway: string,
    clientId: string,
    word: Omit<Will, "delay"> | undefined,
    memo: (memo: unknown) => unknown,
  ): boolean {
    const session = this.#sessions.get(sessionKey(gateway, clientId));
    if (session === undefined || session.occupant !== undefined) return false;
    session.memo = memo(session.memo);
    if (session.memo === undefined) session.subscriptions.memo = 0;
    session.save();
    if (word !== undefined) this.#publishFor(session, word, "last-word");
    return true;
  }

  #publishWill(session: Session): void {
    const will = session.will;
    if (will === undefined) return;
    session.will = undefined;
    session.save();
    if (this.mayPublishWill?.(session, will) === false) return;
    this.#publishFor(session, will, "will");
  }

  #publishFor(session: Session, will: Omit<Will, "delay">, origin: "will" | "last-word"): void {
    const { payload, qos, retain, options } = will;
    const delayed = parseDelayedTopic(will.topic);
    const { topic, seconds } = typeof delayed === "object" ? delayed : { topic: will.topic, seconds: 0 };
    const now = this.#context.clock.now();
    const { properties, expiry } = options;
    const message = new Message(session.mountpoint + topic, payload, qos, retain, now, properties, expiry);
    message.publisher = session.key;
    message.errand = will.errand;
    if (seconds > 0) this.gate.publishLater(message, after(now, milliseconds(seconds * 1000)));
    else this.gate.publish(message, session.owner ?? session, origin);
  }

  #timers(session: Session): SessionTimers {
    let timers = this.#pending.get(session);
    if (timers === undefined) {
      timers = new SessionTimers(
        this.#alarms,
        () => this.#publishWill(session),
        () => {
          this.expired++;
          this.discard(session, "expired");
        },
      );
      this.#pending.set(session, timers);
    }
    return timers;
  }

  #cancelTimers(session: Session): void {
    this.#pending.get(session)?.cancel();
    this.#pending.delete(session);
  }
}

/** The two alarms of a session whose client is away. */
class SessionTimers {
  readonly #alarms: Alarms;
  readonly #will: Alarm;
  readonly #expiry: Alarm;

  constructor(alarms: Alarms, publishWill: () => void, expire: () => void) {
    this.#alarms = alarms;
    this.#will = new CallbackAlarm(publishWill);
    this.#expiry = new CallbackAlarm(expire);
  }

  armWill(due: Instant): void {
    this.#alarms.arm(this.#will, due);
  }

  armExpiry(due: Instant): void {
    this.#alarms.arm(this.#expiry, due);
  }

  cancel(): void {
    this.#alarms.disarm(this.#will);
    this.#alarms.disarm(this.#expiry);
  }
}

const asGrant = (options: SubscribeOptions): Grant => ({
  qos: options.qos,
  retainAsPublished: options.retainAsPublished ?? false,
  identifiers: options.identifier === undefined ? [] : [options.identifier],
  group: undefined,
});
