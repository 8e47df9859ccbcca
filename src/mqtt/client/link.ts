/**
 * The client half of MQTT 3.1.1 and 5.0: one connection from CONNECT to its end, as a state machine without I/O or clock.
 * It knows packets, keep-alive, topic aliases and what the server allows; which exchanges are open is its user's.
 */
import { Message, type QoS } from "../../bus/message.ts";
import type { SubscribeOptions } from "../../contract/client.ts";
import {
  after,
  between,
  type Duration,
  earliest,
  FOREVER,
  type Instant,
  NEVER,
  seconds,
} from "../../lib/time.ts";
import { decodeConnack } from "../codec/decode-connack.ts";
import { decodePublish, publishHead } from "../codec/decode-publish.ts";
import {
  decodeAuth,
  decodeServerAcknowledgement,
  decodeServerDisconnect,
  SUCCESS,
} from "../codec/decode-reason.ts";
import { decodeSuback, decodeUnsuback } from "../codec/decode-suback.ts";
import { encodeConnect } from "../codec/encode-connect.ts";
import { encodeIndividualPublish, encodeSharedPublish } from "../codec/encode-publish.ts";
import {
  encodeAcknowledgement,
  encodeAuth,
  encodeDisconnect,
  encodeReasonedAcknowledgement,
} from "../codec/encode-reason.ts";
import { encodeSubscribe, encodeUnsubscribe } from "../codec/encode-subscribe.ts";
import { frame, hasItsFlags, readFixedHeader } from "../codec/fixed-header.ts";
import { PINGREQ } from "../codec/ping.ts";
import { Reader } from "../codec/reader.ts";
import { TopicCache } from "../codec/topic-cache.ts";
import { UnfinishedPacket } from "../codec/unfinished-packet.ts";
import { messageExpiry, messageProperties } from "../message-properties.ts";
import { OutgoingAliases } from "../outgoing-aliases.ts";
import {
  type Acknowledgement,
  breach,
  type CodesPacket,
  type ConnackPacket,
  type ConnectPacket,
  PACKET_NAMES,
  type PacketError,
  PacketType,
  type ProtocolVersion,
  type ReasonPacket,
} from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import { ReasonCode } from "../reason-codes.ts";
import { limitsOf, type ServerCaps, type ServerLimits } from "./server-limits.ts";

/** Where a link's packets go. */
export interface LinkOutput {
  /** The bytes may be used again by the caller once this returns. */
  send(bytes: Uint8Array): void;
  /** For bytes that are never changed again. */
  sendView(bytes: Uint8Array): void;
}

/** A PUBLISH of the server. One object is filled again and again: nothing keeps it. */
export interface Arrived {
  message: Message;
  qos: QoS;
  retain: boolean;
  duplicate: boolean;
  packetId: number;
  subscriptionIds: readonly number[];
}

/** Whom a link tells what the server says. */
export interface LinkUser {
  /** CONNACK: the client is let in. */
  accepted(connack: ConnackPacket, now: Instant): void;
  /** CONNACK: it is not. */
  refused(connack: ConnackPacket, now: Instant): void;
  /** AUTH. */
  challenged(auth: ReasonPacket, now: Instant): void;
  arrived(publish: Arrived, now: Instant): void;
  acknowledged(type: Acknowledgement, packetId: number, answer: ReasonPacket, now: Instant): void;
  subscribed(suback: CodesPacket, now: Instant): void;
  unsubscribed(unsuback: CodesPacket, now: Instant): void;
  /** PINGRESP. `took`: how long, where it answers the oldest PINGREQ. */
  ponged(now: Instant, took: Duration | undefined): void;
  /** DISCONNECT. */
  dismissed(disconnect: ReasonPacket, now: Instant): void;
  /** The server is silent, or has broken the protocol: the link has said goodbye and is of no use any more. */
  failed(problem: string, silent: boolean, now: Instant): void;
}

export interface LinkOptions {
  readonly connackTimeout: Duration;
  readonly pingTimeout: Duration;
  /** Largest packet that the server may send. */
  readonly packetSize: number;
  /** Aliases that the server may set, and most that we set. */
  readonly topicAliases: number;
}

/** User properties, subscription identifiers and codes in one packet. */
const ITEMS_MAX = 65_535;
/** Nobody waits for the end of a packet: PINGRESP is behind it, and is waited for. */
const PATIENT = FOREVER;
/** Payloads above this many bytes are handed on as they are, not copied behind their header. */
const COPIED_PAYLOAD_MAX = 8192;

const head = publishHead();
const EMPTY = new Uint8Array(0);
const NO_IDS: readonly number[] = [];
const arrived: Arrived = {
  message: new Message("", EMPTY, 0, false, 0 as Instant),
  qos: 0,
  retain: false,
  duplicate: false,
  packetId: 0,
  subscriptionIds: NO_IDS,
};

export class Link {
  readonly version: ProtocolVersion;
  readonly maximumItems = ITEMS_MAX;
  readonly topics = new TopicCache();
  /** What the server allows; of no meaning before CONNACK. */
  limits: ServerLimits;
  /** When `wake` is wanted. */
  deadline: Instant = NEVER;
  readonly #caps: ServerCaps;
  readonly #output: LinkOutput;
  readonly #user: LinkUser;
  readonly #options: LinkOptions;
  #state: "new" | "connecting" | "open" | "ended" = "new";
  #unfinished: UnfinishedPacket | undefined = undefined;
  /** Topics by the alias that the server gave them (MQTT 5 §3.3.2.3.4). */
  #aliases: Map<number, string> | undefined = undefined;
  #outgoingAliases: OutgoingAliases | undefined = undefined;
  #keepAlive: Duration = FOREVER;
  #sentAt: Instant = NEVER;
  #heardAt: Instant = NEVER;
  /** When the oldest PINGREQ was sent that has no answer. */
  #pingedAt: Instant = NEVER;
  /** When the answer to PINGREQ is overdue. */
  #pongDue: Instant = NEVER;
  /** Nothing is read at present, for reasons of ours: the server's silence is not its own. */
  #deaf = false;

  constructor(
    version: ProtocolVersion,
    caps: ServerCaps,
    output: LinkOutput,
    user: LinkUser,
    options: LinkOptions,
  ) {
    this.version = version;
    this.#caps = caps;
    this.#output = output;
    this.#user = user;
    this.#options = options;
    this.limits = limitsOf(version, NO_PROPERTIES, caps);
  }

  get open(): boolean {
    return this.#state === "open";
  }

  get ended(): boolean {
    return this.#state === "ended";
  }

  // ---- what is sent

  /** False when a field is longer than MQTT can say. */
  connect(packet: ConnectPacket, now: Instant): boolean {
    const bytes = encodeConnect(packet);
    if (bytes === undefined) return false;
    this.#state = "connecting";
    this.#keepAlive = packet.keepAlive === 0 ? FOREVER : seconds(packet.keepAlive);
    this.#send(bytes, now);
    this.deadline = after(now, this.#options.connackTimeout);
    return true;
  }

  /** False when it is more than MQTT can say, or than the server takes. */
  publish(message: Message, header: number, packetId: number, now: Instant): boolean {
    const { topic, payload } = message;
    const large = payload.length > COPIED_PAYLOAD_MAX;
    if (large || this.#outgoingAliases !== undefined)
      return this.#publishAlone(message, header, packetId, now);
    const bytes = encodeSharedPublish(this.version, message, topic, header, packetId, now);
    if (bytes === undefined || bytes.length > this.limits.maximumPacketSize) return false;
    this.#send(bytes, now);
    return true;
  }

  #publishAlone(message: Message, header: number, packetId: number, now: Instant): boolean {
    const { topic, payload } = message;
    const aliases = this.#outgoingAliases;
    const known = aliases?.known(topic);
    const topicAlias = known ?? aliases?.free;
    const told = known === undefined ? topic : "";
    const following = payload.length > COPIED_PAYLOAD_MAX ? payload : undefined;
    const individual = { header, topic: told, packetId, topicAlias, subscriptionIds: NO_IDS };
    const bytes = encodeIndividualPublish(this.version, message, individual, following !== undefined, now);
    if (bytes === undefined) return false;
    if (bytes.length + (following?.length ?? 0) > this.limits.maximumPacketSize) return false;
    this.#send(bytes, now);
    if (following !== undefined) this.#output.sendView(following);
    // Only what was sent has taught the server an alias.
    if (known === undefined && topicAlias !== undefined) aliases?.assign(topic, topicAlias);
    return true;
  }

  acknowledge(type: Acknowledgement, packetId: number, now: Instant, reason = ReasonCode.success): void {
    const says = this.version === 5 && reason !== ReasonCode.success;
    this.#send(
      says ? encodeReasonedAcknowledgement(type, packetId, reason) : encodeAcknowledgement(type, packetId),
      now,
    );
  }

  /** False when the filter is longer than MQTT can say. */
  subscribe(
    packetId: number,
    filter: string,
    options: SubscribeOptions,
    now: Instant,
    said: Readonly<Properties> = NO_PROPERTIES,
  ): boolean {
    const { qos, noLocal = false, retainAsPublished = false, retainHandling = 0, identifier } = options;
    const properties =
      identifier === undefined || !this.limits.subscriptionIds
        ? said
        : { ...said, subscriptionIdentifier: identifier };
    const subscription = { filter, qos, noLocal, retainAsPublished, retainHandling };
    const packet = { packetId, properties, subscriptions: [subscription] };
    return this.#sendIfWhole(encodeSubscribe(packet, this.version), now);
  }

  unsubscribe(packetId: number, filter: string, now: Instant, properties = NO_PROPERTIES): boolean {
    const packet = { packetId, properties, filters: [filter] };
    return this.#sendIfWhole(encodeUnsubscribe(packet, this.version), now);
  }

  /** MQTT 5 only. */
  authenticate({ reason, properties }: ReasonPacket, now: Instant): void {
    this.#send(encodeAuth(reason, properties), now);
  }

  /** PINGREQ, also as a question whether all that was sent before has been dealt with: `ponged` answers. */
  ping(now: Instant): void {
    this.#send(PINGREQ, now);
    this.#pingedAt = earliest(this.#pingedAt, now);
    this.#pongDue = after(now, this.#options.pingTimeout);
    this.deadline = this.#nextDeadline();
  }

  /** Says goodbye; the link is of no use afterwards. */
  disconnect(reason: ReasonCode, properties: Readonly<Properties> = NO_PROPERTIES): void {
    if (this.#state === "open" || (this.#state === "connecting" && this.version === 5)) {
      const bytes =
        this.version === 5
          ? encodeDisconnect(reason, properties)
          : encodeDisconnect(ReasonCode.success, NO_PROPERTIES);
      this.#output.send(bytes);
    }
    this.end();
  }

  /** Without a word: for a server, a client that was lost. */
  end(): void {
    this.#state = "ended";
    this.#unfinished = undefined;
    this.deadline = NEVER;
  }

  /** Reading has stopped, or goes on. */
  deaf(deaf: boolean, now: Instant): void {
    this.#deaf = deaf;
    if (!deaf && this.#pongDue !== NEVER) this.#pongDue = after(now, this.#options.pingTimeout);
    this.deadline = this.#nextDeadline();
  }

  #sendIfWhole(bytes: Uint8Array | undefined, now: Instant): boolean {
    if (bytes === undefined || bytes.length > this.limits.maximumPacketSize) return false;
    this.#send(bytes, now);
    return true;
  }

  #send(bytes: Uint8Array, now: Instant): void {
    this.#sentAt = now;
    this.#output.send(bytes);
  }

  // ---- time

  wake(now: Instant): void {
    if (now < this.deadline) return;
    if (this.#state === "connecting") {
      this.#fail("no CONNACK in time", true, now);
      return;
    }
    if (this.#state !== "open") return;
    if (this.#pongDue <= now && !this.#deaf) {
      this.#fail("PINGREQ was not answered", true, now);
      return;
    }
    if (this.#pongDue === NEVER && this.#pingDue <= now) this.ping(now);
    this.deadline = this.#nextDeadline();
  }

  /** Nothing was sent, or nothing came, for so long: a link may be dead in one direction only. */
  get #pingDue(): Instant {
    return after(earliest(this.#sentAt, this.#heardAt), this.#keepAlive);
  }

  #nextDeadline(): Instant {
    if (this.#state !== "open") return this.deadline;
    if (this.#deaf) return NEVER;
    return this.#pongDue === NEVER ? this.#pingDue : this.#pongDue;
  }

  // ---- what comes

  receive(bytes: Uint8Array, now: Instant): void {
    this.#heardAt = now;
    if (this.#pongDue !== NEVER) this.#pongDue = after(now, this.#options.pingTimeout);
    let at = 0;
    while (at < bytes.length && this.#state !== "ended") {
      at =
        this.#unfinished === undefined
          ? this.#readWhole(bytes, at, now)
          : this.#finish(this.#unfinished, bytes, at, now);
    }
  }

  #readWhole(bytes: Uint8Array, at: number, now: Instant): number {
    const found = readFixedHeader(bytes, at, this.#options.packetSize);
    if (found === "whole") {
      const { body, end } = frame;
      this.#dispatch(bytes, at, body, end, now);
      return end;
    }
    if (found !== "incomplete") {
      this.#break(found, now);
      return bytes.length;
    }
    const unfinished = new UnfinishedPacket(this.#options.packetSize, now, PATIENT);
    this.#unfinished = unfinished;
    return this.#finish(unfinished, bytes, at, now);
  }

  #finish(unfinished: UnfinishedPacket, bytes: Uint8Array, at: number, now: Instant): number {
    const { taken, state } = unfinished.append(bytes, at);
    if (state === "incomplete") return taken;
    this.#unfinished = undefined;
    if (state === "whole") this.#dispatch(unfinished.bytes, 0, frame.body, frame.end, now);
    else this.#break(state, now);
    return taken;
  }

  #dispatch(bytes: Uint8Array, start: number, body: number, end: number, now: Instant): void {
    const first = bytes[start] as number;
    const type = first >> 4;
    if (type === PacketType.PUBLISH && this.#state === "open") {
      this.#published(bytes, start, body, end, now);
      return;
    }
    if (type !== PacketType.PUBLISH && !hasItsFlags(first, this.version)) {
      this.#break(
        breach(ReasonCode.malformedPacket, "[MQTT-2.1.3-1]", `flags of ${PACKET_NAMES[type]}`),
        now,
      );
      return;
    }
    const reader = new Reader(bytes, start, body, end, ITEMS_MAX);
    if (this.#state === "connecting") this.#greeted(reader, type, now);
    else this.#answered(reader, type, now);
  }

  /** CONNACK, and before it perhaps AUTH; else it must not say anything [MQTT-3.2.0-1]. */
  #greeted(reader: Reader, type: number, now: Instant): void {
    if (type === PacketType.AUTH && this.version === 5) {
      const auth = decodeAuth(reader);
      if (reader.error !== undefined) this.#break(reader.error, now);
      else {
        this.deadline = after(now, this.#options.connackTimeout);
        this.#user.challenged(auth, now);
      }
      return;
    }
    if (type !== PacketType.CONNACK) {
      this.#unexpected(type, now);
      return;
    }
    const connack = decodeConnack(reader, this.version);
    if (reader.error !== undefined) {
      this.#break(reader.error, now);
    } else if (connack.reason !== ReasonCode.success) {
      this.end();
      this.#user.refused(connack, now);
    } else {
      this.#settleTerms(connack.properties);
      this.#user.accepted(connack, now);
    }
  }

  #settleTerms(properties: Readonly<Properties>): void {
    this.#state = "open";
    this.limits = limitsOf(this.version, properties, this.#caps);
    const { serverKeepAlive } = properties;
    if (serverKeepAlive !== undefined) {
      this.#keepAlive = serverKeepAlive === 0 ? FOREVER : seconds(serverKeepAlive);
    }
    const aliases = Math.min(this.limits.topicAliasMaximum, this.#options.topicAliases);
    if (aliases > 0) this.#outgoingAliases = new OutgoingAliases(aliases);
    this.deadline = this.#nextDeadline();
  }

  #answered(reader: Reader, type: number, now: Instant): void {
    switch (type) {
      case PacketType.PUBACK:
      case PacketType.PUBREC:
      case PacketType.PUBREL:
      case PacketType.PUBCOMP:
        this.#acknowledged(reader, type, now);
        return;
      case PacketType.SUBACK: {
        const suback = decodeSuback(reader, this.version);
        if (reader.error !== undefined) this.#break(reader.error, now);
        else this.#user.subscribed(suback, now);
        return;
      }
      case PacketType.UNSUBACK: {
        const unsuback = decodeUnsuback(reader, this.version);
        if (reader.error !== undefined) this.#break(reader.error, now);
        else this.#user.unsubscribed(unsuback, now);
        return;
      }
      case PacketType.PINGRESP:
        this.#ponged(now);
        return;
      case PacketType.DISCONNECT:
      case PacketType.AUTH:
        this.#spoken(reader, type, now);
        return;
      default:
        this.#unexpected(type, now);
    }
  }

  #ponged(now: Instant): void {
    const took = this.#pingedAt === NEVER ? undefined : between(this.#pingedAt, now);
    this.#pingedAt = NEVER;
    this.#pongDue = NEVER;
    this.deadline = this.#nextDeadline();
    this.#user.ponged(now, took);
  }

  #acknowledged(reader: Reader, type: Acknowledgement, now: Instant): void {
    const { bytes, at: body, end } = reader;
    const packetId = end - body < 2 ? 0 : ((bytes[body] as number) << 8) | (bytes[body + 1] as number);
    let answer = SUCCESS;
    // Two octets are all there is in nearly every answer; the rest takes the slower way.
    if (end - body !== 2 || packetId === 0) {
      answer = decodeServerAcknowledgement(reader, type, this.version);
      if (reader.error !== undefined) {
        this.#break(reader.error, now);
        return;
      }
    }
    this.#user.acknowledged(type, packetId, answer, now);
  }

  /** What only a server of MQTT 5 says. */
  #spoken(reader: Reader, type: typeof PacketType.DISCONNECT | typeof PacketType.AUTH, now: Instant): void {
    if (this.version !== 5) {
      this.#unexpected(type, now);
      return;
    }
    const packet = type === PacketType.AUTH ? decodeAuth(reader) : decodeServerDisconnect(reader);
    if (reader.error !== undefined) {
      this.#break(reader.error, now);
    } else if (type === PacketType.AUTH) {
      this.#user.challenged(packet, now);
    } else {
      this.end();
      this.#user.dismissed(packet, now);
    }
  }

  #published(bytes: Uint8Array, start: number, body: number, end: number, now: Instant): void {
    const malformed = decodePublish(head, this, bytes, start, body, end);
    if (malformed !== undefined) {
      this.#break(malformed, now);
      return;
    }
    const flags = bytes[start] as number;
    const { properties, payloadAt, packetId } = head;
    const topic = this.#topicOf(head.topic, properties);
    if (typeof topic !== "string") {
      this.#break(topic, now);
      return;
    }
    const qos = ((flags >> 1) & 3) as QoS;
    const retain = (flags & 1) !== 0;
    const payload = new Uint8Array(bytes.buffer, bytes.byteOffset + payloadAt, end - payloadAt);
    const plain = properties === NO_PROPERTIES;
    arrived.message = plain
      ? new Message(topic, payload, qos, retain, now)
      : new Message(
          topic,
          payload,
          qos,
          retain,
          now,
          messageProperties(properties),
          messageExpiry(properties),
        );
    arrived.qos = qos;
    arrived.retain = retain;
    arrived.duplicate = (flags & 8) !== 0;
    arrived.packetId = packetId;
    arrived.subscriptionIds = properties.subscriptionIdentifiers ?? NO_IDS;
    this.#user.arrived(arrived, now);
  }

  #topicOf(topic: string, { topicAlias: alias }: Readonly<Properties>): string | PacketError {
    if (alias === undefined) {
      if (topic !== "") return topic;
      return breach(ReasonCode.protocolError, "MQTT 5 §3.3.2.1", "neither topic nor alias");
    }
    if (alias === 0 || alias > this.#options.topicAliases) {
      return breach(ReasonCode.topicAliasInvalid, "[MQTT-3.3.2-10]", `topic alias ${alias}`);
    }
    if (topic !== "") {
      this.#aliases ??= new Map();
      this.#aliases.set(alias, topic);
      return topic;
    }
    return (
      this.#aliases?.get(alias) ??
      breach(ReasonCode.protocolError, "MQTT 5 §3.3.2.3.4", `topic alias ${alias} is not set`)
    );
  }

  #unexpected(type: number, now: Instant): void {
    const name = PACKET_NAMES[type] ?? type;
    this.#break(breach(ReasonCode.protocolError, "MQTT 5 §2.1.2", `unexpected ${name}`), now);
  }

  /** The server has broken the protocol: it is told why, where it can be (MQTT 5 §4.13). */
  #break({ code, problem, clause }: PacketError, now: Instant): void {
    this.disconnect(code);
    this.#user.failed(`${problem} (${clause})`, false, now);
  }

  #fail(problem: string, silent: boolean, now: Instant): void {
    this.end();
    this.#user.failed(problem, silent, now);
  }
}
