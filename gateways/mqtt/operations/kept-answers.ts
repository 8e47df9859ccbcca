import type { Answer } from "#core/contract/answers.ts";
import type { PacketType } from "#core/mqtt/packets.ts";
import type { ReasonCode } from "#core/mqtt/reason-codes.ts";
import type { Connection } from "../connection.ts";

type QoS2Answer = typeof PacketType.PUBREC | typeof PacketType.PUBCOMP;

/** An answer that is right as soon as the store has what it promises. */
export interface KeptAnswer {
  readonly packet: QoS2Answer;
  readonly packetId: number;
  readonly reason: ReasonCode;
}

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
export function keptAnswered(connection: Connection, ticket: number, given: Answer): boolean {
  const { kept } = connection;
  const answer = kept?.get(ticket);
  if (kept === undefined || answer === undefined) return false;
  kept.delete(ticket);
  if (connection.phase === "ended") return true;
  // What was taken or released before cannot be refused any more: the next try decides.
  if (given === "accepted") give(connection, answer);
  else answerOnceKept(connection, answer, 0);
  return true;
}

const give = (connection: Connection, { packet, packetId, reason }: KeptAnswer): void =>
  connection.acknowledge(packet, packetId, reason, "no such packet identifier");
