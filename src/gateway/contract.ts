/**
 * The seam between the core and a gateway: types only.
 *
 * A channel is one device's protocol state. The core calls its inputs (`receive`, `deliver`, `answered`, ...)
 * one at a time, each with the time; the channel acts through its `ChannelHost` and its `Client` handles and
 * never through anything else: no socket, no clock, no promise, no other gateway. Effects happen when they are
 * called. An ask (`connect`, `publish`, `subscribe`) returns its answer at once when the core has it, which is
 * the rule, or `"pending"`, and then the answer comes later as an input under the ticket of the ask.
 *
 * The core never enters a channel that is running: what its own effects cause (a delivery of its own publish,
 * retained messages of its subscribe) arrives as the next input.
 */
import type { TSchema } from "@sinclair/typebox";
import type { Message, MessageOptions, QoS } from "../bus/message.ts";
import type { Alarms } from "../lib/alarm.ts";
import type { Duration, Instant } from "../lib/time.ts";
import type { Delivery, DeliveryId, Outcome } from "../session/delivery.ts";

export type { Message, MessageOptions, MessageProperties, QoS } from "../bus/message.ts";
export type { Delivery, DeliveryId, Outcome } from "../session/delivery.ts";

/** MQTT client identifier: the identity behind one session. */
export type ClientId = string;

/** A number by which a channel recognises the answer to one of its asks; the channel chooses it. */
export type Ticket = number;

/** What we refuse; each gateway maps it to its protocol's own code in one exhaustive switch. */
export type Refusal =
  | "unauthenticated" // wrong or missing credentials
  | "forbidden" // the ACL, or a listener rule, says no
  | "banned" // on the ban list, or flapping
  | "malformed" // a topic, filter or client id that no client may use
  | "congested" // a rate or a queue limit; trying again later may help
  | "quota" // a limit of this client (subscriptions, topic levels, ...); trying again will not help
  | "too-large" // over the packet or payload size limit
  | "unavailable"; // the bus or the store cannot accept anything now

export type Pending = "pending";

/** `no-subscribers`: accepted, and at this moment nobody was subscribed. */
export type PublishAnswer = "accepted" | "no-subscribers" | Refusal;
/** The granted QoS, or why not. */
export type SubscribeAnswer = QoS | Refusal;

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: QoS;
  readonly retain: boolean;
  /** How long after the loss of the connection the will waits; the session's end cuts it short. */
  readonly delay: Duration;
  readonly options: Omit<MessageOptions, "qos" | "retain">;
}

export interface ConnectRequest {
  /** Empty: the core assigns one (see `Client.id`). */
  readonly clientId: ClientId;
  readonly username?: string | undefined;
  readonly password?: Uint8Array | undefined;
  /** LwM2M endpoint name, for `%e` in topic maps. */
  readonly endpointName?: string | undefined;
  /** Throw away an earlier session of this client id. */
  readonly cleanStart: boolean;
  /** How long the session outlives the connection: 0 not at all, `FOREVER` without end. */
  readonly sessionExpiry: Duration;
  readonly will?: Will | undefined;
  /** First credit: how many unsettled QoS 1 and 2 deliveries the client takes; 0 holds everything back. */
  readonly credit: number;
  /**
   * Answer when the store has committed what letting the client in changes, for protocols that tell a client at once
   * that it has a session. Without it that is left to what the client asks for next. Not waited for while commits fail.
   */
  readonly kept?: boolean;
  /** For status and logs: `MQTT 5.0`, `MQTT-SN 1.2`, `STOMP 1.2`. */
  readonly protocol: string;
  /** For status only; supervising it is the channel's business. */
  readonly keepAlive?: Duration | undefined;
  /**
   * An identity for single requests: authenticated and authorised like any other, but with no session behind
   * it, no takeover and no connect event. It can publish and read, not subscribe.
   */
  readonly transient?: boolean;
  /**
   * Attach only to a session that exists and has no connection: never create one, never take one over; otherwise
   * the refusal is `unavailable`. For a sleeper that proves its client id and nothing more.
   */
  readonly resume?: boolean;
  /**
   * The identity that this client shares on the bus with others (an aggregating gateway): the upstream engine
   * opens one session for all of them. Session, queue, ACL and mountpoint stay the device's own.
   */
  readonly aggregate?: ClientId | undefined;
  /**
   * The gateway in whose name the client connects (its sessions, mountpoint and rules) when two gateways share a
   * listener; the listener's own when absent.
   */
  readonly gateway?: string | undefined;
  /**
   * A further session for a client of this channel that is connected: `clientId` names the session, and all else
   * (credentials, name, rules, mountpoint) is that client's. Not authenticated again, no connect event, and no
   * automatic subscriptions. For STOMP subscriptions, each of which has its own window and queue.
   */
  readonly of?: Client | undefined;
}

export type ConnectAnswer =
  | { readonly ok: true; readonly client: Client; readonly sessionPresent: boolean }
  | { readonly ok: false; readonly refusal: Refusal; readonly reason?: string };

export interface SubscribeOptions {
  readonly qos: QoS;
  readonly noLocal?: boolean;
  readonly retainAsPublished?: boolean;
  /** 0 send retained messages, 1 only if the subscription is new, 2 never (MQTT 5 §3.8.3.1). */
  readonly retainHandling?: 0 | 1 | 2;
  /** Returned with each delivery that this subscription matched; 1 to 268,435,455. */
  readonly identifier?: number;
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
  /** How long the session outlives the connection as granted, which may be less than was asked for. */
  readonly sessionExpiry?: Duration | undefined;

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
  /** The same checks as `publish`, with no effect: lets a transaction refuse before it begins. */
  mayPublish(topic: string, qos: QoS, retain: boolean): "accepted" | Refusal;
  /** `$share/<group>/<filter>` and `$queue/<filter>` share. Retained messages come as deliveries afterwards. */
  subscribe(filter: string, options: SubscribeOptions, ticket: Ticket): SubscribeAnswer | Pending;
  /** False when there was no such subscription. */
  unsubscribe(filter: string): boolean;
  /** Filters of this session and their options, for status and for re-announcing after a resume. */
  subscriptions(): ReadonlyMap<string, SubscribeOptions>;
  /** Retained messages that match a filter, at most `limit`, authorised like a subscribe. Topics unmounted. */
  retained(filter: string, limit: number): readonly Message[] | Refusal;

  /** At most this many unsettled QoS 1/2 deliveries; at 0 nothing is delivered at all. Raising it flushes. */
  credit(window: number): void;
  settle(id: DeliveryId, outcome: Outcome): void;
  /**
   * QoS 2: the client has the message (PUBREC); what is still due is PUBREL until `settle`. `accepted`: send it now.
   * `pending`: it comes as a delivery of stage `release` once the store has committed that; nothing is sent before.
   */
  received(id: DeliveryId): "accepted" | Pending;
  /** Deliveries waiting in the session's queue, not counting those unsettled. */
  readonly queued: number;
  /** Deliveries handed out and not settled. */
  readonly unsettled: number;

  /**
   * Inbound QoS 2: remembers a packet id until `releaseInbound`; kept with the session. `repeated` is the DUP flag
   * (true when absent): after a restart it tells a repetition from a new message under a reused id.
   */
  acceptInbound(packetId: number, repeated?: boolean): Receipt;
  /** False when the id was not known. */
  releaseInbound(packetId: number): boolean;

  /** Replaces or removes the will while connected (MQTT-SN 1.2 §6.4). */
  setWill(will: Will | undefined): void;
  /** Changes how long the session outlives the connection (MQTT 5 DISCONNECT). */
  setSessionExpiry(expiry: Duration): void;
  /**
   * Small state of the gateway that must live as long as the session: topic ids, sleep state, registration.
   * JSON-serialisable, replaced as a whole; kept by the store where sessions are. An object with `toJSON` is asked for
   * it whenever it is written or read, and a last time when the connection ends; `remember` says that it has changed.
   */
  readonly memo: unknown;
  remember(memo: unknown): void;

  /** Ends the connection. `lost` publishes the will, `closed` does not. The session lives on by its expiry. */
  end(how: "closed" | "lost"): void;
}

/** How a device reaches us. */
export type Transport = "tcp" | "tls" | "ws" | "wss" | "udp" | "dtls";
export const isStream = (transport: Transport): boolean => transport !== "udp" && transport !== "dtls";

export interface Peer {
  readonly transport: Transport;
  /** IP address without zone, IPv4-mapped IPv6 shown as IPv4. Behind PROXY protocol: the real client's. */
  readonly address: string;
  readonly port: number;
  /** Set when several devices share one address: the wireless node id behind a forwarder, in hexadecimal. */
  readonly node?: string | undefined;
  /** What the transport has proven: certificate CN or DN, PSK identity. */
  readonly identity?: string | undefined;
  /** WebSocket: the request path and the subprotocol that was agreed. */
  readonly path?: string | undefined;
  readonly subprotocol?: string | undefined;
}

/** Why the core ends a channel; the channel says goodbye in its protocol and the core closes. */
export type StopReason =
  | "shutdown" // the gateway stops
  | "taken-over" // the same client id connected elsewhere
  | "kicked" // an operator, a ban, an expired login
  | "rate" // over a limit again and again
  | "overload"; // the peer does not read what we send

/** Something worth counting and perhaps logging. Never with a secret in it. */
export interface Note {
  readonly level: "debug" | "info" | "warn";
  /** Kebab-case and few: a label of the metric `isthmus_notes_total`. */
  readonly event: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** Limits of the listener that only a gateway can keep, because only it knows where a packet begins and ends. */
export interface PacketLimits {
  /** Largest packet a client may send, in bytes. A longer datagram never comes this far. */
  readonly packetSize: number;
  /** Streams: time from the connection to its first complete login (CONNECT, CSM). */
  readonly connectTimeout: Duration;
}

/** What the core does for one channel. */
export interface ChannelHost {
  readonly peer: Peer;
  /** As configured at this moment; read when the channel is made, so that a connection keeps what it was told. */
  readonly limits: PacketLimits;
  /**
   * Sends bytes: a datagram each on UDP, a part of the stream else (one message on a WebSocket of a message
   * protocol). They may be used again by the caller once this returns, except those of `sendView`.
   */
  send(bytes: Uint8Array): void;
  /** As `send`, for bytes that are never changed again: large ones are passed on without a copy. */
  sendView(bytes: Uint8Array): void;
  connect(request: ConnectRequest, ticket: Ticket): ConnectAnswer | Pending;
  /**
   * Datagrams: what later proves that a sender is this device (a client id, a token, a location), so that it
   * is found from a new address. The last channel to claim a name has it.
   */
  claim(name: string): void;
  unclaim(name: string): void;
  /** Datagrams: how far a device that proves who it is may have moved; undefined for streams. */
  readonly roaming?: "anywhere" | "same-host" | "never" | undefined;
  /** Streams: stop and go on reading, while an ask is pending whose answer decides how to read on. */
  pauseReading(): void;
  resumeReading(): void;
  /** Nothing is read at present, for this channel's reasons or the core's: the peer's silence is not its own. */
  readonly paused?: boolean;
  note(note: Note): void;
  random(length: number): Uint8Array;
  /** Flushes what was sent, then closes (streams) or forgets the peer (datagrams). Clients not ended are `lost`. */
  close(reason: string): void;
}

export interface ChannelStatus {
  readonly state: string;
  readonly clientIds: readonly ClientId[];
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** One device's protocol state. Inputs are never nested. */
export interface Channel {
  /** A datagram, or the next bytes of a stream wherever they happen to be cut. Views: copy what is kept. */
  receive(bytes: Uint8Array, now: Instant): void;
  /** A message for one of this channel's clients. At QoS 1 and 2 it is settled later through the client. */
  deliver(client: Client, delivery: Delivery, now: Instant): void;
  /** The answer to a `publish` or `subscribe` that was pending. */
  answered(ticket: Ticket, answer: PublishAnswer | SubscribeAnswer, now: Instant): void;
  /** The answer to a `connect` that was pending. */
  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void;
  /** `deadline()` has come. May be called late, and once too often. */
  wake(now: Instant): void;
  /** Say goodbye; the core closes right afterwards. With `client`, only that client was taken over or kicked. */
  stop(reason: StopReason, now: Instant, client?: Client): void;
  /** The transport is gone (reset, end of stream, forgotten). Nothing can be sent any more. */
  closed(now: Instant): void;
  /** When `wake` is wanted; read after every input; `NEVER` for not at all. Cheap: a field. */
  deadline(): Instant;
  status(): ChannelStatus;
}

export interface Datagram {
  readonly bytes: Uint8Array;
  readonly address: string;
  readonly port: number;
}

/** Where a datagram belongs. */
export type Route =
  /** The sender's own channel, opened if there is none. `claim`: the device that the datagram says it is. */
  | { readonly to: "channel"; readonly claim?: string | undefined; readonly node?: string | undefined }
  /** No channel: an answer straight back, for senders of whom nothing shall be remembered. */
  | {
      readonly to: "sender";
      readonly bytes: Uint8Array /** And to the beacon's addresses. */;
      readonly broadcast?: boolean;
    }
  | { readonly to: "nobody"; readonly why: string };

/** One listener's shared part. */
export interface Endpoint {
  /** Datagram listeners only. `known`: the sender's address has a channel. Cheap and without side effects. */
  route?(datagram: Datagram, known: boolean, now: Instant): Route;
  open(peer: Peer, host: ChannelHost, now: Instant): Channel;
  /** Datagram listeners: something to send on a beat (MQTT-SN ADVERTISE). `undefined`: skip this beat. */
  readonly beacon?: { readonly period: Duration; bytes(): Uint8Array | undefined } | undefined;
}

/** A number that the observer reads when it is asked; the hot path only adds to it. */
export interface Counter {
  value: number;
}

/** What the core does for a gateway as a whole. */
export interface GatewayHost {
  /** Exposed as `isthmus_<gateway>_<name>_total`, with the label `kind` when given. */
  counter(name: string, help: string, kind?: string): Counter;
  random(length: number): Uint8Array;
  note(note: Note): void;
  /** The bus accepts messages; MQTT-SN advertises only then. */
  healthy(): boolean;
  /** Reads a file that the configuration names (predefined topics, bootstrap profiles). Start-up only. */
  readFile(path: string): Uint8Array;
  /** Names of the files in a folder that the configuration names, sorted. Start-up only. */
  listFiles(folder: string): readonly string[];
  /** What gateways that were opened before this one offer under a name (`Gateway.offers`): LwM2M's CoAP sites. */
  offered(name: string): readonly unknown[];
  /** Sessions of this gateway that exist when it opens, read back from a store, and what it remembered of each. */
  remembered(): Iterable<{ readonly clientId: ClientId; readonly memo: unknown }>;
  /** For what belongs to no channel. */
  readonly alarms: Alarms;
  /**
   * The last word about a remembered client that stays away: published in its name as a will is, without anybody
   * authorising it anew, and what is remembered of it becomes what `memo` makes of that. False, and nothing done, when
   * it is connected or its session has ended.
   */
  lastWord(
    clientId: ClientId,
    word: Omit<Will, "delay"> | undefined,
    memo: (memo: unknown) => unknown,
  ): boolean;
}

export interface ListenerInfo {
  /** The listener's name in the configuration. */
  readonly name: string;
  readonly transport: Transport;
}

/** How a listener of this gateway speaks over WebSocket. */
export interface WebSocketProfile {
  /** Accepted subprotocols, best first. */
  readonly subprotocols: readonly string[];
  /** Refuse a handshake that offers none of them. */
  readonly subprotocolRequired: boolean;
  /** `mirror`: text or binary as the client's last message, text before the first. */
  readonly frames: "binary" | "mirror";
}

/** A running gateway. */
export interface Gateway {
  endpoint(listener: ListenerInfo): Endpoint;
  /** Parts that another gateway may serve on its own listeners, by name; that gateway knows their type. */
  readonly offers?: Readonly<Record<string, readonly unknown[]>>;
  /** Applies what may change at run time; undefined when nothing may. */
  reload?(): void;
  stop?(): void;
}

/** What a gateway folder exports from its `index.ts`. */
export interface GatewayModule<Config> {
  /** Folder and configuration key: `mqtt`, `mqtt-sn`, `coap`, `lwm2m`, `stomp`. */
  readonly name: string;
  /** TypeBox schema of this gateway's own options (listeners, mountpoint and limits are the core's). */
  readonly schema: TSchema;
  readonly websocket?: WebSocketProfile;
  open(config: Config, host: GatewayHost): Gateway;
}
