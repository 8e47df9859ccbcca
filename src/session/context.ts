import type { Gate } from "../bus/gate.ts";
import type { QoS } from "../bus/message.ts";
import type { ServerWords } from "../contract/answers.ts";
import type { StopReason } from "../contract/channel.ts";
import type { Delivery, Outcome } from "../contract/delivery.ts";
import type { Note } from "../contract/note.ts";
import { type Memory, WAITING_MAX } from "../lib/memory.ts";
import type { Clock } from "../lib/time.ts";
import type { BackPressure, PublisherChannel } from "./back-pressure.ts";
import type { SessionCounters } from "./counters.ts";
import type { SessionJournal } from "./journal.ts";
import type { QueueLimits } from "./queue.ts";
import type { SessionState } from "./session-state.ts";
import type { Turns } from "./turns.ts";

/** The client of a session while it is connected: where the session hands its deliveries. */
export interface Occupant {
  deliver(delivery: Delivery): void;
  /** The transport takes no more for now (a slow reader): nothing may be handed over until `flush`. */
  readonly held: boolean;
  /** Deliveries that wait for what its channel does now: before they are sent, `held` cannot say anything. */
  readonly waiting?: number;
  /** Its channel; one that is not read from, because it has itself to wait for somebody, cannot settle anything. */
  readonly loop?: PublisherChannel;
  /**
   * Has to go; another connection takes the session where nothing else is said. Says goodbye and closes; has left the
   * session before this returns. `anew`: the other connection does not want what the session has.
   */
  evict(reason?: StopReason, words?: ServerWords, anew?: boolean): void;
  /** See `Client.said`. */
  readonly said?: ServerWords["properties"] | undefined;
}

/** Why the core has ended a client. `discarded`: another connection of its name begins anew. */
export type Stopped = StopReason | "discarded";

/** No further ones are taken out of the queue: the channel flushes when those are sent. */
export const isCrowded = ({ waiting = 0 }: Occupant): boolean => waiting >= WAITING_MAX;

export interface SessionOptions {
  readonly queue: QueueLimits;
  /** Queue QoS 0 messages also while the client is away. */
  readonly queueQos0: boolean;
  /** Inbound QoS 2 packet ids that may wait for their release. */
  readonly inboundMax: number;
  /** Channel failures after which a delivery is given up. */
  readonly failuresMax: number;
}

/** Why a delivery has to wait in its session. */
export type Wait =
  | "away" // the client is not connected
  | "no-credit" // it takes nothing now: it sleeps, or has not said yet that it is ready
  | "transport" // the transport takes no more
  | "credit-used" // as many as it takes are out
  | "order"; // others wait before it

/** Why a delivery was dropped. */
export type Drop = "full" | "expired" | "away" | "no-local" | "deleted";

/**
 * What becomes of the order to delete one message that waits. `handed-out`: its client has it, and may settle it.
 * `received`: its client has taken it, and only its release is due.
 */
export type Deletion = "deleted" | "unknown" | "handed-out" | "received";

/** Why a session has ended: how its client left where it was not to outlive that, or what has ended it since. */
export type SessionEnd = "closed" | "parted" | "lost" | "silent" | "refused" | "unproven" | Stopped;

/** What a trace is told of the queues of sessions. */
export interface SessionWatch {
  waits(session: SessionState, delivery: Delivery, why: Wait): void;
  settled(session: SessionState, delivery: Delivery, outcome: Outcome): void;
  dropped(session: SessionState, delivery: Delivery, why: Drop): void;
}

/** What rules are told of sessions. Filters and topics are those of the bus, as messages bear them. */
export interface SessionFollower {
  /** `present`: it was there before. */
  opened(session: SessionState, present: boolean): void;
  ended(session: SessionState, why: SessionEnd): void;
  /** Whoever asked for it: the client, an operator, the configuration, a database. */
  subscribed(session: SessionState, filter: string, qos: QoS): void;
  unsubscribed(session: SessionState, filter: string): void;
  /** Handed to the client; again where it had not settled it. */
  handed(session: SessionState, delivery: Delivery): void;
  settled(session: SessionState, delivery: Delivery, outcome: Outcome): void;
  dropped(session: SessionState, delivery: Delivery, why: Drop): void;
}

/** What sessions need of their surroundings, one object for all. */
export interface SessionContext {
  readonly options: SessionOptions;
  readonly clock: Clock;
  readonly counters: SessionCounters;
  /** Takes what an ended session leaves of its shared subscriptions. */
  readonly gate: Pick<Gate, "redeliver">;
  readonly journal: SessionJournal | undefined;
  /** The account of what is held. */
  readonly memory?: Memory;
  /** Makes publishers wait for who reads. */
  readonly pressure?: Pick<BackPressure, "begin" | "end"> | undefined;
  /** Sessions with retained messages to hand out take turns; absent, each does it at once. */
  readonly turns?: Turns | undefined;
  /** While a trace runs. */
  watch?: SessionWatch | undefined;
  /** While a rule is for what happens to sessions, subscriptions or deliveries. */
  follower?: SessionFollower | undefined;
  /** What a session has in place of this, where it is not a client's and has limits of its own. */
  ownOf?: ((gateway: string, clientId: string) => SessionContext | undefined) | undefined;
  /** A session's queue was full, and so many messages were dropped since this was last said of it. */
  overflowed?(gateway: string, clientId: string, dropped: number): void;
  /** A session had to end because too many are of clients that were perhaps never there. */
  tooManyUnproven?(gateway: string): void;
}

export const contextFor = (context: SessionContext, gateway: string, clientId: string): SessionContext =>
  context.ownOf?.(gateway, clientId) ?? context;

/**
 * Client ids are namespaces of their gateway: a CoAP and an MQTT client of one name are two sessions. By `join`,
 * because a template that is kept goes on holding what it was put together from.
 */
export const sessionKey = (gateway: string, clientId: string): string => [gateway, clientId].join(":");

/** What is said of a session whose queue overflows, once a minute. */
export const overflow = (dropped: number): Note => ({
  level: "warn",
  event: "queue-full",
  detail: {
    dropped,
    fix: "the client reads too slowly or is away: raise session.queue.messages and session.queue.bytes, or publish less",
  },
});

/** What is said of a flood of them, once. */
export const UNPROVEN_ENDED: Note = {
  level: "warn",
  event: "unproven-sessions-ended",
  detail: {
    fix: "somebody connects from forged addresses, or many devices on UDP have sessions and never prove theirs: then raise session.unproven",
  },
};
