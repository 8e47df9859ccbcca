/**
 * One MQTT-SN client as the gateway sees it (MQTT-SN 1.2 §6.14, Figure 4). The channel holds the state and sends
 * each message to its operation; the operations hold the rules.
 *
 *                 CONNECT                DISCONNECT(d)
 *   new ──► will-topic ──► will-message ──► connecting ──► active ──────────► asleep ◄──┐
 *    │                                                       ▲ │ CONNECT       │  ▲     │ PINGRESP
 *    │ anything else: DISCONNECT                             └─┼───────────────┘  │     │
 *    ▼                                  DISCONNECT, silence    ▼       PINGREQ(id)└─► awake
 *   ended ◄──────────────────────────────────────────────────────────────── (from all of these)
 */
import type { PublishAnswer, SubscribeAnswer, Ticket } from "#core/contract/answers.ts";
import type { Channel, ChannelHost, ChannelStatus, StopReason } from "#core/contract/channel.ts";
import type { Client, ConnectAnswer } from "#core/contract/client.ts";
import type { Delivery } from "#core/contract/delivery.ts";
import { text } from "#core/lib/bytes.ts";
import { after, type Duration, earliest, FOREVER, type Instant, NEVER } from "#core/lib/time.ts";
import { decode } from "./codec.ts";
import { isOfHandshake, receiveConnected, receiveInHandshake, receiveUnconnected } from "./dispatch.ts";
import { encodeBare, encodeEncapsulated } from "./encode.ts";
import { type Handshake, park, repeatHandshake, settleConnect } from "./operations/connect.ts";
import { unwrap } from "./operations/forward.ts";
import { keptAnswered } from "./operations/kept.ts";
import { type Anonymous, answerPublish } from "./operations/publish-in.ts";
import {
  askAgain,
  deliverNext,
  type Exchange,
  NO_EXCHANGES,
  repeatExchanges,
} from "./operations/publish-out.ts";
import { type Announcement, repeatRegister } from "./operations/register.ts";
import { checkSilence, stopFlush } from "./operations/sleep.ts";
import { answerSubscribe } from "./operations/subscribe.ts";
import { expectOn, leaveExpected } from "./operations/supervision.ts";
import type { StoredWill } from "./operations/will.ts";
import * as p from "./packets.ts";
import type { Setup } from "./setup.ts";
import { isKeptTicket, isSubscribeTicket } from "./tickets.ts";
import type { Topics } from "./topics.ts";

export type State =
  /** Nothing is known of the sender. */
  | "new"
  /** The will handshake waits for WILLTOPIC, then for WILLMSG (§6.2). */
  | "will-topic"
  | "will-message"
  /** The core has not yet answered a connect. */
  | "connecting"
  | "active"
  | "asleep"
  | "awake"
  | "ended";

/** Not what names another client: a device that has got this address since is no sign of life of the one before. */
const isFrom = (id: string | undefined, packet: p.Packet): boolean =>
  id === undefined ||
  (packet.type !== p.CONNECT && packet.type !== p.PINGREQ) ||
  packet.clientId.length === 0 ||
  text(packet.clientId) === id;

/** Fields are shared with `operations/`, and with nothing else. Most are absent in most channels. */
export class MqttSnChannel implements Channel {
  readonly setup: Setup;
  readonly host: ChannelHost;
  state: State = "new";
  client: Client | undefined = undefined;
  /** Set from CONNECT to CONNACK. */
  handshake: Handshake | undefined = undefined;
  /** A publish with QoS -1 that waits for its identity. */
  anonymous: Anonymous | undefined = undefined;
  topics: Topics | undefined = undefined;
  /** Predefined ids that this client has subscribed by id. */
  predefinedInUse: Set<number> | undefined = undefined;
  will: StoredWill | undefined = undefined;
  /** The session is thrown away with its connection. */
  cleanSession = false;
  /** Sleep or keep-alive time with its tolerance, and the last sign of life (§7.2). */
  patience: Duration = FOREVER;
  heardAt: Instant;
  /** When to look at `heardAt` again; moved only when it has come, not with every message. */
  silenceAt: Instant = NEVER;
  probed = false;
  /** The CONNECT that made this connection, as long as nothing but repeats of its handshake came after it. */
  accepted: p.Connect | undefined = undefined;
  /** Our REGISTER that waits for REGACK, and what waits behind it. */
  announcement: Announcement | undefined = undefined;
  waiting: Delivery[] | undefined = undefined;
  exchanges: Exchange[] = NO_EXCHANGES;
  retryAt: Instant = NEVER;
  /** How often in a row the client has said of a topic id that it does not know it. */
  rejections = 0;
  /** Deliveries that a running flush may still take. */
  flushLeft = 0;
  /** Asks whose answer is due. */
  asked = 0;
  /** QoS 2 ids among them: their repeats must not be answered yet. */
  asked2: number[] | undefined = undefined;
  ticket = 0;
  /** The last QoS 1 publish that was acknowledged, for `dropRepeatedQos1`. */
  lastQos1 = 0;
  /** No QoS 0 refusal before this (§6.6 lets us answer at any QoS). */
  quietUntil = 0 as Instant;
  malformed = 0;
  /** Wireless node id of the device, when it is behind a forwarder. */
  node: Uint8Array | undefined = undefined;

  constructor(setup: Setup, host: ChannelHost, now: Instant) {
    this.setup = setup;
    this.host = host;
    this.heardAt = now;
  }

  receive(bytes: Uint8Array, now: Instant): void {
    const message = unwrap(this, bytes);
    const packet = message === undefined ? undefined : decode(message);
    if (packet === undefined || !packet.ok) {
      this.#receiveMalformed();
      return;
    }
    const { value } = packet;
    if (isFrom(this.client?.id, value)) {
      this.heardAt = now;
      this.probed = false;
      expectOn(this, now);
    }
    if (!isOfHandshake(value.type)) this.accepted = undefined;
    if (this.handshake !== undefined) receiveInHandshake(this, value, now);
    else if (this.client !== undefined) receiveConnected(this, value, now);
    else receiveUnconnected(this, value, now);
    if (this.retryAt === NEVER && this.state === "active") askAgain(this, now);
  }

  deliver(client: Client, delivery: Delivery, now: Instant): void {
    if (client === this.client) deliverNext(this, delivery, now);
  }

  answered(ticket: Ticket, answer: PublishAnswer | SubscribeAnswer, now: Instant): void {
    this.asked--;
    if (this.client === undefined) return;
    if (isKeptTicket(ticket)) keptAnswered(this, ticket, answer, now);
    else if (isSubscribeTicket(ticket)) answerSubscribe(this, ticket, answer as SubscribeAnswer, now);
    else answerPublish(this, ticket, answer as PublishAnswer, now);
  }

  connected(ticket: Ticket, answer: ConnectAnswer, now: Instant): void {
    if (ticket === this.ticket && this.state === "connecting") settleConnect(this, answer, now);
    else if (answer.ok) answer.client.end("closed");
  }

  wake(now: Instant): void {
    if (this.retryAt <= now) {
      this.retryAt = NEVER;
      if (this.handshake !== undefined) repeatHandshake(this, now);
      if (this.announcement !== undefined) repeatRegister(this, now);
      if (this.exchanges.length > 0) repeatExchanges(this, now);
    }
    if (this.silenceAt <= now) checkSilence(this, now);
  }

  stop(reason: StopReason, now: Instant, client?: Client): void {
    if (client !== undefined && client !== this.client) return;
    // A device that moved is no lost device.
    if (reason === "taken-over") this.client?.end("closed");
    if (this.client !== undefined || this.handshake !== undefined) this.send(encodeBare(p.DISCONNECT));
    if (reason === "shutdown") leaveExpected(this, now);
    this.finish(reason);
  }

  /** Another device has this address now; ours may come back from elsewhere. */
  closed(now: Instant): void {
    park(this, now);
    this.#forget();
  }

  deadline(): Instant {
    return earliest(this.retryAt, this.silenceAt);
  }

  status(): ChannelStatus {
    const asleep = this.state === "asleep" || this.state === "awake";
    return {
      state: this.state,
      clientIds: this.client === undefined ? [] : [this.client.id],
      detail: {
        topicIds: this.topics?.names.length ?? 0,
        cleanSession: this.cleanSession,
        inFlight: this.exchanges.length,
        ...(this.client === undefined ? {} : { buffered: this.client.queued }),
        ...(asleep ? { lostAt: after(this.heardAt, this.patience) } : {}),
        ...(this.host.peer.node === undefined ? {} : { node: this.host.peer.node }),
      },
    };
  }

  // ---- for the operations

  /** Sends a message that nobody changes any more, wrapped for the forwarder where there is one (§5.5). */
  send(bytes: Uint8Array): void {
    this.host.sendView(this.node === undefined ? bytes : encodeEncapsulated(0, this.node, bytes));
  }

  /** Supervises the client from now on. */
  expect(patience: Duration, now: Instant): void {
    this.patience = patience;
    this.silenceAt = patience === FOREVER ? NEVER : after(now, patience);
  }

  /** Makes sure that `wake` is called one retry interval from now at the latest. */
  retryLater(now: Instant): Instant {
    const due = after(now, this.setup.config.retryInterval);
    this.retryAt = earliest(this.retryAt, due);
    return due;
  }

  /** The client did not answer our repeats: a sleeper may come back, another one is lost. */
  unanswered(now: Instant): void {
    if (this.state === "awake" || this.state === "asleep") stopFlush(this, now);
    else this.lose("no acknowledgement");
  }

  /** The client is lost: the will is published, the session lives on by its expiry (§6.14). */
  lose(why: string): void {
    this.setup.counters.lost.value++;
    this.client?.end("lost");
    this.dismiss(why);
  }

  /** Tells the sender that it has no connection here, and forgets it. */
  dismiss(why: string): void {
    this.send(encodeBare(p.DISCONNECT));
    this.finish(why);
  }

  /** Forgets the sender without a word. */
  finish(why: string): void {
    this.#forget();
    this.host.close(why);
  }

  drop(): void {
    this.setup.counters.dropped.value++;
  }

  #receiveMalformed(): void {
    this.setup.counters.malformed.value++;
    if (this.client === undefined && this.handshake === undefined) this.finish("malformed");
    else if (++this.malformed >= this.setup.config.malformedMax) this.lose("malformed messages");
  }

  #forget(): void {
    if (this.client !== undefined) this.host.unclaim(this.client.id);
    this.state = "ended";
    this.client = undefined;
    this.handshake = undefined;
    this.announcement = undefined;
    this.waiting = undefined;
    this.exchanges = NO_EXCHANGES;
    this.retryAt = NEVER;
    this.silenceAt = NEVER;
  }
}
