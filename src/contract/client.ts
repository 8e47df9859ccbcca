import type { Message, MessageOptions, QoS } from "../bus/message.ts";
import type { Duration, Instant } from "../lib/time.ts";
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
} from "./answers.ts";
import type { DeliveryId, Outcome } from "./delivery.ts";

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  /** How long after the loss of the connection the will waits; the session's end cuts it short. */
  readonly delay: Duration;
  readonly options: Omit<MessageOptions, "qos" | "retain">;
  /** That it may be published was found out elsewhere, when the client set it: it cannot wait for that when it is lost. */
  readonly found?: boolean | undefined;
  /** The topic that the client asked for, where a rewrite rule made another of it: rules speak of that one. */
  readonly asked?: string | undefined;
  /** What pipelines want done with it when it is published; not kept over a restart. */
  readonly errand?: Message["errand"];
}

/**
 * A login of several messages: whoever checks it asks the client for more (MQTT 5 §4.12). Callbacks, each at most once for
 * each call.
 */
export interface Exchange {
  readonly method: string;
  /** What the client began with. */
  readonly data: Uint8Array;
  /** Asks the client for more; `answer` gets it, or undefined where the client gives up. */
  challenge(data: Uint8Array, answer: (data: Uint8Array | undefined) => void): void;
  /** Goes to the client with the news that it succeeded. */
  success(data: Uint8Array): void;
}

/** Who somebody says it is. */
export interface Credentials {
  /** Empty: the core assigns one (see `Client.id`). */
  readonly clientId: ClientId;
  readonly username?: string | undefined;
  readonly password?: Uint8Array | undefined;
  /** Instead of a password. */
  readonly exchange?: Exchange | undefined;
  /** LwM2M endpoint name, for `%e` in topic maps. */
  readonly endpointName?: string | undefined;
  /** In which protocol it is said: `MQTT 5.0`, `MQTT-SN 1.2`, `STOMP 1.2`. */
  readonly protocol?: string | undefined;
}

/** What those have in common who log in. */
interface Login extends Credentials {
  readonly protocol: string;
  /**
   * The gateway in whose name the client connects (its sessions, mountpoint and rules) when two gateways share a
   * listener; the listener's own when absent.
   */
  readonly gateway?: string | undefined;
  /**
   * The identity that this client shares on the bus with others (an aggregating gateway): an engine before another
   * broker opens one session for all of them. Session, queue, ACL and mountpoint stay the device's own.
   */
  readonly aggregate?: ClientId | undefined;
  /**
   * Whether who was proven (a user name, or a client id alone) may come under the names of this request; asked before
   * anything of theirs is touched, and not where nobody has to prove anything. `forbidden` where not.
   */
  mayEnter?(proven: string): boolean;
}

/** A client with a session of its own, which it takes over where it is in use. */
export interface SessionRequest extends Login {
  readonly kind: "session";
  /** Throw away an earlier session of this client id. */
  readonly cleanStart: boolean;
  /** How long the session outlives the connection: 0 not at all, `FOREVER` without end. */
  readonly sessionExpiry: Duration;
  readonly will?: Will | undefined;
  /** First credit: how many unsettled QoS 1 and 2 deliveries the client takes; 0 holds everything back. */
  readonly credit: number;
  /** How many it takes at most, where it begins with less: what a server need not send before. */
  readonly window?: number;
  /**
   * Answer when the store has committed what letting the client in changes, for protocols that tell a client at once
   * that it has a session. Without it that is left to what the client asks for next. Not waited for while commits fail.
   */
  readonly committed?: boolean;
  /** For status only; supervising it is the channel's business. */
  readonly keepAlive?: Duration | undefined;
  /** What another gateway before the same cluster remembers of it is looked for before it is let in. */
  readonly recalls?: boolean;
  /** The client does QoS 2's handshake itself, and may wait for a release that another gateway has begun. */
  readonly releases?: boolean;
  /** How long deliveries may have waited elsewhere is found out (`Delivery.since`). */
  readonly dated?: boolean;
  /** What an MQTT client tells its server in CONNECT and no gateway needs to know; see `ServerWords`. */
  readonly properties?: ServerWords["properties"] | undefined;
}

/**
 * A client that comes back to a session that exists and has no connection: none is created, none taken over, and else
 * the refusal is `unavailable`. For a sleeper that proves its client id and nothing more.
 */
export interface ResumeRequest extends Login {
  readonly kind: "resume";
  readonly sessionExpiry: Duration;
  readonly credit: number;
  /** See `SessionRequest.window`. */
  readonly window?: number;
  /** See `SessionRequest.releases`. */
  readonly releases?: boolean;
  /** See `SessionRequest.dated`. */
  readonly dated?: boolean;
  /** And whose client is still expected (`Client.expectUntil`), and was left with such a memo. */
  readonly expected?: (memo: unknown) => boolean;
}

/**
 * An identity for single requests: authenticated and authorised like any other, but with no session behind it, no
 * takeover and no connect event. It can publish and read, not subscribe.
 */
export interface SingleRequest extends Login {
  readonly kind: "single";
}

/**
 * A further session for a client of this channel that is connected: `clientId` names the session, and all else
 * (credentials, name, rules, mountpoint) is that client's. Not authenticated again, no connect event, and no automatic
 * subscriptions. For STOMP subscriptions, each of which has its own window and queue.
 */
export interface FurtherRequest {
  readonly kind: "further";
  readonly of: Client;
  readonly clientId: ClientId;
  readonly cleanStart: boolean;
  readonly sessionExpiry: Duration;
  readonly credit: number;
  /** See `SessionRequest.window`. */
  readonly window?: number;
}

/** How somebody logs in. */
export type LoginRequest = SessionRequest | ResumeRequest | SingleRequest;
export type ConnectRequest = LoginRequest | FurtherRequest;

export type ConnectAnswer =
  | {
      readonly ok: true;
      readonly client: Client;
      readonly sessionPresent: boolean;
      readonly words?: ServerWords | undefined;
    }
  | {
      readonly ok: false;
      readonly refusal: Refusal;
      readonly reason?: string;
      readonly words?: ServerWords | undefined;
    };

export interface SubscribeOptions {
  readonly qos: QoS;
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  /** 0 send retained messages, 1 only if the subscription is new, 2 never (MQTT 5 §3.8.3.1). */
  readonly retainHandling?: 0 | 1 | 2;
  /** Returned with each delivery that this subscription matched; 1 to 268,435,455. */
  readonly identifier?: number;
  /** The filter that the client asked for, where a rewrite rule made another of it: rules speak of that one. */
  readonly asked?: string;
}

/** What became of an inbound QoS 2 packet id (method B, MQTT 5 §4.3.3). */
export type Receipt = "new" | "duplicate" | "full";

/**
 * One MQTT client behind the core's one door: authorisation, mountpoint, topic maps, rate limits, bus and
 * session. Topics and filters are as the device names them. A channel has one, or several (a CoAP peer whose
 * requests carry different credentials). Methods on a client that has ended do nothing and answer
 * `unavailable`.
 */
export interface Client {
  readonly id: ClientId;
  readonly username: string | undefined;
  /** What stands before this client's topics on the bus: names under one mountpoint say nothing under another. */
  readonly mountpoint: string;
  /** How long the session outlives the connection as granted, which may be less than was asked for. */
  readonly sessionExpiry?: Duration | undefined;

  /** Proves itself once more, as the one it is, while all else goes on (MQTT 5 §4.12.1). */
  authenticateAgain(exchange: Exchange, done: (ok: boolean) => void): void;

  /** How much the store has been told so far: a place for `kept` to count from. */
  readonly told: number;
  /**
   * For acknowledgements of what is neither publish nor subscribe (an id released, a subscription ended, a memo, a
   * settlement): all that the store was told since that place is committed. `accepted` at once where that is nothing;
   * else the answer comes under the ticket, `accepted` or `unavailable`. Since 0: all that still waits.
   */
  kept(ticket: Ticket, since: number): "accepted" | Pending;

  /** Publishes; at QoS 1 and 2 an answer means: accepted, and committed where something must keep it. */
  publish(message: Message, ticket: Ticket): PublishAnswer | Pending;
  /**
   * The same checks as `publish`, with no effect: lets a transaction refuse before it begins. What has to be found out
   * elsewhere is accepted, because `publish` will find it out.
   */
  mayPublish(topic: string, qos: QoS, retain: boolean): "accepted" | Refusal;
  /** For what takes the right to publish a retained message and is none: `unavailable` while it is being found out. */
  mayChange(topic: string): "accepted" | Refusal;
  /** Whether a message is this client's own (No Local). */
  published(message: Message): boolean;
  /** `$share/<group>/<filter>` and `$queue/<filter>` share. Retained messages come as deliveries afterwards. */
  subscribe(filter: string, options: SubscribeOptions, ticket: Ticket): SubscribeAnswer | Pending;
  unsubscribe(filter: string, ticket: Ticket): UnsubscribeAnswer | Pending;
  /** Filters of this session and their options, for status and for re-announcing after a resume. */
  subscriptions(): ReadonlyMap<string, SubscribeOptions>;
  /** Retained messages that match a filter, at most `limit`, authorised like a subscribe. Topics unmounted. */
  retained(filter: string, limit: number, ticket: Ticket): RetainedAnswer | Pending;
  /** The same checks as `retained`, and nothing is looked up. */
  mayRead(filter: string): "accepted" | Refusal;

  /** At most this many unsettled QoS 1/2 deliveries; at 0 nothing is delivered at all. Raising it flushes. */
  credit(window: number): void;
  /** False: no delivery of this id is unsettled. */
  settle(id: DeliveryId, outcome: Outcome): boolean;
  /**
   * QoS 2: the client has the message (PUBREC); what is still due is PUBREL until `settle`. `accepted`: send it now.
   * `pending`: it comes as a delivery of stage `release` once the store has committed that; nothing is sent before.
   */
  received(id: DeliveryId): "accepted" | Pending;
  /** The QoS of a delivery that was handed out and is not settled; undefined when there is none under this id. */
  unsettledQos(id: DeliveryId): QoS | undefined;
  /** Deliveries waiting in the session's queue, not counting those unsettled. */
  readonly queued: number;
  /** Deliveries handed out and not settled. */
  readonly unsettled: number;
  /** So many deliveries may wait where they cannot be counted; 0 where `queued` is all. */
  readonly uncounted: number;
  /**
   * All that waited for the client when this was asked has been handed to it, wherever it was. Asked when `queued` is 0;
   * more may come before a pending answer does, which then waits for that too.
   */
  handedOut(ticket: Ticket): "accepted" | Pending;
  /**
   * The device sleeps, until then at the latest, and takes nothing: whoever keeps its queue may end a connection that
   * is there for it meanwhile, and looks then whether it has gone to another gateway. Undefined: it is awake.
   */
  rest(until: Instant | undefined): void;

  /**
   * Inbound QoS 2: remembers a packet id until `releaseInbound`; kept with the session. The next `publish` is the message
   * that came under it. `repeated`: the client says that it sends it again (DUP).
   */
  acceptInbound(packetId: number, message: Message, repeated?: boolean): Receipt;
  /** How many more ids the session takes before `acceptInbound` is `full`; a client must not be promised more. */
  readonly inboundLeft: number;
  /** False when the id was not known. */
  releaseInbound(packetId: number): boolean;

  /** Replaces or removes the will while connected (MQTT-SN 1.2 §6.4). */
  setWill(will: Will | undefined, ticket: Ticket): WillAnswer | Pending;
  /** Changes how long the session outlives the connection (MQTT 5 DISCONNECT). */
  setSessionExpiry(expiry: Duration): void;
  /**
   * Datagrams: no connection breaks when this process ends, so the client counts as connected until then, over every
   * restart; will and expiry count from there on. Undefined: only as long as its channel. Kept with the session, which
   * is durable meanwhile.
   */
  expectUntil(until: Instant | undefined): void;
  readonly expectedUntil: Instant | undefined;
  /**
   * For operators, who see the client as overdue from then on: until when it has promised to be heard, where no keep-alive
   * and no `expectUntil` says so. Nothing follows from it.
   */
  promised: Instant | undefined;
  /**
   * Small state of the gateway that must live as long as the session: topic ids, sleep state, registration.
   * JSON-serialisable, replaced as a whole; kept by the store where sessions are. An object with `toJSON` is asked for
   * it whenever it is written or read, and a last time when the connection ends; `remember` says that it has changed.
   * `weight`: the bytes that it holds, where they can be many. `alias`: another name for this client, under which
   * `GatewayHost.recall` finds it where another gateway has it.
   */
  readonly memo: unknown;
  remember(memo: unknown, weight?: number, alias?: string): void;

  /**
   * What the packet says beside that is being acted on, by the names of MQTT 5's properties: rules are told of it with what
   * comes of the packet. Undefined: nothing.
   */
  said: ServerWords["properties"] | undefined;

  /**
   * Ends the connection. `closed` takes the will back; it is published where the client has said goodbye and wants that
   * (`parted`), is `lost`, or was `silent` for longer than it may. `expected`: the device knows nothing of it, and is lost
   * when `expectedUntil` has come. The session lives on by its expiry. `reason`: in words, for log and hooks.
   */
  end(how: "closed" | "parted" | "lost" | "silent" | "expected", reason?: string): void;
}
