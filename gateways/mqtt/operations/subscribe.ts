import type { QoS } from "#core/bus/message.ts";
import { hasWildcard, parseSharedFilter } from "#core/bus/topic.ts";
import type { ServerWords, SubscribeAnswer, UnsubscribeAnswer } from "#core/contract/answers.ts";
import { decodeSubscribe, decodeUnsubscribe } from "#core/mqtt/codec/decode-subscribe.ts";
import { encodeCodes, encodeUnsuback3 } from "#core/mqtt/codec/encode-suback.ts";
import { Reader } from "#core/mqtt/codec/reader.ts";
import { PacketType, type SubscribePacket, type Subscription } from "#core/mqtt/packets.ts";
import { NO_PROPERTIES, type Properties } from "#core/mqtt/properties.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";
import type { Connection } from "../connection.ts";
import { subackReason, unsubackReason } from "../refusals.ts";

const { SUBACK, UNSUBACK } = PacketType;
/** What MQTT 3.1.1 has for any failure (MQTT 3.1.1 §3.9.3). */
const FAILURE_3 = 0x80;

/** A SUBSCRIBE of which some filters have no answer yet. Nothing is read until they have. */
export interface PendingSubscribe {
  readonly packet: SubscribePacket;
  readonly codes: number[];
  /** Of a server behind the gateway, which is asked for each filter by itself: the first that it says. */
  properties: Readonly<Properties>;
  /** Index of the filter by ticket. */
  readonly waiting: Map<number, number>;
}

/** An UNSUBSCRIBE of which some filters have no answer yet. */
export interface PendingUnsubscribe {
  readonly packetId: number;
  readonly codes: ReasonCode[];
  /** As of a SUBSCRIBE. */
  properties: Readonly<Properties>;
  left: number;
}

/** One filter of it. */
export interface WaitingUnsubscribe {
  readonly pending: PendingUnsubscribe;
  readonly index: number;
}

/** SUBSCRIBE: one answer for each filter, in their order [MQTT-3.8.4-6]. */
export function subscribe(
  connection: Connection,
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
): void {
  const reader = new Reader(bytes, start, body, end, connection.config.maximumItems);
  const packet = decodeSubscribe(reader, connection.version);
  if (reader.error !== undefined) {
    connection.fail(reader.error);
    return;
  }
  const codes: number[] = [];
  const waiting = new Map<number, number>();
  connection.client.said = packet.properties;
  for (const subscription of packet.subscriptions) {
    const ticket = connection.nextTicket();
    const code = ask(connection, packet, subscription, ticket);
    if (code === "pending") waiting.set(ticket, codes.length);
    codes.push(code === "pending" ? 0 : code);
  }
  connection.client.said = undefined;
  if (waiting.size === 0) {
    acknowledge(connection, packet.packetId, codes, NO_PROPERTIES);
    return;
  }
  connection.subscribing = { packet, codes, properties: NO_PROPERTIES, waiting };
  connection.hold();
}

/** The core has answered for one filter. False when the ticket belongs to something else. */
export function subscribeAnswered(
  connection: Connection,
  ticket: number,
  answer: SubscribeAnswer,
  words?: ServerWords,
): boolean {
  const pending = connection.subscribing;
  const index = pending?.waiting.get(ticket);
  if (pending === undefined || index === undefined) return false;
  pending.waiting.delete(ticket);
  const requested = pending.packet.subscriptions[index]!;
  pending.codes[index] =
    words !== undefined && typeof answer === "string"
      ? refusedCode(connection, requested, words.reason as ReasonCode)
      : codeOf(connection, requested, answer);
  if (pending.properties === NO_PROPERTIES && words !== undefined) pending.properties = words.properties;
  if (pending.waiting.size > 0) return true;
  connection.subscribing = undefined;
  if (connection.phase !== "ended") {
    acknowledge(connection, pending.packet.packetId, pending.codes, pending.properties);
  }
  return true;
}

function ask(
  connection: Connection,
  packet: SubscribePacket,
  subscription: Subscription,
  ticket: number,
): number | "pending" {
  const { config, client } = connection;
  const identifier = packet.properties.subscriptionIdentifier;
  const unsupported = unsupportedReason(connection, subscription, identifier);
  if (unsupported !== undefined) return refusedCode(connection, subscription, unsupported);
  const { bridge } = connection.terms;
  const noLocal = subscription.noLocal || bridge;
  const retainAsPublished = subscription.retainAsPublished || bridge;
  const { retainHandling } = subscription;
  const qos = Math.min(subscription.qos, config.maximumQoS) as QoS;
  const options = { qos, noLocal, retainAsPublished, retainHandling };
  const answer = client.subscribe(
    subscription.filter,
    identifier === undefined ? options : { ...options, identifier },
    ticket,
  );
  return answer === "pending" ? answer : codeOf(connection, subscription, answer);
}

/** What this gateway is configured not to do (MQTT 5 §3.2.2.3.11 to §3.2.2.3.13). */
function unsupportedReason(
  { config }: Connection,
  { filter }: Subscription,
  identifier: number | undefined,
): ReasonCode | undefined {
  if (identifier !== undefined && !config.subscriptionIdentifiers) {
    return ReasonCode.subscriptionIdentifiersNotSupported;
  }
  if (!config.sharedSubscriptions && parseSharedFilter(filter) !== undefined) {
    return ReasonCode.sharedSubscriptionsNotSupported;
  }
  if (!config.wildcardSubscriptions && hasWildcard(filter))
    return ReasonCode.wildcardSubscriptionsNotSupported;
  return undefined;
}

const codeOf = (connection: Connection, requested: Subscription, answer: SubscribeAnswer): number =>
  typeof answer === "number" ? answer : refusedCode(connection, requested, subackReason(answer));

function refusedCode(connection: Connection, requested: Subscription, reason: ReasonCode): number {
  const detail = { client: connection.client.id, filter: requested.filter, reasonCode: reason };
  connection.host.note({ level: "debug", event: "subscribe-refused", detail });
  if (connection.version === 5) return reason;
  // MQTT 3.1 has no way to say no: what was asked is repeated, and nothing will come.
  return connection.version === 4 ? FAILURE_3 : requested.qos;
}

function acknowledge(
  connection: Connection,
  packetId: number,
  codes: readonly number[],
  properties: Readonly<Properties>,
): void {
  const { version } = connection;
  connection.answer(SUBACK, encodeCodes(SUBACK, packetId, codes, version, told(connection, properties)));
}

/** A client that wants no reasons is given none [MQTT-3.1.2-29]. */
const told = ({ terms }: Connection, properties: Readonly<Properties>): Readonly<Properties> =>
  terms.problemInformation ? properties : NO_PROPERTIES;

/** UNSUBSCRIBE (MQTT 5 §3.10). */
export function unsubscribe(
  connection: Connection,
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
): void {
  const { client, version } = connection;
  const reader = new Reader(bytes, start, body, end, connection.config.maximumItems);
  const { packetId, properties, filters } = decodeUnsubscribe(reader, version);
  if (reader.error !== undefined) {
    connection.fail(reader.error);
    return;
  }
  const codes: ReasonCode[] = [];
  const pending: PendingUnsubscribe = { packetId, codes, properties: NO_PROPERTIES, left: 0 };
  client.said = properties;
  for (const filter of filters) {
    const ticket = connection.nextTicket();
    const answer = client.unsubscribe(filter, ticket);
    codes.push(answer === "pending" ? ReasonCode.success : unsubackReason(answer));
    if (answer !== "pending") continue;
    pending.left++;
    connection.unsubscribing ??= new Map();
    connection.unsubscribing.set(ticket, { pending, index: codes.length - 1 });
  }
  client.said = undefined;
  if (pending.left === 0) acknowledgeUnsubscribe(connection, pending);
  else if (connection.unsubscribing!.size >= connection.config.receiveMaximum) connection.hold();
}

/** The core has answered for one filter. False when the ticket belongs to something else. */
export function unsubscribeAnswered(
  connection: Connection,
  ticket: number,
  answer: UnsubscribeAnswer,
  words?: ServerWords,
): boolean {
  const waiting = connection.unsubscribing?.get(ticket);
  if (waiting === undefined) return false;
  connection.unsubscribing?.delete(ticket);
  const { pending, index } = waiting;
  pending.codes[index] = (words?.reason as ReasonCode | undefined) ?? unsubackReason(answer);
  if (pending.properties === NO_PROPERTIES && words !== undefined) pending.properties = words.properties;
  if (--pending.left === 0 && connection.phase !== "ended") acknowledgeUnsubscribe(connection, pending);
  return true;
}

/** MQTT 3 has nothing to say no with. */
function acknowledgeUnsubscribe(
  connection: Connection,
  { packetId, codes, properties }: PendingUnsubscribe,
): void {
  const { version } = connection;
  const bytes =
    version === 5
      ? encodeCodes(UNSUBACK, packetId, codes, version, told(connection, properties))
      : encodeUnsuback3(packetId);
  connection.answer(UNSUBACK, bytes);
}
