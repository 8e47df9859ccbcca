import type { PublishAnswer, SubscribeAnswer } from "#core/contract/answers.ts";
import { encodeCodes, encodeUnsuback3 } from "#core/mqtt/codec/encode-suback.ts";
import { PacketType } from "#core/mqtt/packets.ts";
import type { ReasonCode } from "#core/mqtt/reason-codes.ts";
import type { Connection } from "../connection.ts";
import { publishReason } from "../refusals.ts";

const { PUBREC, PUBCOMP, UNSUBACK } = PacketType;

type QoS2Answer = typeof PUBREC | typeof PUBCOMP;

/** An answer that is right as soon as the store has what it promises. */
export type KeptAnswer =
  | { readonly packet: QoS2Answer; readonly packetId: number; readonly reason: ReasonCode }
  | { readonly packet: typeof UNSUBACK; readonly packetId: number; readonly codes: readonly ReasonCode[] };

/** Gives the answer now, or when all that the store was told since `since` is committed. */
export function answerOnceKept(connection: Connection, answer: KeptAnswer, since: number): void {
  const ticket = connection.nextTicket();
  if (connection.client.kept(ticket, since) === "accepted") {
    give(connection, answer);
    return;
  }
  connection.kept ??= new Map();
  connection.kept.set(ticket, answer);
  if (connection.kept.size >= connection.receiveMaximum) connection.hold();
}

/** The store has it, or could not keep it. False when the ticket belongs to something else. */
export function keptAnswered(
  connection: Connection,
  ticket: number,
  given: PublishAnswer | SubscribeAnswer,
): boolean {
  const { kept } = connection;
  const answer = kept?.get(ticket);
  if (kept === undefined || answer === undefined) return false;
  kept.delete(ticket);
  if (connection.phase === "ended") return true;
  if (given === "accepted") give(connection, answer);
  else if (answer.packet !== UNSUBACK) {
    // What was taken or released before cannot be refused any more: the next try decides.
    answerOnceKept(connection, answer, 0);
  } else {
    const code = publishReason("unavailable");
    give(connection, { ...answer, codes: answer.codes.map(() => code) });
  }
  return true;
}

function give(connection: Connection, answer: KeptAnswer): void {
  const { version } = connection;
  const { packetId } = answer;
  if (answer.packet !== UNSUBACK) {
    connection.acknowledge(answer.packet, packetId, answer.reason, "no such packet identifier");
    return;
  }
  // MQTT 3 has nothing to say no with.
  const bytes =
    version === 5 ? encodeCodes(UNSUBACK, packetId, answer.codes, version) : encodeUnsuback3(packetId);
  connection.answer(UNSUBACK, bytes);
}
