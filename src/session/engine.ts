/**
 * The engine port: where the door gets sessions and the bus from. `embedded-engine.ts` runs both in this process; an
 * engine may as well stand before a broker that is somewhere else. So every ask whose answer such a broker would have
 * to be asked for may be answered with `pending`, and then the answer comes later to the client that asked, under the
 * ticket of the ask. What an engine can know by itself (credit, settling, ids, the memo) is done at once.
 *
 * The engine never calls a client while that client's own call into it runs.
 */
import type { Message, QoS } from "../bus/message.ts";
import type {
  ClientId,
  Pending,
  PublishAnswer,
  Refusal,
  RetainedAnswer,
  ServerWords,
  SubscribeAnswer,
  Ticket,
  UnsubscribeAnswer,
  WillAnswer,
} from "../contract/answers.ts";
import type { Exchange, Receipt, SubscribeOptions, Will } from "../contract/client.ts";
import type { DeliveryId, Outcome } from "../contract/delivery.ts";
import type { Recalled } from "../contract/gateway.ts";
import type { Identity } from "../contract/identity.ts";
import type { Duration, Instant } from "../lib/time.ts";
import type { Aggregate } from "./aggregate.ts";
import type { Attendance } from "./attendance.ts";
import type { Publisher, PublisherChannel } from "./back-pressure.ts";
import type { Deletion, Occupant, Stopped } from "./context.ts";
import type { Departure } from "./sessions.ts";

/** A client of the door, as an engine sees it: who it is, and where deliveries and answers go. */
export interface EngineClient extends Occupant, Publisher {
  readonly loop: PublisherChannel;
  readonly gateway: string;
  /** The client id that its session goes by. */
  readonly sessionId: ClientId;
  readonly username: string | undefined;
  /** Who was proven, in one text; a session belongs to that. */
  readonly proven: string | undefined;
  readonly identity: Identity;
  /** Prefix of its topics; published topics have it already, filters and delivered topics have not. */
  readonly mountpoint: string;
  readonly aggregate: Aggregate | undefined;
  /** The answer to a publish, subscribe, unsubscribe, change of will, or `committed` that was pending. */
  answered(
    ticket: Ticket,
    answer: PublishAnswer | SubscribeAnswer | UnsubscribeAnswer | WillAnswer,
    words?: ServerWords,
  ): void;
  /** The answer to a look-up of retained messages that was pending. */
  found(ticket: Ticket, answer: RetainedAnswer): void;
  /** The answer to an `open` that was pending. */
  opened(ticket: Ticket, answer: OpenAnswer): void;
}

/** A delivery that was given up, for the log. */
export interface GivenUp {
  readonly topic: string;
  readonly failures: number;
}

/** What kind of session a client wants. */
export interface Opening {
  /** `session`: its own, taken over where it is in use. `resume`: only one that exists and is not in use. */
  readonly kind: "session" | "resume";
  /** Throw away an earlier session of this client id. */
  readonly cleanStart: boolean;
  readonly expiry: Duration;
  readonly will: Will | undefined;
  /** What `credit` will be called with first. Until then nothing is handed out. */
  readonly credit: number;
  /** See `SessionRequest.window`. */
  readonly window: number | undefined;
  /** Answer when what letting the client in changes is safe. */
  readonly committed: boolean;
  /** `resume`: only one whose client is expected still, and was left with such a memo. */
  readonly expected: ((memo: unknown) => boolean) | undefined;
  /** Made for the client as it comes in. */
  readonly subscriptions: readonly { readonly filter: string; readonly options: SubscribeOptions }[];
  /** As it was given at login, for whom the door is not the last to ask for it. */
  readonly password: Uint8Array | undefined;
  /** The client does QoS 2's handshake itself: it may wait for a release that nobody here knows of. */
  readonly releases: boolean;
  /** See `SessionRequest.recalls`. */
  readonly recalls: boolean;
  /** See `SessionRequest.dated`. */
  readonly dated: boolean;
  /** A further session: whose. */
  readonly of?: EngineSession | undefined;
  /** What the client speaks: `MQTT 5.0`. */
  readonly protocol?: string | undefined;
  /** See `SessionRequest.properties`. */
  readonly properties?: ServerWords["properties"] | undefined;
  /** A login of several messages that is the server's to check; see `SessionEngine.passesLogins`. */
  readonly exchange?: Exchange | undefined;
}

/** `forbidden`: the session is another user's. */
export type OpenAnswer =
  | { readonly ok: true; readonly sessionPresent: boolean; readonly words?: ServerWords | undefined }
  | {
      readonly ok: false;
      readonly refusal: Refusal;
      readonly reason: string;
      readonly words?: ServerWords | undefined;
    };

/** One client's way into an engine, from its first ask to `leave`. */
export interface EngineSession {
  /** Once, and before all else; a client that makes single requests never opens, and can publish and read. */
  open(opening: Opening, ticket: Ticket): OpenAnswer | Pending;
  /**
   * Ends the connection, in whatever state it is; its will is due where it was no goodbye. Nothing comes to the client any
   * more. `stopped`: the core has ended it.
   */
  leave(how: Departure, stopped?: Stopped): void;

  /** At QoS 1 and 2 an answer means: accepted, and safe where something must keep it. */
  publish(message: Message, ticket: Ticket): PublishAnswer | Pending;
  publishLater(message: Message, due: Instant, ticket: Ticket): PublishAnswer | Pending;
  subscribe(filter: string, options: SubscribeOptions, ticket: Ticket): SubscribeAnswer | Pending;
  unsubscribe(filter: string, ticket: Ticket): UnsubscribeAnswer | Pending;
  /** Topics of what is found are as the client knows them. */
  retained(filter: string, limit: number, ticket: Ticket): RetainedAnswer | Pending;
  setWill(will: Will | undefined, ticket: Ticket): WillAnswer | Pending;

  /** How much has been told to the store so far, and whether what was told since then is committed. */
  readonly told: number;
  committed(ticket: Ticket, since: number): "accepted" | Pending;

  // What is known here.
  /** Its part that stays here; undefined without a session. */
  readonly attendance: Attendance | undefined;
  /** Under which name what it publishes is known. */
  readonly publisher: string;
  /** As granted; undefined without a session. */
  readonly expiry: Duration | undefined;
  setExpiry(expiry: Duration): void;
  /** See `Client.expectUntil`. */
  readonly expectedUntil: Instant | undefined;
  expectUntil(until: Instant | undefined): void;
  readonly subscriptions: ReadonlyMap<string, SubscribeOptions>;
  readonly memo: unknown;
  remember(memo: unknown, weight?: number, alias?: string): void;
  acceptInbound(packetId: number): Receipt;
  readonly inboundLeft: number;
  releaseInbound(packetId: number): boolean;

  // Deliveries.
  credit(window: number): void;
  settle(id: DeliveryId, outcome: Outcome): boolean;
  received(id: DeliveryId): "accepted" | Pending;
  /** The channel failed: at this delivery, or at something else. What has been given up because of that. */
  failed(at: DeliveryId | undefined): GivenUp | undefined;
  /** The transport takes more again. */
  flush(): void;
  readonly queued: number;
  readonly unsettled: number;
  unsettledQos(id: DeliveryId): QoS | undefined;
  /** So many may wait where they cannot be counted. */
  readonly uncounted: number;
  /** All that waited for the client, wherever it was, has been handed to it. Asked when nothing waits here. */
  handedOut(ticket: Ticket): "accepted" | Pending;
  /** See `Client.rest`. */
  rest(until: Instant | undefined): void;
  /** The client proves itself once more, to a server. `done` is called once, and not where the client has left. */
  authenticateAgain?(exchange: Exchange, done: (ok: boolean) => void): void;
}

/** Hears of sessions what their clients do not cause. */
export interface AttendanceWatcher {
  /** It was kept by a store from an earlier life of this process. */
  restored(attendance: Attendance): void;
  /** Its subscriptions end, because it does; it has them still. */
  subscriptionsEnd(attendance: Attendance): void;
  /** It has ended for good. */
  ended(attendance: Attendance): void;
}

/** Sessions and bus, wherever they are. */
export interface SessionEngine {
  /** Logins of several messages whose method nobody here knows are for servers to check (MQTT 5 §4.12). */
  readonly passesLogins?: boolean;
  /** `single`: for one request or a few; there is no session behind it. */
  enter(client: EngineClient, single: boolean): EngineSession;
  /** A session by this client's name belongs to somebody else: it may not act under that name. */
  refuses(client: EngineClient): boolean;
  /** What clients that share this identity have in common. */
  aggregate(gateway: string, clientId: ClientId): Aggregate;
  /** Those whose clients are away. */
  absent(): Iterable<Attendance>;
  /** Subscribes a client, here or away, to what it has not asked for itself. */
  grant(attendance: Attendance, filter: string, options: SubscribeOptions): void;
  /** Ends a subscription to which its client has no right any more, with what waits because of it. */
  revoke(attendance: Attendance, filter: string): void;
  /** The address of its client has been proven. */
  proven?(attendance: Attendance): void;
  /** There is no memory for what waits in it, nor for itself where that is more. */
  relieve?(attendance: Attendance): void;
  /** Takes one message out of what waits in it (`waitingId`); absent where the queue is elsewhere. */
  deleteWaiting?(attendance: Attendance, id: string): Deletion;
  /** Ends a session to which nobody can come back. */
  discard(attendance: Attendance): void;
  watcher: AttendanceWatcher | undefined;
  /** Asked before a will is published. */
  mayPublishWill: ((attendance: Attendance, will: Will) => boolean) | undefined;
  /** What a gateway remembers of its sessions. */
  memos(gateway: string): Iterable<Recalled>;
  /** See `GatewayHost.recall`. */
  recall?(gateway: string, alias: string, found: (one: Recalled | undefined) => void): boolean;
  /** See `GatewayHost.clearRetained`. */
  clearRetained(topic: string): void;
  /** See `GatewayHost.lastWord`. */
  lastWord(
    gateway: string,
    clientId: ClientId,
    word: Omit<Will, "delay"> | undefined,
    memo: (memo: unknown) => unknown,
    said: () => void,
  ): void;
}
