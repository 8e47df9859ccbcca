/**
 * What one session publishes to its server and has no last answer for (MQTT 5 §4.3, §4.4). It outlives connections to
 * the server: what was sent on one is sent again on the next.
 *
 * A QoS 2 message goes under the device's own packet id, and its PUBREL goes when the device's has come. So device and
 * server have all that must not be lost, and a gateway that dies between them has lost nothing: whichever gateway the
 * device repeats itself to, the server knows the message again.
 */
import type { Message, QoS } from "../bus/message.ts";
import type { PublishAnswer, ServerWords, Ticket } from "../contract/answers.ts";
import { earliest, type Instant, NEVER } from "../lib/time.ts";
import type { Link } from "../mqtt/client/link.ts";
import { isUnfit } from "../mqtt/client/server-limits.ts";
import { publishHeader } from "../mqtt/codec/encode-publish.ts";
import { type Acknowledgement, PacketType, type ReasonPacket } from "../mqtt/packets.ts";
import { NO_PROPERTIES } from "../mqtt/properties.ts";
import { isFailure, ReasonCode } from "../mqtt/reason-codes.ts";
import { Barriers } from "./barriers.ts";
import type { UpstreamContext } from "./context.ts";
import { type Exchange, newExchange, type PublishAsker, type Unheard } from "./exchange.ts";
import { InFlight } from "./in-flight.ts";
import { Outbox } from "./outbox.ts";
import type { PacketIds } from "./packet-ids.ts";
import { publishAnswerOf } from "./reasons.ts";
import { Suspects } from "./suspects.ts";

/** Whose exchanges they are. */
export interface ExchangesHost {
  /** While a connection to the server is up. */
  readonly link: Link | undefined;
  /** The transport takes no more for now. */
  readonly full: boolean;
  /** From now on somebody waits for an answer. */
  asked(now: Instant): void;
  /**
   * A QoS 2 message that came under this packet id of the device was not taken, whoever is there to hear it. Sent again it
   * is a new one.
   */
  refused(deviceId: number): void;
}

/** What was found overdue. */
export interface Late {
  /** When the oldest was asked that is not; `NEVER`: there is none. */
  readonly oldest: Instant;
  /** Only the device's going answers it: a server may have it, and the device must not take its packet id for free. */
  readonly stuck: boolean;
}

/** Where they are more than the answer says. */
const wordsOf = (answer: ReasonPacket): ServerWords | undefined =>
  answer.reason === ReasonCode.success && answer.properties === NO_PROPERTIES ? undefined : answer;

export class Exchanges {
  readonly #context: UpstreamContext;
  readonly #host: ExchangesHost;
  readonly #inFlight: InFlight;
  readonly #outbox: Outbox;
  readonly #suspects = new Suspects();
  #sequence = 0;
  readonly #barriers = new Barriers();
  /** Being refused one by one: who hears of one may go, and with it all that it has asked for. */
  #refusing: Exchange[] = [];

  constructor(context: UpstreamContext, host: ExchangesHost, ids: PacketIds) {
    this.#context = context;
    this.#host = host;
    this.#inFlight = new InFlight(ids);
    this.#outbox = new Outbox(context.options.buffer);
  }

  /** Publishes at QoS 1 and 2 without their last answer, and what waits to be sent. */
  get count(): number {
    return this.#inFlight.size + this.#outbox.length;
  }

  /** Something was sent and has no answer. */
  get underWay(): boolean {
    return this.#inFlight.all().some(({ stage }) => stage === "sent");
  }

  /** The server owes an answer, or is still to be sent something. What only wants the device's release is the device's. */
  get awaited(): boolean {
    return this.#outbox.length > 0 || this.#inFlight.all().some(({ stage }) => stage !== "received");
  }

  get told(): number {
    return this.#sequence;
  }

  /** `deviceId`: the device's own packet id, of a QoS 2 message. */
  publish(
    message: Message,
    asker: PublishAsker,
    ticket: Ticket,
    deviceId: number | undefined,
  ): PublishAnswer | "pending" {
    const now = this.#context.clock.now();
    const answer = this.#publish(message, asker, ticket, deviceId, now);
    if (answer === "pending") this.#host.asked(now);
    return answer;
  }

  #publish(
    message: Message,
    asker: PublishAsker,
    ticket: Ticket,
    deviceId: number | undefined,
    now: Instant,
  ): PublishAnswer | "pending" {
    const { link, full } = this.#host;
    const ready = link !== undefined && !full && this.#outbox.length === 0;
    if (link !== undefined && message.retain && !link.limits.retain) return "forbidden";
    if (link !== undefined && isUnfit(link.limits, message.topic)) return this.#unfit();
    if (message.qos === 0) {
      if (!ready) return this.#wait(message, 0, undefined, ticket, undefined);
      if (!link.publish(message, publishHeader(0, message.retain, false), 0, now)) return "too-large";
      this.#context.counters.published[0].value++;
      return "accepted";
    }
    const qos = this.#level(message.qos, link);
    if (qos === 0) {
      // The server has no acknowledgement to give: that it was sent is all that will ever be known.
      const answer = this.#publish(message.at(0), asker, ticket, undefined, now);
      return answer === "pending" ? "accepted" : answer;
    }
    if (!ready || this.#inFlight.size >= this.#window(link)) {
      return this.#wait(message, qos, asker, ticket, qos === 2 ? deviceId : undefined);
    }
    const exchange = this.#exchange(message.kept(), qos, asker, ticket, qos === 2 ? deviceId : undefined);
    if (!this.#inFlight.identify(exchange)) return this.#enqueue(exchange);
    if (this.#send(exchange, link, now)) return "pending";
    this.#close(exchange);
    return "too-large";
  }

  #unfit(): "forbidden" {
    this.#context.counters.unfit.value++;
    return "forbidden";
  }

  /** How many may be under way: one, while it has to be found out which of them a server closes the connection over. */
  #window(link: Link): number {
    return this.#suspects.any ? 1 : link.limits.receiveMaximum;
  }

  #level(qos: QoS, link: Link | undefined): QoS {
    const most = link?.limits.maximumQoS ?? 2;
    if (qos <= most) return qos;
    this.#context.counters.lowered.value++;
    return most;
  }

  #exchange(
    message: Message | undefined,
    qos: QoS,
    asker: PublishAsker | undefined,
    ticket: Ticket,
    deviceId: number | undefined,
  ): Exchange {
    const since = this.#context.clock.now();
    return newExchange(message, qos, { asker, ticket }, deviceId, ++this.#sequence, since);
  }

  #wait(
    message: Message,
    qos: QoS,
    asker: PublishAsker | undefined,
    ticket: Ticket,
    deviceId: number | undefined,
  ): PublishAnswer | "pending" {
    if (!this.#outbox.fits(message)) {
      const { droppedQos0, refused } = this.#context.counters;
      (qos === 0 ? droppedQos0 : refused).value++;
      return qos === 0 ? "accepted" : "congested";
    }
    const answer = this.#enqueue(this.#exchange(message.kept(), qos, asker, ticket, deviceId));
    return qos === 0 ? "accepted" : answer;
  }

  #enqueue(exchange: Exchange): "pending" {
    this.#outbox.push(exchange);
    return "pending";
  }

  /** False when it is too large for the server. */
  #send(exchange: Exchange, link: Link, now: Instant): boolean {
    const { qos, packetId, tried } = exchange;
    const message = exchange.message as Message;
    if (!link.publish(message, publishHeader(qos, message.retain, tried), packetId, now)) return false;
    exchange.stage = "sent";
    exchange.tried = true;
    this.#inFlight.add(exchange);
    this.#context.counters.published[qos].value++;
    return true;
  }

  /** Sends what waits, as far as the server and the transport take it. */
  flush(now: Instant): void {
    const { link } = this.#host;
    if (link === undefined) return;
    for (let next = this.#outbox.peek(); next !== undefined; next = this.#outbox.peek()) {
      if (this.#host.full || !this.#mayGo(next, link)) return;
      this.#outbox.shift();
      this.#sendLate(next, link, now);
    }
  }

  #mayGo(exchange: Exchange, link: Link): boolean {
    if (exchange.qos === 0) return true;
    if (this.#inFlight.size >= this.#window(link)) return false;
    return this.#inFlight.identify(exchange);
  }

  #sendLate(exchange: Exchange, link: Link, now: Instant): void {
    const message = exchange.message as Message;
    if (message.expiresAt !== NEVER && message.expiresAt <= now) {
      this.#context.counters.expired.value++;
      this.#settle(exchange, "accepted");
    } else if (message.retain && !link.limits.retain) {
      this.#settle(exchange, "forbidden");
    } else if (isUnfit(link.limits, message.topic)) {
      this.#settle(exchange, this.#unfit());
    } else if (exchange.qos === 0) {
      if (link.publish(message, publishHeader(0, message.retain, false), 0, now)) {
        this.#context.counters.published[0].value++;
      }
    } else if (!this.#send(exchange, link, now)) {
      this.#settle(exchange, "too-large");
    }
  }

  // ---- answers

  acknowledged(type: Acknowledgement, packetId: number, answer: ReasonPacket, now: Instant): void {
    const { link } = this.#host;
    if (link === undefined) return;
    const exchange = this.#inFlight.get(packetId);
    const { reason } = answer;
    if (type === PacketType.PUBACK) {
      // There are servers that answer a QoS 2 message so: it is theirs, and there will be no more.
      if (exchange?.stage === "sent") {
        this.#taken(exchange, reason, now);
        this.#settle(exchange, publishAnswerOf(reason), wordsOf(answer));
      }
    } else if (type === PacketType.PUBREC) {
      this.#received(exchange, packetId, answer, link, now);
    } else if (type === PacketType.PUBCOMP && exchange?.stage === "released") {
      this.#settle(exchange, "accepted");
    }
    this.flush(now);
  }

  #received(
    exchange: Exchange | undefined,
    packetId: number,
    answer: ReasonPacket,
    link: Link,
    now: Instant,
  ): void {
    const { reason } = answer;
    if (exchange === undefined || exchange.qos !== 2) {
      if (!isFailure(reason)) {
        link.acknowledge(PacketType.PUBREL, packetId, now, ReasonCode.packetIdentifierNotFound);
      }
    } else if (isFailure(reason)) {
      this.#settle(exchange, publishAnswerOf(reason), wordsOf(answer));
    } else if (exchange.stage === "released") {
      link.acknowledge(PacketType.PUBREL, packetId, now);
    } else if (exchange.stage === "sent") {
      this.#suspects.acquit(exchange);
      exchange.stage = exchange.own ? "received" : "released";
      if (!exchange.own) link.acknowledge(PacketType.PUBREL, packetId, now);
      this.#taken(exchange, reason, now);
      this.#answer(exchange, publishAnswerOf(reason), wordsOf(answer));
      this.#commit();
    }
  }

  /** What a server has taken it owes to whoever is subscribed to it. */
  #taken({ message }: Exchange, reason: ReasonCode, now: Instant): void {
    const { deafness } = this.#context;
    if (!deafness.suspects || message === undefined || reason !== ReasonCode.success) return;
    deafness.taken(message.topic, now);
  }

  /** The device's PUBREL. Also one that we know nothing of: what came before it went through another gateway. */
  release(packetId: number, known: boolean): void {
    let exchange = this.#inFlight.get(packetId);
    if (exchange === undefined) {
      // Of what was refused, or is done without a release, a server expects none.
      if (known) return;
      exchange = this.#exchange(undefined, 2, undefined, 0, packetId);
      if (!this.#inFlight.identify(exchange)) return;
    } else if (exchange.stage !== "received" || !exchange.own) {
      return;
    }
    exchange.stage = "released";
    exchange.sequence = ++this.#sequence;
    this.#inFlight.add(exchange);
    this.#host.link?.acknowledge(PacketType.PUBREL, packetId, this.#context.clock.now());
  }

  #settle(exchange: Exchange, answer: PublishAnswer, words?: ServerWords): void {
    this.#close(exchange);
    this.#answer(exchange, answer, words);
    this.#commit();
  }

  #close(exchange: Exchange): void {
    this.#suspects.acquit(exchange);
    this.#inFlight.remove(exchange);
  }

  #answer(exchange: Exchange, answer: PublishAnswer, words?: ServerWords): void {
    const { asker, ticket } = exchange;
    exchange.asker = undefined;
    asker?.answered(ticket, answer, words);
    if (exchange.own && answer !== "accepted" && answer !== "no-subscribers")
      this.#host.refused(exchange.packetId);
  }

  // ---- what the device's own acknowledgements wait for

  /** Whether the server has answered all of the device's QoS 2 messages and releases so far. */
  committed(asker: PublishAsker, ticket: Ticket, since: number): "accepted" | "pending" {
    if (since === this.#sequence || this.#oldest() > this.#sequence) return "accepted";
    const now = this.#context.clock.now();
    this.#barriers.add({ asker, ticket, sequence: this.#sequence, since: now });
    this.#host.asked(now);
    return "pending";
  }

  #oldest(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const exchange of this.#inFlight.all()) {
      if (exchange.own && exchange.stage !== "received") oldest = Math.min(oldest, exchange.sequence);
    }
    for (const exchange of this.#outbox) {
      if (exchange.own) oldest = Math.min(oldest, exchange.sequence);
    }
    return oldest;
  }

  #commit(): void {
    this.#barriers.pass(() => this.#oldest());
  }

  // ---- connections come and go

  /** The server has closed the connection without a word. True: the publish over which has been found, and refused. */
  closed(): boolean {
    const sent = this.#inFlight.all().filter(({ stage }) => stage === "sent");
    const found = this.#suspects.closedOver(sent);
    if (found === undefined) return false;
    this.#context.note({ level: "warn", event: "upstream-unfit", detail: { topic: found.message?.topic } });
    this.#settle(found, this.#unfit());
    return true;
  }

  /** A new connection. What was sent goes again first, in its order [MQTT-4.4.0-1], [MQTT-4.6.0-1]. */
  resume(link: Link, sessionPresent: boolean, now: Instant): void {
    const later: Exchange[] = [];
    for (const exchange of this.#inFlight.takeAll()) {
      if (exchange.stage === "sent") {
        if (this.#inFlight.size < this.#window(link)) this.#again(exchange, link, sessionPresent, now);
        else later.push(exchange);
      } else if (exchange.stage === "released" && !sessionPresent) {
        this.#inFlight.remove(exchange);
      } else {
        this.#keep(exchange, link, now);
      }
    }
    for (const exchange of later.reverse()) this.#putBack(exchange, sessionPresent);
    this.flush(now);
    this.#commit();
  }

  #again(exchange: Exchange, link: Link, sessionPresent: boolean, now: Instant): void {
    this.#context.counters.resent.value++;
    // A server that has no session knows nothing of it: it is a new message there.
    exchange.tried = sessionPresent;
    if (!this.#send(exchange, link, now)) this.#settle(exchange, "too-large");
  }

  #keep(exchange: Exchange, link: Link, now: Instant): void {
    this.#inFlight.add(exchange);
    if (exchange.stage === "released") link.acknowledge(PacketType.PUBREL, exchange.packetId, now);
  }

  #putBack(exchange: Exchange, sessionPresent: boolean): void {
    exchange.stage = "waiting";
    exchange.tried = sessionPresent;
    this.#outbox.putBack(exchange);
  }

  /**
   * Nobody waits any longer for a server: all that has no answer is refused, but for QoS 2 messages that a server may
   * have, of which nobody can say anything before it is back.
   */
  giveUp(): void {
    this.#giveUpWaiting(NEVER);
    for (const exchange of this.#inFlight.all()) {
      if (exchange.qos === 1) this.#settle(exchange, "unavailable");
    }
  }

  #giveUpWaiting(until: Instant): void {
    const given = this.#outbox.withdraw(
      // Of others a server may have it, or the device takes it for received.
      ({ since, own, tried, asker }) => since <= until && !(own && (tried || asker === undefined)),
    );
    this.#refusing.push(...given);
    for (let next = this.#refusing.shift(); next !== undefined; next = this.#refusing.shift()) {
      this.#close(next);
      if (next.asker !== undefined) this.#context.counters.refused.value++;
      this.#answer(next, "unavailable");
    }
    this.#commit();
  }

  /**
   * Refuses what was asked until then and has no answer. What is with the server stays there, and its packet id taken,
   * until it has answered.
   */
  overdue(until: Instant): Late {
    this.#giveUpWaiting(until);
    let { oldest, stuck } = this.#barriers.overdue(until);
    for (const exchange of [...this.#inFlight.all(), ...this.#outbox]) {
      const { asker, since, own } = exchange;
      if (asker === undefined) continue;
      if (since > until) oldest = earliest(oldest, since);
      else if (own) stuck = true;
      else {
        this.#context.counters.refused.value++;
        this.#answer(exchange, "unavailable");
      }
    }
    return { oldest, stuck };
  }

  /** The client has left, and the connection stays: what it asked for goes on, and it hears no more of it. */
  disown(): (() => void)[] {
    const unheard: Unheard[] = [...this.#barriers.drop()];
    for (const exchange of [...this.#inFlight.all(), ...this.#outbox, ...this.#refusing]) {
      const { asker, ticket } = exchange;
      if (asker !== undefined) unheard.push({ asker, ticket });
      exchange.asker = undefined;
    }
    return unheard.map(
      ({ asker, ticket }) =>
        () =>
          asker.answered(ticket, "unavailable"),
    );
  }

  /**
   * The client has left: what it did not hear of it will ask again. What the server has received under the device's own id
   * still wants the device's release, or its next message of that id would be taken for a repeat; not where the session
   * ends, too.
   */
  clear(sessionEnds = false): (() => void)[] {
    const tell = this.disown();
    const unreleased = this.#inFlight
      .all()
      .filter(({ own, stage }) => own && (stage === "received" || stage === "released") && !sessionEnds);
    this.#outbox.clear();
    this.#refusing = [];
    this.#suspects.clear();
    this.#inFlight.keep(unreleased);
    return tell;
  }

  /** The device's own packet ids that no server has answered: what comes under them has still to go there. */
  unreceived(): number[] {
    const ids: number[] = [];
    const all = [...this.#inFlight.all(), ...this.#outbox, ...this.#refusing];
    for (const { own, stage, packetId } of all) {
      if (own && (stage === "waiting" || stage === "sent")) ids.push(packetId);
    }
    return ids;
  }
}
