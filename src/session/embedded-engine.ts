import type { Commits } from "../bus/commits.ts";
import type { Gate } from "../bus/gate.ts";
import { Message, type QoS } from "../bus/message.ts";
import type {
  ClientId,
  Pending,
  PublishAnswer,
  RetainedAnswer,
  SubscribeAnswer,
  Ticket,
  UnsubscribeAnswer,
  WillAnswer,
} from "../contract/answers.ts";
import type { Receipt, SubscribeOptions, Will } from "../contract/client.ts";
import type { DeliveryId, Outcome } from "../contract/delivery.ts";
import type { Shown } from "../contract/peer.ts";
import { type Duration, type Instant, ZERO } from "../lib/time.ts";
import type { Aggregate } from "./aggregate.ts";
import type { Attendance } from "./attendance.ts";
import { type BackPressure, PublisherLine } from "./back-pressure.ts";
import { type Deletion, type Stopped, sessionKey } from "./context.ts";
import type { EngineClient, EngineSession, GivenUp, OpenAnswer, Opening, SessionEngine } from "./engine.ts";
import type { Session } from "./session.ts";
import type { Departure, Sessions } from "./sessions.ts";
import { stronger } from "./unproven-sessions.ts";

const NO_SUBSCRIPTIONS: ReadonlyMap<string, SubscribeOptions> = new Map();
const NO_SESSION = { ok: false, refusal: "unavailable", reason: "no session to resume" } as const;
const ANOTHER_USERS = {
  ok: false,
  refusal: "forbidden",
  reason: "this client id has a session of another user",
} as const;
const NOT_KEPT = { ok: false, refusal: "unavailable", reason: "its session cannot be kept now" } as const;
const FULL = { ok: false, refusal: "quota", reason: "session limit reached" } as const;

/** Sessions and bus in this process: everything but what a store must keep is answered in the same turn. */
export class EmbeddedEngine implements SessionEngine {
  readonly sessions: Sessions;
  readonly gate: Gate;
  readonly commits: Commits | undefined;

  readonly pressure: BackPressure | undefined;

  constructor(sessions: Sessions, commits: Commits | undefined, pressure?: BackPressure) {
    this.sessions = sessions;
    this.pressure = pressure;
    this.gate = sessions.gate;
    this.commits = commits;
  }

  enter(client: EngineClient): EngineSession {
    return new EmbeddedSession(this, client);
  }

  refuses({ gateway, sessionId, proven }: EngineClient): boolean {
    return this.sessions.refuses(gateway, sessionId, proven);
  }

  aggregate(gateway: string, clientId: ClientId): Aggregate {
    return this.sessions.aggregate(gateway, clientId);
  }

  *absent(): Generator<Session> {
    for (const session of this.sessions.all()) if (session.occupant === undefined) yield session;
  }

  grant(attendance: Attendance, filter: string, options: SubscribeOptions): void {
    this.sessions.subscribe(attendance as Session, filter, options);
  }

  revoke(attendance: Attendance, filter: string): void {
    this.sessions.revoke(attendance as Session, filter);
  }

  deleteWaiting(attendance: Attendance, id: string): Deletion {
    return (attendance as Session).delete(id);
  }

  discard(attendance: Attendance): void {
    this.sessions.discard(attendance as Session);
  }

  get watcher() {
    return this.sessions.watcher;
  }

  set watcher(watcher: SessionEngine["watcher"]) {
    this.sessions.watcher = watcher;
  }

  proven(attendance: Attendance): void {
    if (attendance.shown === "proof") return;
    attendance.shown = "proof";
    (attendance as Session).save();
  }

  relieve(attendance: Attendance): void {
    const { sessions } = this;
    const session = attendance as Session;
    const { subscriptions, queuedBytes } = session;
    session.drop(sessions.context.counters.droppedMemory);
    // What it holds most is the session itself. One that ended with its connection is not there any more.
    if (subscriptions.weight > queuedBytes && sessions.get(session.gateway, session.clientId) === session)
      sessions.discard(session, "overload");
  }

  get mayPublishWill() {
    return this.sessions.mayPublishWill;
  }

  set mayPublishWill(may: SessionEngine["mayPublishWill"]) {
    this.sessions.mayPublishWill = may;
  }

  memos(gateway: string): Iterable<{ readonly clientId: ClientId; readonly memo: unknown }> {
    return this.sessions.memos(gateway);
  }

  clearRetained(topic: string): void {
    const { gate, sessions } = this;
    const empty = new Message(topic, new Uint8Array(0), 1, true, sessions.context.clock.now());
    gate.publish(empty, undefined, "system");
  }

  lastWord(
    gateway: string,
    clientId: ClientId,
    word: Omit<Will, "delay"> | undefined,
    memo: (memo: unknown) => unknown,
    said: () => void,
  ): void {
    if (this.sessions.lastWord(gateway, clientId, word, memo)) said();
  }
}

/** A client's way to its session here; without one it can publish and read. */
class EmbeddedSession implements EngineSession {
  readonly #engine: EmbeddedEngine;
  readonly #client: EngineClient;
  #session: Session | undefined = undefined;
  /** Whom no-local takes it for: what it shares with others, or its session. */
  #from: object | undefined;
  publisher: string;
  /** The session wrote something (an inbound QoS 2 id) that the next acknowledgement must wait for. */
  #writesBefore = -1;

  constructor(engine: EmbeddedEngine, client: EngineClient) {
    this.#engine = engine;
    this.#client = client;
    this.#from = client.aggregate;
    this.publisher = client.aggregate?.key ?? sessionKey(client.gateway, client.sessionId);
  }

  // ---- coming and going

  open(opening: Opening, ticket: Ticket): OpenAnswer | Pending {
    const { sessions, commits } = this.#engine;
    const { gateway, sessionId: clientId, proven } = this.#client;
    const { kind, cleanStart, expiry } = opening;
    if (kind === "resume" && !this.#resumable(sessions.get(gateway, clientId), opening)) return NO_SESSION;
    const opened = sessions.open({ gateway, clientId, proven, cleanStart, expiry });
    if (opened === "full") return FULL;
    if (opened === "another-users") return ANOTHER_USERS;
    const { session, present } = opened;
    this.#session = session;
    this.#from ??= session;
    // The same text once.
    if (this.#client.aggregate === undefined) this.publisher = session.key;
    this.#prepare(session, opening, present);
    sessions.occupy(session, this.#client, 0);
    sessions.context.follower?.opened(session, present);
    for (const { filter, options } of opening.subscriptions) sessions.subscribe(session, filter, options);
    const answer: OpenAnswer = { ok: true, sessionPresent: present };
    if (!opening.committed || !session.durable || commits === undefined || commits.failing === true)
      return answer;
    // A client that is told that it has a session has it after a crash: all that the store was told is committed, also
    // of its connection before.
    commits.whenCommitted((failed) => this.#client.opened(ticket, failed ? NOT_KEPT : answer));
    return "pending";
  }

  #resumable(session: Session | undefined, { expected }: Opening): boolean {
    if (session === undefined || session.occupant !== undefined || !session.belongsTo(this.#client.proven))
      return false;
    if (expected === undefined) return true;
    const now = this.#engine.sessions.context.clock.now();
    return (session.expectedUntil ?? ZERO) > now && expected(session.memo);
  }

  #prepare(session: Session, { kind, will }: Opening, present: boolean): void {
    const { mountpoint, aggregate, username, identity } = this.#client;
    const moved = session.mountpoint !== mountpoint || session.owner !== aggregate;
    session.owner = aggregate;
    // Another user name, or changed rules: its subscriptions move under the new prefix.
    if (present && moved) this.#engine.sessions.remount(session, mountpoint);
    session.mountpoint = mountpoint;
    session.username = username;
    session.identity = identity;
    session.shown = present ? stronger(session.shown, this.#shown) : this.#shown;
    if (kind === "session") session.will = will;
  }

  get #shown(): Shown {
    return this.#client.identity.peer.shown ?? "proof";
  }

  leave(how: Departure, stopped?: Stopped): void {
    const { sessions } = this.#engine;
    // A will comes behind what was published before it.
    if (how !== "closed") this.#client.loop.line?.finish();
    if (this.#session === undefined) return;
    this.#session.shown = stronger(this.#session.shown, this.#shown);
    sessions.leave(this.#session, how, sessions.context.clock.now(), stopped);
  }

  // ---- asks

  publish(message: Message, ticket: Ticket): PublishAnswer | Pending {
    message.publisher = this.publisher;
    const since = this.#writesBefore;
    this.#writesBefore = -1;
    const { pressure, gate } = this.#engine;
    if (message.declinable && gate.bus.overflows(message)) return "quota";
    if (pressure !== undefined && pressure.active > 0) {
      const answer = this.#mayWait(pressure, message, ticket, since);
      if (answer !== undefined) return answer;
    }
    return gate.ask(message, this.#from, this.#client, ticket, since);
  }

  #mayWait(pressure: BackPressure, message: Message, ticket: Ticket, since: number) {
    const client = this.#client;
    const now = this.#engine.sessions.context.clock.now();
    client.loop.line ??= new PublisherLine(pressure);
    return client.loop.line.publish(message, this.#from, client, ticket, since, now);
  }

  publishLater(message: Message, due: Instant, ticket: Ticket): PublishAnswer | Pending {
    message.publisher = this.publisher;
    const since = this.#writesBefore;
    this.#writesBefore = -1;
    return this.#engine.gate.askLater(message, due, this.#client, ticket, since);
  }

  subscribe(filter: string, options: SubscribeOptions, ticket: Ticket): SubscribeAnswer | Pending {
    const session = this.#session;
    const { commits, sessions } = this.#engine;
    if (session === undefined) return "forbidden";
    if (commits?.failing === true && session.durable) return "unavailable";
    if (session.subscriptions.refuses(filter.length)) return "quota";
    const writes = commits?.writes ?? 0;
    sessions.subscribe(session, filter, options);
    return this.#onceCommitted(ticket, options.qos, writes);
  }

  unsubscribe(filter: string, ticket: Ticket): UnsubscribeAnswer | Pending {
    const session = this.#session;
    if (session === undefined) return "no-subscription";
    const writes = this.#engine.commits?.writes ?? 0;
    if (!this.#engine.sessions.unsubscribe(session, filter)) return "no-subscription";
    return this.#onceCommitted(ticket, "unsubscribed", writes);
  }

  retained(filter: string, limit: number): RetainedAnswer {
    const { mountpoint } = this.#client;
    const found = this.#engine.gate.bus.retained(mountpoint + filter, limit);
    if (mountpoint === "") return found;
    return found.map((message) => message.withTopic(message.topic.slice(mountpoint.length)));
  }

  setWill(will: Will | undefined, ticket: Ticket): WillAnswer | Pending {
    const session = this.#session;
    if (session === undefined) return "unavailable";
    if (will !== undefined && session.subscriptions.refuses(will.payload.length)) return "quota";
    const writes = this.#engine.commits?.writes ?? 0;
    this.#engine.sessions.setWill(session, will);
    return this.#onceCommitted(ticket, "accepted", writes);
  }

  get told(): number {
    return this.#engine.commits?.writes ?? 0;
  }

  committed(ticket: Ticket, since: number): "accepted" | Pending {
    return this.#onceCommitted(ticket, "accepted", since);
  }

  #onceCommitted<Answer extends 0 | 1 | 2 | "accepted" | "unsubscribed">(
    ticket: Ticket,
    answer: Answer,
    since: number,
  ): Answer | Pending {
    const { commits } = this.#engine;
    if (commits === undefined || commits.writes === since) return answer;
    commits.await(this.#client, ticket, answer, since);
    return "pending";
  }

  // ---- what is known here

  get expiry(): Duration | undefined {
    return this.#session?.expiry;
  }

  setExpiry(expiry: Duration): void {
    if (this.#session !== undefined) this.#engine.sessions.setExpiry(this.#session, expiry);
  }

  get attendance(): Attendance | undefined {
    return this.#session;
  }

  get expectedUntil(): Instant | undefined {
    return this.#session?.expectedUntil;
  }

  expectUntil(until: Instant | undefined): void {
    if (this.#session !== undefined) this.#engine.sessions.expect(this.#session, until);
  }

  get subscriptions(): ReadonlyMap<string, SubscribeOptions> {
    return this.#session?.subscriptions ?? NO_SUBSCRIPTIONS;
  }

  get memo(): unknown {
    return this.#session?.memo;
  }

  remember(memo: unknown, weight = 0): void {
    const session = this.#session;
    if (session === undefined) return;
    session.memo = memo;
    session.subscriptions.memo = weight;
    session.save();
  }

  acceptInbound(packetId: number): Receipt {
    if (this.#session === undefined) return "full";
    if (this.#writesBefore < 0) this.#writesBefore = this.#engine.commits?.writes ?? -1;
    return this.#session.acceptInbound(packetId);
  }

  get inboundLeft(): number {
    const { inboundMax } = this.#engine.sessions.context.options;
    return this.#session === undefined ? 0 : Math.max(0, inboundMax - this.#session.inboundCount);
  }

  releaseInbound(packetId: number): boolean {
    return this.#session?.releaseInbound(packetId) === true;
  }

  // ---- deliveries

  credit(window: number): void {
    this.#session?.credit(window);
  }

  settle(id: DeliveryId, outcome: Outcome): boolean {
    return this.#session?.settle(id, outcome) === true;
  }

  failed(at: DeliveryId | undefined): GivenUp | undefined {
    return this.#session?.failed(at);
  }

  received(id: DeliveryId): "accepted" | Pending {
    return this.#session?.received(id) ?? "accepted";
  }

  flush(): void {
    this.#session?.flush();
  }

  get queued(): number {
    return this.#session?.queued ?? 0;
  }

  unsettledQos(id: DeliveryId): QoS | undefined {
    return this.#session?.unsettledQos(id);
  }

  get unsettled(): number {
    return this.#session?.unsettled ?? 0;
  }

  /** The whole queue is here. */
  get uncounted(): number {
    return 0;
  }

  handedOut(): "accepted" {
    return "accepted";
  }

  /** The queue stays where it is. */
  rest(): void {}
}
