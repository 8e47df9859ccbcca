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
import { Ring } from "../lib/ring.ts";
import { earliest, type Instant, NEVER } from "../lib/time.ts";
import type { Link } from "../mqtt/client/link.ts";
import { isUnfit } from "../mqtt/client/server-limits.ts";
import { publishHeader } from "../mqtt/codec/encode-publish.ts";
import { type Acknowledgement, PacketType, type ReasonPacket } from "../mqtt/packets.ts";
import { NO_PROPERTIES } from "../mqtt/properties.ts";
import { isFailure, ReasonCode } from "../mqtt/reason-codes.ts";
import type { UpstreamContext } from "./context.ts";
import type { PacketIds } from "./packet-ids.ts";
import { publishAnswerOf } from "./reasons.ts";

/** Who asked, and hears what became of it. */
export interface PublishAsker {
  answered(ticket: Ticket, answer: PublishAnswer, words?: ServerWords): void;
}

interface Exchange {
  packetId: number;
  readonly message: Message | undefined;
  readonly qos: QoS;
  /** `received`: the server has it, and the device has still to release it. */
  stage: "waiting" | "sent" | "received" | "released";
  /** It was sent on some connection. */
  tried: boolean;
  /** Its packet id is taken. */
  identified: boolean;
  /** The packet id is the device's, and so is the release. */
  readonly own: boolean;
  asker: PublishAsker | undefined;
  readonly ticket: Ticket;
  /** It was under way when a server closed the connection: it may be why. */
  suspect: boolean;
  /** Times that it was the only one. */
  closes: number;
  /** Place in the order of what `committed` waits for. */
  sequence: number;
  readonly since: Instant;
}

/** An answer that is not coming any more. */
interface Unheard {
  readonly asker: PublishAsker;
  readonly ticket: Ticket;
}

interface Committing extends Unheard {
  readonly sequence: number;
  readonly since: Instant;
}

/** What was found overdue. */
export interface Late {
  /** When the oldest was asked that is not; `NEVER`: there is none. */
  readonly oldest: Instant;
  /** Only the device's going answers it: a server may have it, and the device must not take its packet id for free. */
  readonly stuck: boolean;
}

const CLOSES_MAX = 3;

/** Where they are more than the answer says. */
const wordsOf = (answer: ReasonPacket): ServerWords | undefined =>
  answer.reason === ReasonCode.success && answer.properties === NO_PROPERTIES ? undefined : answer;

export class Exchanges {
  readonly #context: UpstreamContext;
  readonly #ids: PacketIds;
  readonly #refused: (deviceId: number) => void;
  /** Sent and not done, in order. Made at the first use. */
  #open: Map<number, Exchange> | undefined = undefined;
  #waiting: Ring<Exchange> | undefined = undefined;
  #waitingBytes = 0;
  #inFlight = 0;
  #suspects = 0;
  #sequence = 0;
  #committing: Committing[] | undefined = undefined;
  /** Being refused one by one: who hears of one may go, and with it all that it has asked for. */
  #refusing: Exchange[] = [];

  /**
   * `refused`: a QoS 2 message that came under this packet id of the device was not taken, whoever is there to hear it.
   * Sent again it is a new one.
   */
  constructor(context: UpstreamContext, ids: PacketIds, refused: (deviceId: number) => void = () => {}) {
    this.#context = context;
    this.#ids = ids;
    this.#refused = refused;
  }

  /** Publishes at QoS 1 and 2 without their last answer, and what waits to be sent. */
  get count(): number {
    return (this.#open?.size ?? 0) + this.waiting;
  }

  get waiting(): number {
    return this.#waiting?.length ?? 0;
  }

  /** Something was sent and has no answer. */
  get underWay(): boolean {
    for (const { stage } of this.#open?.values() ?? []) if (stage === "sent") return true;
    return false;
  }

  get told(): number {
    return this.#sequence;
  }

  /** `full`: the transport takes no more. `deviceId`: the device's own packet id, of a QoS 2 message. */
  publish(
    message: Message,
    link: Link | undefined,
    full: boolean,
    asker: PublishAsker,
    ticket: Ticket,
    deviceId: number | undefined,
    now: Instant,
  ): PublishAnswer | "pending" {
    const ready = link !== undefined && !full && this.waiting === 0;
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
      const answer = this.publish(message.at(0), link, full, asker, ticket, undefined, now);
      return answer === "pending" ? "accepted" : answer;
    }
    if (!ready || this.#inFlight >= this.#window(link)) {
      return this.#wait(message, qos, asker, ticket, qos === 2 ? deviceId : undefined);
    }
    const exchange = this.#exchange(message.kept(), qos, asker, ticket, qos === 2 ? deviceId : undefined);
    if (!this.#identify(exchange)) return this.#enqueue(exchange);
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
    return this.#suspects > 0 ? 1 : link.limits.receiveMaximum;
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
    const own = deviceId !== undefined;
    const packetId = deviceId ?? 0;
    const sequence = ++this.#sequence;
    return {
      packetId,
      message,
      qos,
      stage: "waiting",
      tried: false,
      suspect: false,
      closes: 0,
      identified: false,
      own,
      asker,
      ticket,
      sequence,
      since: this.#context.clock.now(),
    };
  }

  #wait(
    message: Message,
    qos: QoS,
    asker: PublishAsker | undefined,
    ticket: Ticket,
    deviceId: number | undefined,
  ): PublishAnswer | "pending" {
    const { messages, bytes } = this.#context.options.buffer;
    if (this.waiting >= messages || this.#waitingBytes + message.weight > bytes) {
      const { droppedQos0, refused } = this.#context.counters;
      (qos === 0 ? droppedQos0 : refused).value++;
      return qos === 0 ? "accepted" : "congested";
    }
    const answer = this.#enqueue(this.#exchange(message.kept(), qos, asker, ticket, deviceId));
    return qos === 0 ? "accepted" : answer;
  }

  #enqueue(exchange: Exchange): "pending" {
    this.#waiting ??= new Ring();
    this.#waiting.push(exchange);
    this.#waitingBytes += exchange.message?.weight ?? 0;
    return "pending";
  }

  /** False while its packet id is in use. */
  #identify(exchange: Exchange): boolean {
    if (exchange.identified) return true;
    if (exchange.own) {
      exchange.identified = this.#ids.claim(exchange.packetId);
      return exchange.identified;
    }
    const id = this.#ids.take();
    if (id === undefined) return false;
    exchange.packetId = id;
    exchange.identified = true;
    return true;
  }

  /** False when it is too large for the server. */
  #send(exchange: Exchange, link: Link, now: Instant): boolean {
    const { qos, packetId, tried } = exchange;
    const message = exchange.message as Message;
    if (!link.publish(message, publishHeader(qos, message.retain, tried), packetId, now)) return false;
    exchange.stage = "sent";
    exchange.tried = true;
    this.#inFlight++;
    this.#open ??= new Map();
    this.#open.set(packetId, exchange);
    this.#context.counters.published[qos].value++;
    return true;
  }

  /** Sends what waits, as far as the server and the transport take it. */
  flush(link: Link, full: () => boolean, now: Instant): void {
    const waiting = this.#waiting;
    while (waiting !== undefined && !full()) {
      const next = waiting.peek();
      if (next === undefined || !this.#mayGo(next, link)) return;
      waiting.shift();
      this.#waitingBytes -= next.message?.weight ?? 0;
      this.#sendLate(next, link, now);
    }
  }

  #mayGo(exchange: Exchange, link: Link): boolean {
    if (exchange.qos === 0) return true;
    if (this.#inFlight >= this.#window(link)) return false;
    return this.#identify(exchange);
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

  acknowledged(
    type: Acknowledgement,
    packetId: number,
    answer: ReasonPacket,
    link: Link,
    now: Instant,
  ): void {
    const exchange = this.#open?.get(packetId);
    const { reason } = answer;
    if (type === PacketType.PUBACK) {
      // There are servers that answer a QoS 2 message so: it is theirs, and there will be no more.
      if (exchange?.stage === "sent") this.#settle(exchange, publishAnswerOf(reason), wordsOf(answer));
    } else if (type === PacketType.PUBREC) {
      this.#received(exchange, packetId, answer, link, now);
    } else if (type === PacketType.PUBCOMP && exchange?.stage === "released") {
      this.#settle(exchange, "accepted");
    }
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
      this.#clear(exchange);
      exchange.stage = exchange.own ? "received" : "released";
      if (!exchange.own) link.acknowledge(PacketType.PUBREL, packetId, now);
      this.#answer(exchange, publishAnswerOf(reason), wordsOf(answer));
      this.#commit();
    }
  }

  /** The device's PUBREL. Also one that we know nothing of: what came before it went through another gateway. */
  release(packetId: number, known: boolean, link: Link | undefined, now: Instant): void {
    let exchange = this.#open?.get(packetId);
    if (exchange === undefined) {
      // Of what was refused, or is done without a release, a server expects none.
      if (known || !this.#ids.claim(packetId)) return;
      exchange = this.#exchange(undefined, 2, undefined, 0, packetId);
      exchange.identified = true;
      this.#inFlight++;
    } else if (exchange.stage !== "received" || !exchange.own) {
      return;
    }
    exchange.stage = "released";
    exchange.sequence = ++this.#sequence;
    this.#open ??= new Map();
    this.#open.delete(packetId);
    this.#open.set(packetId, exchange);
    link?.acknowledge(PacketType.PUBREL, packetId, now);
  }

  #settle(exchange: Exchange, answer: PublishAnswer, words?: ServerWords): void {
    this.#close(exchange);
    this.#answer(exchange, answer, words);
    this.#commit();
  }

  #close(exchange: Exchange): void {
    const { packetId } = exchange;
    this.#clear(exchange);
    if (this.#open?.get(packetId) === exchange) {
      this.#open.delete(packetId);
      this.#inFlight--;
    }
    if (exchange.identified) this.#ids.free(packetId);
    exchange.identified = false;
  }

  #clear(exchange: Exchange): void {
    if (exchange.suspect) this.#suspects--;
    exchange.suspect = false;
  }

  #answer(exchange: Exchange, answer: PublishAnswer, words?: ServerWords): void {
    const { asker, ticket } = exchange;
    exchange.asker = undefined;
    asker?.answered(ticket, answer, words);
    if (exchange.own && answer !== "accepted" && answer !== "no-subscribers")
      this.#refused(exchange.packetId);
  }

  // ---- what the device's own acknowledgements wait for

  /** Whether the server has answered all of the device's QoS 2 messages and releases so far. */
  committed(asker: PublishAsker, ticket: Ticket, since: number): "accepted" | "pending" {
    if (since === this.#sequence || this.#oldest() > this.#sequence) return "accepted";
    this.#committing ??= [];
    this.#committing.push({ asker, ticket, sequence: this.#sequence, since: this.#context.clock.now() });
    return "pending";
  }

  #oldest(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const exchange of this.#open?.values() ?? []) {
      if (exchange.own && exchange.stage !== "received") oldest = Math.min(oldest, exchange.sequence);
    }
    for (const exchange of this.#waiting ?? []) {
      if (exchange.own) oldest = Math.min(oldest, exchange.sequence);
    }
    return oldest;
  }

  #commit(): void {
    const committing = this.#committing;
    if (committing === undefined) return;
    const oldest = this.#oldest();
    while (committing.length > 0 && (committing[0] as Committing).sequence < oldest) {
      const { asker, ticket } = committing.shift() as Committing;
      asker.answered(ticket, "accepted");
    }
    if (committing.length === 0) this.#committing = undefined;
  }

  // ---- connections come and go

  /**
   * The server has closed the connection without a word. That is how MQTT 3.1.1 refuses a PUBLISH, and what is sent again
   * is refused again: from now on one at a time, and which is alone at the third close was the reason. True: it has been found, and refused.
   */
  closed(): boolean {
    const sent = [...(this.#open?.values() ?? [])].filter(({ stage }) => stage === "sent");
    for (const exchange of sent) {
      if (!exchange.suspect) this.#suspects++;
      exchange.suspect = true;
    }
    const [only] = sent;
    if (only === undefined || sent.length > 1 || ++only.closes < CLOSES_MAX) return false;
    this.#context.note({ level: "warn", event: "upstream-unfit", detail: { topic: only.message?.topic } });
    this.#settle(only, this.#unfit());
    return true;
  }

  /** A new connection. What was sent goes again first, in its order [MQTT-4.4.0-1], [MQTT-4.6.0-1]. */
  resume(link: Link, sessionPresent: boolean, full: () => boolean, now: Instant): void {
    const open = [...(this.#open?.values() ?? [])];
    this.#open = undefined;
    this.#inFlight = 0;
    const later: Exchange[] = [];
    for (const exchange of open) {
      if (exchange.stage === "sent") {
        if (this.#inFlight < this.#window(link)) this.#again(exchange, link, sessionPresent, now);
        else later.push(exchange);
      } else if (exchange.stage === "released" && !sessionPresent) {
        this.#ids.free(exchange.packetId);
      } else {
        this.#keep(exchange, link, now);
      }
    }
    for (const exchange of later.reverse()) this.#putBack(exchange, sessionPresent);
    this.flush(link, full, now);
    this.#commit();
  }

  #again(exchange: Exchange, link: Link, sessionPresent: boolean, now: Instant): void {
    this.#context.counters.resent.value++;
    // A server that has no session knows nothing of it: it is a new message there.
    exchange.tried = sessionPresent;
    if (!this.#send(exchange, link, now)) this.#settle(exchange, "too-large");
  }

  #keep(exchange: Exchange, link: Link, now: Instant): void {
    this.#inFlight++;
    this.#open ??= new Map();
    this.#open.set(exchange.packetId, exchange);
    if (exchange.stage === "released") link.acknowledge(PacketType.PUBREL, exchange.packetId, now);
  }

  #putBack(exchange: Exchange, sessionPresent: boolean): void {
    exchange.stage = "waiting";
    exchange.tried = sessionPresent;
    this.#waiting ??= new Ring();
    this.#waiting.unshift(exchange);
    this.#waitingBytes += exchange.message?.weight ?? 0;
  }

  /**
   * Nobody waits any longer for a server: all that has no answer is refused, but for QoS 2 messages that a server may
   * have, of which nobody can say anything before it is back.
   */
  giveUp(): void {
    this.#giveUpWaiting(NEVER);
    for (const exchange of [...(this.#open?.values() ?? [])]) {
      if (exchange.qos === 1) this.#settle(exchange, "unavailable");
    }
  }

  #giveUpWaiting(until: Instant): void {
    this.#waiting?.filter((exchange) => {
      const { since, own, tried, asker, message } = exchange;
      // A server may have it, or its device takes it for received.
      if (since > until || (own && (tried || asker === undefined))) return true;
      this.#waitingBytes -= message?.weight ?? 0;
      this.#refusing.push(exchange);
      return false;
    });
    for (let next = this.#refusing.shift(); next !== undefined; next = this.#refusing.shift()) {
      this.#clear(next);
      if (next.identified) this.#ids.free(next.packetId);
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
    let oldest = NEVER;
    let stuck = false;
    for (const exchange of [...(this.#open?.values() ?? []), ...(this.#waiting ?? [])]) {
      const { asker, since, own } = exchange;
      if (asker === undefined) continue;
      if (since > until) oldest = earliest(oldest, since);
      else if (own) stuck = true;
      else {
        this.#context.counters.refused.value++;
        this.#answer(exchange, "unavailable");
      }
    }
    for (const { since } of this.#committing ?? []) {
      if (since > until) oldest = earliest(oldest, since);
      else stuck = true;
    }
    return { oldest, stuck };
  }

  /** The client has left, and the connection stays: what it asked for goes on, and it hears no more of it. */
  disown(): (() => void)[] {
    const unheard: Unheard[] = [...(this.#committing ?? [])];
    this.#committing = undefined;
    for (const exchange of [...(this.#open?.values() ?? []), ...(this.#waiting ?? []), ...this.#refusing]) {
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
    const unreleased = [...(this.#open?.values() ?? [])].filter(
      ({ own, stage }) => own && (stage === "received" || stage === "released") && !sessionEnds,
    );
    this.#open = undefined;
    this.#waiting = undefined;
    this.#refusing = [];
    this.#waitingBytes = 0;
    this.#inFlight = 0;
    this.#suspects = 0;
    this.#ids.clear();
    for (const exchange of unreleased) {
      this.#ids.claim(exchange.packetId);
      this.#open ??= new Map();
      this.#open.set(exchange.packetId, exchange);
      this.#inFlight++;
    }
    return tell;
  }

  /** The device's own packet ids that no server has answered: what comes under them has still to go there. */
  unreceived(): number[] {
    const ids: number[] = [];
    const all = [...(this.#open?.values() ?? []), ...(this.#waiting ?? []), ...this.#refusing];
    for (const { own, stage, packetId } of all) {
      if (own && (stage === "waiting" || stage === "sent")) ids.push(packetId);
    }
    return ids;
  }
}
