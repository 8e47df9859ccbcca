import type { PublishAnswer, ServerWords } from "#core/contract/answers.ts";
import { PacketType } from "#core/mqtt/packets.ts";
import { ReasonCode } from "#core/mqtt/reason-codes.ts";
import type { Connection } from "../connection.ts";
import { publishReason } from "../refusals.ts";
import { AnswersInOrder, type PublishVerdict } from "./answers-in-order.ts";
import { answerOnceKept } from "./kept-answers.ts";

const { PUBACK, PUBREC, PUBCOMP } = PacketType;

/** Answers a QoS 1 or 2 publish now, or when those before it have been answered. */
export function answerInTurn(
  connection: Connection,
  ticket: number,
  qos: 1 | 2,
  packetId: number,
  verdict: PublishVerdict | "pending",
): void {
  if (connection.answers === undefined) {
    if (verdict !== "pending") {
      answer(connection, qos, packetId, verdict);
      return;
    }
    connection.answers = new AnswersInOrder();
  }
  connection.answers.push(ticket, qos, packetId, verdict === "pending" ? undefined : verdict);
  // Before MQTT 5 a client knows no Receive Maximum, so it is the socket that has to wait.
  if (connection.answers.length >= connection.receiveMaximum) connection.hold();
}

/** The core has answered a publish that was pending. False when the ticket belongs to something else. */
export function publishAnswered(
  connection: Connection,
  ticket: number,
  given: PublishAnswer,
  said?: ServerWords,
): boolean {
  const { answers } = connection;
  const answered = answers?.answered(ticket, given, said);
  if (answers === undefined || answered === undefined) return false;
  if (answered.qos === 2) freeRefused(connection, answered.packetId, given);
  answers.drain((qos, packetId, verdict, words) => answer(connection, qos, packetId, verdict, words));
  if (answers.length === 0) connection.answers = undefined;
  return true;
}

function answer(
  connection: Connection,
  qos: 1 | 2,
  packetId: number,
  verdict: PublishVerdict,
  words?: ServerWords,
): void {
  if (connection.phase === "ended") return;
  if (isRefused(verdict)) {
    refuse(connection, qos, packetId, verdict, words);
    return;
  }
  if (qos === 1) connection.unanswered--;
  if (words !== undefined && connection.version === 5) {
    repeat(connection, qos, packetId, words);
    return;
  }
  const reason = verdict === "accepted" ? ReasonCode.success : ReasonCode.noMatchingSubscribers;
  connection.acknowledge(qos === 1 ? PUBACK : PUBREC, packetId, reason);
}

/** What a server behind the gateway has answered. */
const repeat = (
  connection: Connection,
  qos: 1 | 2,
  packetId: number,
  { reason, properties }: ServerWords,
): void => connection.acknowledge(qos === 1 ? PUBACK : PUBREC, packetId, reason as ReasonCode, properties);

type Refused = Exclude<PublishVerdict, "accepted" | "no-subscribers">;

const isRefused = (verdict: PublishVerdict): verdict is Refused =>
  verdict !== "accepted" && verdict !== "no-subscribers";

/**
 * The id is free from the refusal on, not from when the client hears of it, which is behind the answers before it: a
 * client that is gone by then sends the message again, and that must not be taken for a repeat of one that was taken.
 */
export function freeRefused(connection: Connection, packetId: number, verdict: PublishVerdict): void {
  if (isRefused(verdict) && endsExchange(connection, verdict)) releaseInbound(connection, packetId);
}

/** No PUBREL follows such a PUBREC [MQTT-4.3.3-4], or none on this connection. */
const endsExchange = (connection: Connection, refusal: Refused): boolean =>
  connection.version === 5 || endsConnection(connection, refusal);

/** Before MQTT 5 there is no other way to say it. */
const endsConnection = ({ version, config }: Connection, refusal: Refused): boolean =>
  version !== 5 && (config.refusedPublish === "disconnect" || mayHelpToRepeat(refusal));

function refuse(
  connection: Connection,
  qos: 1 | 2,
  packetId: number,
  refusal: Refused,
  words?: ServerWords,
): void {
  noteRefusal(connection, refusal);
  const reason = refusal === "payload-unfit" ? ReasonCode.payloadFormatInvalid : publishReason(refusal);
  const saysWhy = connection.version === 5;
  if (qos === 1) connection.unanswered--;
  if (endsConnection(connection, refusal)) connection.disconnect(reason, `publish refused: ${refusal}`);
  else if (words !== undefined && saysWhy) repeat(connection, qos, packetId, words);
  else connection.acknowledge(qos === 1 ? PUBACK : PUBREC, packetId, reason, refusal);
}

/** An MQTT 3 client repeats on its next connection what was not acknowledged; an acknowledgement would lose it. */
const mayHelpToRepeat = (refusal: Refused): boolean => refusal === "congested" || refusal === "unavailable";

export function noteRefusal(connection: Connection, refusal: Refused, topic?: string): void {
  connection.counters.refused.value++;
  const detail = { client: connection.client.id, refusal, ...(topic === undefined ? {} : { topic }) };
  connection.host.note({ level: "debug", event: "publish-refused", detail });
}

/** Forgets an inbound QoS 2 packet id; false when it was not known. */
export function releaseInbound(connection: Connection, packetId: number): boolean {
  const known = connection.client.releaseInbound(packetId);
  // An id of an earlier connection was not counted on this one.
  if (known && connection.unanswered > 0) connection.unanswered--;
  return known;
}

/**
 * PUBREL: the client may use the packet id again after PUBCOMP [MQTT-4.3.3-11], so that waits until a crash cannot
 * bring the old use back. An id that is not known may have been released a moment ago, on another connection.
 */
export function publishReleased(connection: Connection, packetId: number): void {
  const { told } = connection.client;
  const known = releaseInbound(connection, packetId);
  if (!known) connection.counters.missed.pubrel.value++;
  const reason = known ? ReasonCode.success : ReasonCode.packetIdentifierNotFound;
  answerOnceKept(connection, { packet: PUBCOMP, packetId, reason }, known ? told : 0);
}
