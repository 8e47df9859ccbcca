/** Sessions at the servers of a cluster: each is a connection of its own, and what a device is told comes from there. */
import type { Commits } from "../bus/commits.ts";
import {
  type DelayedJournal,
  type DelayedLimits,
  type DelayedMessages,
  parseDelayedTopic,
} from "../bus/delayed.ts";
import { Message } from "../bus/message.ts";
import type { ClientId, Pending, PublishAnswer, Ticket } from "../contract/answers.ts";
import type { SubscribeOptions, Will } from "../contract/client.ts";
import type { Recalled } from "../contract/gateway.ts";
import { NO_BYTES } from "../lib/bytes.ts";
import { after, type Instant, milliseconds } from "../lib/time.ts";
import { Aggregate } from "../session/aggregate.ts";
import type { Attendance } from "../session/attendance.ts";
import { sessionKey } from "../session/context.ts";
import type { EngineClient, EngineSession, OpenAnswer, Opening, SessionEngine } from "../session/engine.ts";
import type { SessionsOptions } from "../session/sessions.ts";
import { credentialsOf } from "./application.ts";
import { clientIdBy, type Named } from "./client-id.ts";
import type { UpstreamContext } from "./context.ts";
import { delayedAtCluster } from "./delayed.ts";
import { Devices } from "./devices/devices.ts";
import type { DeviceMemory } from "./devices/memory.ts";
import type { DeviceRecord } from "./devices/record.ts";
import { Entrance } from "./entrance.ts";
import type { Entry } from "./entry.ts";
import { NOBODY, type PublishAsker } from "./exchange.ts";
import type { NoContact } from "./first-contact.ts";
import { Pool } from "./pool.ts";
import type { Server } from "./server-choice.ts";
import { UpstreamSession } from "./session.ts";
import type { SessionHost } from "./session-host.ts";
import { Visit } from "./visit.ts";
import { Wiper } from "./wiper.ts";

/** Where what gateways remember of devices is kept: made by who knows the pool. */
export type DeviceMemoryOf = (pool: Pool) => DeviceMemory;

export interface UpstreamEngineParts {
  readonly context: UpstreamContext;
  /** Of this gateway's own connections: no other gateway has it. */
  readonly name: string;
  readonly sessions: SessionsOptions & { readonly failuresMax: number; readonly inboundMax: number };
  readonly delayed: DelayedLimits;
  readonly devices?: DeviceMemoryOf | undefined;
  readonly journal?: DelayedJournal | undefined;
  /** Present when a store keeps what waits for its time. */
  readonly commits?: Commits | undefined;
}

export class UpstreamEngine implements SessionEngine, SessionHost {
  readonly context: UpstreamContext;
  readonly pool: Pool;
  readonly delayed: DelayedMessages;
  mayPublishWill: SessionEngine["mayPublishWill"] = undefined;
  watcher: SessionEngine["watcher"] = undefined;
  readonly #sessions = new Map<string, UpstreamSession>();
  readonly #entrance: Entrance;
  /** How far sessions have been looked at that are moved from a server. */
  readonly #walks = new Map<Server, IterableIterator<UpstreamSession>>();
  readonly #aggregates = new Map<string, Aggregate>();
  readonly limits: UpstreamEngineParts["sessions"];
  /** Under which id servers know a client's session. */
  readonly idOf: (named: Named) => string;
  readonly devices: Devices | undefined;
  /** Where it is the servers that know the devices. */
  readonly passesLogins: boolean;

  constructor({ context, name, sessions, delayed, journal, commits, devices }: UpstreamEngineParts) {
    this.context = context;
    this.limits = sessions;
    this.passesLogins = context.options.credentials === "device";
    this.idOf = clientIdBy(context.options.clientId);
    this.#entrance = new Entrance(this, this.#sessions);
    this.pool = new Pool(context, name);
    this.devices =
      devices &&
      new Devices({
        memory: devices(this.pool),
        name,
        now: () => context.clock.now(),
        defer: context.defer,
        session: (id) => this.#sessions.get(id),
        adopt: (id, record) => adopted(this, this.#sessions, id, record),
        failed: ({ clientId }) => context.note({ level: "warn", event: "device-not-kept" }, clientId),
      });
    this.delayed = delayedAtCluster(context, this.pool, delayed, journal, commits);
  }

  get takenOver(): number {
    return this.#entrance.takenOver;
  }

  /** Clients that wait for a server to let them in. */
  get entering(): number {
    return this.#entrance.count;
  }

  /** `contact`: hears once whether the cluster lets the gateway itself in. */
  start(contact: (problem: NoContact | undefined) => void = () => {}): void {
    this.devices?.start();
    this.pool.start(this.context.clock.now(), contact);
  }

  /** Every device finds its session again, at this gateway or another. */
  stop(): void {
    this.#entrance.close();
    for (const session of this.#sessions.values()) session.shutDown();
    this.pool.stop(this.context.clock.now());
    this.devices?.stop();
  }

  get healthy(): boolean {
    return !this.context.outage.isOver(this.context.options.grace, this.context.clock.now());
  }

  sessions(): IterableIterator<UpstreamSession> {
    return this.#sessions.values();
  }

  /** Moves one session away from a server, to whichever is chosen now. False: none is there any more. */
  moveFrom(server: Server): boolean {
    // One walk over all sessions for all that are moved, not one for each.
    const walk = this.#walks.get(server) ?? this.#sessions.values();
    for (let next = walk.next(); next.done !== true; next = walk.next()) {
      if (next.value.server.server !== server) continue;
      this.#walks.set(server, walk);
      next.value.server.move(this.context.clock.now());
      return true;
    }
    this.#walks.delete(server);
    return this.pool.moveFrom(server, this.context.clock.now());
  }

  // ---- SessionEngine

  enter(client: EngineClient, single: boolean): EngineSession {
    return new Visit(this, client, single);
  }

  refuses(client: EngineClient): boolean {
    return this.#entrance.refuses(client);
  }

  aggregate(gateway: string, clientId: ClientId): Aggregate {
    const key = sessionKey(gateway, clientId);
    let aggregate = this.#aggregates.get(key);
    if (aggregate === undefined) {
      aggregate = new Aggregate(key, clientId);
      this.#aggregates.set(key, aggregate);
    }
    return aggregate;
  }

  *absent(): Generator<Attendance> {
    for (const session of this.#sessions.values()) if (session.client === undefined) yield session;
  }

  grant(attendance: Attendance, filter: string, options: SubscribeOptions): void {
    (attendance as UpstreamSession).server.asks.want(filter, options, this.context.clock.now());
  }

  revoke(attendance: Attendance, filter: string): void {
    (attendance as UpstreamSession).server.asks.unwant(filter, this.context.clock.now());
  }

  discard(attendance: Attendance): void {
    (attendance as UpstreamSession).discard();
  }

  *memos(gateway: string): Generator<{ readonly clientId: ClientId; readonly memo: unknown }> {
    for (const session of this.#sessions.values()) {
      if (session.gateway !== gateway || session.memo === undefined) continue;
      yield { clientId: session.clientId, memo: session.memo };
    }
  }

  recall(gateway: string, alias: string, found: (one: Recalled | undefined) => void): boolean {
    return this.devices?.recall(gateway, alias, found) === true;
  }

  clearRetained(topic: string): void {
    const empty = new Message(topic, NO_BYTES, 1, true, this.context.clock.now());
    this.pool.publish(topic, empty, NOBODY, 0);
  }

  lastWord(
    gateway: string,
    clientId: ClientId,
    word: Omit<Will, "delay"> | undefined,
    memo: (memo: unknown) => unknown,
    said: () => void,
  ): void {
    const session = this.#find(gateway, clientId);
    if (session === undefined || session.client !== undefined) return;
    session.memo = memo(session.memo);
    if (word === undefined) {
      said();
      return;
    }
    const { topic, payload, qos, retain, options } = word;
    const now = this.context.clock.now();
    const { properties, expiry } = options;
    const message = new Message(session.mountpoint + topic, payload, qos, retain, now, properties, expiry);
    const heard = (answer: PublishAnswer | "pending"): void => {
      if (answer === "accepted" || answer === "no-subscribers") said();
    };
    heard(this.publishFor(session, message, { answered: (_, answer) => heard(answer) }));
  }

  #find(gateway: string, clientId: ClientId): UpstreamSession | undefined {
    for (const session of this.#sessions.values()) {
      if (session.gateway === gateway && session.clientId === clientId) return session;
    }
    return undefined;
  }

  // ---- for visits

  open(
    client: EngineClient,
    opening: Opening,
    ticket: Ticket,
    entered: (session: UpstreamSession) => void,
  ): OpenAnswer | Entry {
    return this.#entrance.open(client, opening, ticket, entered);
  }

  publishLater(
    message: Message,
    due: Instant,
    client: EngineClient,
    ticket: Ticket,
  ): PublishAnswer | Pending {
    return this.delayed.ask(message, due, client, ticket, -1);
  }

  // ---- SessionHost

  isAwaited({ upstreamId }: UpstreamSession): boolean {
    return this.#entrance.isAwaited(upstreamId);
  }

  owes({ upstreamId }: UpstreamSession, will: Message): void {
    this.#entrance.owes(upstreamId, will);
  }

  subscriptionsEnd(session: UpstreamSession): void {
    if (session.subscriptions.size > 0) this.watcher?.subscriptionsEnd(session);
  }

  ended(session: UpstreamSession): void {
    this.devices?.ended(session);
    if (this.#sessions.get(session.upstreamId) !== session) return;
    this.#sessions.delete(session.upstreamId);
    this.watcher?.ended(session);
  }

  wipe(session: UpstreamSession): void {
    const { options, clock } = this.context;
    const credentials = { clientId: session.upstreamId, ...credentialsOf(session, options) };
    new Wiper(this.context, session.server.info(), credentials).start(clock.now());
  }

  /** Over a connection of the gateway itself: its client has none. */
  publishFor(session: UpstreamSession, message: Message, asker: PublishAsker): PublishAnswer | Pending {
    const delayed = parseDelayedTopic(message.topic);
    message.publisher = session.key;
    if (typeof delayed === "object") {
      const now = this.context.clock.now();
      const due = after(now, milliseconds(delayed.seconds * 1000));
      const answered = (ticket: Ticket, answer: unknown): void =>
        asker.answered(ticket, answer as PublishAnswer);
      return this.delayed.ask(message.withTopic(delayed.topic), due, { closed: false, answered }, 0, -1);
    }
    return this.pool.publish(session.clientId, message, asker, 0);
  }
}

/** Not where a connection of ours has it. */
function adopted(
  host: SessionHost & { readonly limits: { readonly sessions: number } },
  sessions: Map<string, UpstreamSession>,
  id: string,
  { gateway, clientId }: DeviceRecord,
): UpstreamSession | undefined {
  const known = sessions.get(id);
  if (known?.client !== undefined || known?.server.link !== undefined) return undefined;
  if (known !== undefined) {
    known.elsewhere = true;
    known.replace();
  }
  if (sessions.size >= host.limits.sessions) return undefined;
  const session = new UpstreamSession(host, gateway, clientId, id);
  sessions.set(id, session);
  return session;
}
