/** All that one session and its server say to each other, over all connections between them. */
import { sharedPrefix, topicMatches } from "../bus/topic.ts";
import type { SubscribeAnswer, Ticket, UnsubscribeAnswer } from "../contract/answers.ts";
import type { Exchange, SubscribeOptions, Will } from "../contract/client.ts";
import { type Duration, earliest, type Instant } from "../lib/time.ts";
import type { Arrived, Link } from "../mqtt/client/link.ts";
import {
  type Acknowledgement,
  type CodesPacket,
  type ConnackPacket,
  type ConnectPacket,
  PacketType,
  type ReasonPacket,
} from "../mqtt/packets.ts";
import type { Properties } from "../mqtt/properties.ts";
import { ReasonCode } from "../mqtt/reason-codes.ts";
import { expiryDuration, expiryInterval } from "../mqtt/session-expiry.ts";
import type { Attendance } from "../session/attendance.ts";
import type { Occupant } from "../session/context.ts";
import { connectOf, expectedFor, isServersWill, type Speaker, sameWills, type Told } from "./application.ts";
import { Arrivals, type ArrivalsHost } from "./arrivals.ts";
import { Asks, type SubscriptionAsker } from "./asks.ts";
import { Backlog, type BacklogHost } from "./backlog.ts";
import type { UpstreamContext } from "./context.ts";
import type { Listener } from "./deafness.ts";
import type { Entry } from "./entry.ts";
import { Exchanges, type ExchangesHost } from "./exchanges.ts";
import { HandOut, type HandOutHost } from "./hand-out.ts";
import { Overdue } from "./overdue.ts";
import { PacketIds } from "./packet-ids.ts";
import { Proof } from "./proof.ts";
import type { Server, SessionInfo } from "./server-choice.ts";
import { Uplink, type UplinkUser } from "./uplink.ts";

/** `$` */
const DOLLAR = 0x24;

type OwnWords = Pick<Speaker, "upstreamId" | "password" | "properties" | "proof">;

/** The session of which it is talked. */
export interface ConversationOwner extends Attendance, Omit<Listener, "subscriptions">, OwnWords {
  readonly client: Occupant | undefined;
  readonly releases: boolean;
  /** It is found out how long what arrives may have waited. */
  readonly dated: boolean;
  readonly failuresMax: number;
  /** What it speaks. */
  readonly protocol: string | undefined;
  /** The server has no session: whether we make again what the client takes for granted. */
  remakes(): boolean;
  /** Connected. `remade`: the server had no session, and has what there was again. */
  connected(connack: ConnackPacket, remade: boolean, now: Instant): void;
  /** The connection broke, and is being made again. */
  cut(now: Instant): void;
  /** The server refuses this client. */
  denied(connack: ReasonPacket): void;
  /** The server has ended the connection, and there will be no other. */
  dismissed(packet: ReasonPacket): void;
  /** All that waited for it at the server has come. */
  caughtUp(): void;
  /** All that was published has its last answer. */
  answered(): void;
}

export class Conversation implements UplinkUser, ArrivalsHost, ExchangesHost, HandOutHost, BacklogHost {
  readonly arrivals: Arrivals;
  readonly exchanges: Exchanges;
  readonly asks: Asks;
  readonly handOut: HandOut;
  /** How long what arrives may have waited. */
  readonly backlog: Backlog;
  readonly #overdue: Overdue;
  readonly #owner: ConversationOwner;
  readonly #context: UpstreamContext;
  readonly #ids = new PacketIds();
  #uplink: Uplink;
  /** The next CONNECT throws away what the server has. */
  #clean = false;
  /** What the last CONNECT has told the server. */
  #told: Told | undefined = undefined;
  /** A further login that is under way. */
  #proofAgain: Proof | undefined = undefined;

  constructor(context: UpstreamContext, owner: ConversationOwner) {
    this.#context = context;
    this.#owner = owner;
    this.arrivals = new Arrivals(context, this);
    this.exchanges = new Exchanges(context, this, this.#ids);
    this.asks = new Asks(context, owner, () => this.link, this.#ids);
    this.handOut = new HandOut(context, this);
    this.backlog = new Backlog(context, this);
    this.#overdue = new Overdue(context, (until) => this.#giveUp(until));
    this.#uplink = new Uplink(context, this);
  }

  get link(): Link | undefined {
    return this.#uplink.link;
  }

  get full(): boolean {
    return this.#uplink.full;
  }

  get occupant(): Occupant | undefined {
    return this.#owner.client;
  }

  get failuresMax(): number {
    return this.#owner.failuresMax;
  }

  get releases(): boolean {
    return this.#owner.releases;
  }

  get serverName(): string | undefined {
    return this.#uplink.serverName;
  }

  get subscribing(): boolean {
    return this.asks.open;
  }

  /** The device has settled something. */
  settled(now: Instant): void {
    this.handOut.look(now);
    this.backlog.look(now);
  }

  caughtUp(): void {
    this.#owner.caughtUp();
  }

  /** As early as what the server would hand out to another gateway now may have been published. */
  owesSince(now: Instant): Instant {
    return earliest(this.backlog.since ?? now, this.arrivals.oldest(now));
  }

  get waitsSince(): Instant | undefined {
    return this.backlog.since;
  }

  /** Nothing waits here, and nothing is with the device. */
  get idle(): boolean {
    return this.arrivals.queued === 0 && this.arrivals.unsettled === 0;
  }

  get #now(): Instant {
    return this.#context.clock.now();
  }

  // ---- from the session

  /** Goes on over the connection by which the device came in, whatever there was before. */
  take({ uplink, told, receiveMaximum, opening }: Entry, now: Instant): void {
    // What is left of an earlier connection is the server's to send again.
    this.backlog.begin(this.owesSince(now));
    this.#uplink.detach(now);
    this.arrivals.clear();
    this.arrivals.receiveMaximum = receiveMaximum;
    if (opening.cleanStart) this.backlog.forget();
    if (opening.cleanStart) this.exchanges.clear(true);
    this.#clean = false;
    this.#told = told;
    this.#proofAgain = undefined;
    this.#uplink = uplink;
    uplink.handTo(this);
  }

  /** Connects again after a rest. */
  resume(now: Instant): void {
    this.#uplink.start(now);
  }

  /** Somebody waits for an answer of the server. */
  asked(now: Instant): void {
    this.#overdue.watch(now);
  }

  refused(deviceId: number): void {
    this.#owner.dropInbound(deviceId);
  }

  subscribe(
    filter: string,
    options: SubscribeOptions,
    asker: SubscriptionAsker,
    ticket: Ticket,
    said?: Readonly<Properties>,
  ): SubscribeAnswer | "pending" {
    this.#overdue.watch(this.#now);
    return this.asks.subscribe(filter, options, asker, ticket, this.#now, said);
  }

  unsubscribe(
    filter: string,
    asker: SubscriptionAsker,
    ticket: Ticket,
    said?: Readonly<Properties>,
  ): UnsubscribeAnswer | "pending" {
    this.#overdue.watch(this.#now);
    return this.asks.unsubscribe(filter, asker, ticket, this.#now, said);
  }

  #giveUp(until: Instant): Instant {
    const { oldest, stuck } = this.exchanges.overdue(until);
    const asked = this.asks.overdue(until);
    if (stuck) this.occupant?.evict("unavailable");
    return earliest(oldest, asked);
  }

  /** Says goodbye to the server, which keeps the session for as long as it lives; `said`: in the client's own words. */
  bye(reason: ReasonCode, now: Instant, said?: Readonly<Properties>): void {
    this.#expectNothing();
    const { link } = this;
    if (link === undefined) this.#uplink.abandon(now);
    else this.#uplink.stop(reason, { ...said, ...this.#farewell(link, now) }, now);
  }

  /** Ends without a word: the server finds the client lost. */
  abandon(now: Instant): void {
    this.#expectNothing();
    this.#uplink.abandon(now);
  }

  /** Another connection is about to take the session. */
  detach(now: Instant): void {
    this.#expectNothing();
    this.#uplink.detach(now);
    this.arrivals.clear();
  }

  /** Whether a session of its own outlives the connection at the server. */
  get stays(): boolean {
    return this.#told?.clean !== true;
  }

  /** The server knows no expiry of sessions. */
  get forgetsNothing(): boolean {
    return this.#told?.version === 4;
  }

  /** The server has this will, and publishes it where the client is lost. */
  hasTold(will: Will): boolean {
    return isServersWill(will) && sameWills(will, this.#told?.will);
  }

  /** The server has this will, and nothing to hold it back by. */
  firesAtOnce(will: Will): boolean {
    return this.hasTold(will) && this.#told?.version === 4;
  }

  /** Only CONNECT can tell a server of a will: the connection is made anew. */
  tellWill(will: Will | undefined, now: Instant): void {
    const { link } = this;
    if (link === undefined || sameWills(will, this.#told?.will) || !this.stays) return;
    this.#uplink.renew(this.#farewell(link, now), now);
    this.#cut();
  }

  /** Nobody waits for anything of the server. */
  #expectNothing(): void {
    this.backlog.begin(this.owesSince(this.#now));
    this.#overdue.stop();
    this.#context.deafness.acquit(this.#owner);
  }

  /** What the connection knew is gone with it. */
  #cut(): void {
    this.backlog.begin(this.owesSince(this.#now));
    this.#context.deafness.acquit(this.#owner);
    this.arrivals.cut();
    this.handOut.cut();
  }

  /** The server's session is thrown away, and made anew. */
  remake(now: Instant): void {
    this.#clean = true;
    this.move(now);
  }

  /** Where it is connected. */
  get server(): Server | undefined {
    return this.#uplink.server;
  }

  /** Goes to whichever server is chosen now; the one where it is keeps the session for it. */
  move(now: Instant): void {
    const { link } = this;
    if (link === undefined) return;
    this.#uplink.renew(this.#farewell(link, now), now);
    this.#cut();
  }

  /** How long the session shall stay at the server, where that is not what it was told (MQTT 5 §3.14.2.2.2). */
  #farewell({ version }: Link, now: Instant): Properties {
    if (version !== 5) return {};
    const expiry = Math.max(this.#owner.expiry, expectedFor(this.#owner, now)) as Duration;
    return expiry === this.#told?.expiry ? {} : { sessionExpiryInterval: expiryInterval(expiry) };
  }

  // ---- CONNECT

  info(): SessionInfo {
    const { gateway, upstreamId, username, identity, protocol } = this.#owner;
    return {
      gateway,
      listener: identity?.listener,
      clientId: upstreamId,
      username,
      source: identity?.peer,
      protocol,
    };
  }

  application(version: 4 | 5, now: Instant): ConnectPacket {
    const manner = { clean: this.#clean, receiveMaximum: this.arrivals.receiveMaximum, version };
    const { packet, told } = connectOf(this.#owner, manner, this.#context.options, now);
    this.#told = told;
    return packet;
  }

  // ---- the connection comes and goes

  up(link: Link, connack: ConnackPacket, now: Instant): void {
    if (link.version === 4 && this.#owner.proof !== undefined) {
      // It has let in somebody of whom it has seen no proof.
      this.#refuseMethod(now);
      return;
    }
    const cleaned = this.#clean;
    this.#clean = false;
    if (cleaned && link.version === 4 && this.#owner.durable) {
      // Clean Session 1 also means that the session ends with the connection: it is wiped, and now made to stay.
      this.#uplink.renew({}, now);
      return;
    }
    this.#grant(connack.properties);
    const { sessionPresent } = connack;
    this.exchanges.resume(link, sessionPresent, now);
    const remade = !sessionPresent && this.#owner.remakes();
    this.asks.resume(link, remade, now);
    this.#owner.connected(connack, remade, now);
    this.arrivals.resumed(sessionPresent);
    if (!this.#owner.dated) this.backlog.forget();
    this.backlog.look(now);
    this.handOut.look(now);
    this.#uplink.rearm();
  }

  /** A server may grant less than was asked for [MQTT-3.2.2-21]. */
  #grant({ sessionExpiryInterval }: Readonly<Properties>): void {
    if (sessionExpiryInterval === undefined) return;
    const granted = expiryDuration(sessionExpiryInterval);
    const owner = this.#owner;
    if (this.#told !== undefined && granted < this.#told.expiry)
      owner.expiry = Math.min(owner.expiry, granted) as Duration;
  }

  down(_why: string, now: Instant): void {
    this.#proofAgain = undefined;
    this.#cut();
    this.#owner.cut(now);
  }

  missed(): void {}

  denied(connack: ReasonPacket): void {
    this.#owner.denied(connack);
  }

  dismissed(packet: ReasonPacket): void {
    this.#cut();
    this.#owner.dismissed(packet);
  }

  writable(now: Instant): void {
    this.exchanges.flush(now);
  }

  congested(congested: boolean): void {
    if (congested) this.#uplink.pauseReading(this.#now);
    else this.#uplink.resumeReading(this.#now);
  }

  // ---- packets

  challenged(auth: ReasonPacket, now: Instant): void {
    const uplink = this.#uplink;
    const proof = this.#proofAgain ?? this.#owner.proof;
    const heard = proof?.heard(auth, (answer) => {
      if (uplink === this.#uplink) uplink.authenticate(answer, this.#now);
    });
    // Nobody has begun an exchange of this kind.
    if (heard !== true) this.#refuseMethod(now);
    else if (auth.reason === ReasonCode.success) this.#proofAgain = undefined;
  }

  #refuseMethod(now: Instant): void {
    this.#uplink.stop(ReasonCode.protocolError, {}, now);
    this.#owner.denied({ reason: ReasonCode.badAuthenticationMethod, properties: {} });
  }

  /** The device proves itself once more (MQTT 5 §4.12.1). */
  authenticateAgain(exchange: Exchange, done: (ok: boolean) => void): void {
    const proof = new Proof(exchange, () => done(true));
    this.#proofAgain = proof;
    this.#uplink.authenticate({ reason: ReasonCode.reAuthenticate, properties: proof.properties }, this.#now);
  }

  arrived(publish: Arrived, now: Instant): void {
    const { link } = this;
    if (link === undefined) return;
    this.handOut.arrived();
    this.backlog.arrived();
    const { mountpoint } = this.#owner;
    const { topic } = publish.message;
    const { deafness } = this.#context;
    if (deafness.suspects) deafness.heard(this.#owner, topic, now);
    if (topic.charCodeAt(0) === DOLLAR && publish.qos < 2 && !this.#wants(topic)) {
      this.#context.counters.unasked.value++;
      if (publish.qos === 1) link.acknowledge(PacketType.PUBACK, publish.packetId, now);
      return;
    }
    this.arrivals.arrived(publish, mountpoint === "" ? topic : this.#owner.unmounted(topic), link, now);
  }

  /** `#` is no wish for `$` topics [MQTT-4.7.2-1]; there are servers that show with it what is only for themselves. */
  #wants(topic: string): boolean {
    const matches = (filter: string): boolean => {
      const mounted = this.#owner.mounted(filter);
      return topicMatches(mounted.slice(sharedPrefix(mounted).length), topic);
    };
    // A server may send before it has answered SUBSCRIBE [MQTT-3.8.4-3].
    return [...this.#owner.subscriptions].some(([filter]) => matches(filter)) || this.asks.asked(matches);
  }

  acknowledged(type: Acknowledgement, packetId: number, answer: ReasonPacket, now: Instant): void {
    const { link } = this;
    if (link === undefined) return;
    if (type === PacketType.PUBREL) {
      this.arrivals.released(packetId, link, now);
      return;
    }
    this.exchanges.acknowledged(type, packetId, answer, now);
    if (this.exchanges.count === 0) this.#owner.answered();
  }

  subscribed(suback: CodesPacket): void {
    this.asks.subscribed(suback);
  }

  unsubscribed(unsuback: CodesPacket): void {
    this.asks.unsubscribed(unsuback);
  }

  pinged(): void {
    this.#uplink.rearm();
  }

  ponged(now: Instant): void {
    this.handOut.ponged(now);
    this.backlog.ponged(now);
  }
}
