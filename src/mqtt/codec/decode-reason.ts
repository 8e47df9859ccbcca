import { PacketType, type ProtocolVersion, type ReasonPacket } from "../packets.ts";
import { NO_PROPERTIES, SERVER_DISCONNECT } from "../properties.ts";
import { ReasonCode } from "../reason-codes.ts";
import { decodeProperties } from "./decode-properties.ts";
import type { Reader } from "./reader.ts";

/** The reasons that a packet may have (MQTT 5 Table 2-6), for what both ends may send, and for a client's DISCONNECT. */
const RECEIPT: ReadonlySet<number> = new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);
/** Of a server also what mosquitto says, beside the table, of a message that is larger than its `message_size_limit`. */
const SERVER_RECEIPT: ReadonlySet<number> = new Set([...RECEIPT, 0x95]);
const RELEASE: ReadonlySet<number> = new Set([0x00, 0x92]);
const FAREWELL: ReadonlySet<number> = new Set([
  0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
]);

/** A server's DISCONNECT (MQTT 5 Table 2-6). */
const DISMISSAL: ReadonlySet<number> = new Set([
  ...[0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96],
  ...[0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2],
]);

/** What an answer says that has nothing but its packet identifier. */
export const SUCCESS: ReasonPacket = { reason: ReasonCode.success, properties: NO_PROPERTIES };

/** DISCONNECT of a client from behind its fixed header; see `Reader.error`. */
export function decodeDisconnect(reader: Reader, version: ProtocolVersion): ReasonPacket {
  if (version !== 5) {
    if (!reader.done) reader.malformed("MQTT 3.1.1 §3.14", "DISCONNECT with a body");
    return { reason: ReasonCode.success, properties: NO_PROPERTIES };
  }
  const packet = decodeReason(reader, PacketType.DISCONNECT);
  checkReason(reader, FAREWELL, packet.reason, "[MQTT-3.14.2-1]");
  return packet;
}

/** DISCONNECT of a server from behind its fixed header, MQTT 5 only (MQTT 5 §3.14); see `Reader.error`. */
export function decodeServerDisconnect(reader: Reader): ReasonPacket {
  const packet = decodeReason(reader, SERVER_DISCONNECT);
  checkReason(reader, DISMISSAL, packet.reason, "[MQTT-3.14.2-1]");
  return packet;
}

/** AUTH from behind its fixed header (MQTT 5 §3.15); see `Reader.error`. */
export const decodeAuth = (reader: Reader): ReasonPacket => decodeReason(reader, PacketType.AUTH);

/**
 * The body of an answer to PUBLISH or PUBREL: packet identifier, and in MQTT 5 perhaps a reason and
 * properties (MQTT 5 §3.4.2). The identifier stands in the first two octets.
 */
export function decodeAcknowledgement(
  reader: Reader,
  packet: number,
  version: ProtocolVersion,
  receipts = RECEIPT,
): ReasonPacket {
  reader.packetId();
  if (version !== 5) {
    if (!reader.done) reader.malformed("MQTT 3.1.1 §3.4", "octets behind the packet identifier");
    return SUCCESS;
  }
  const answer = decodeReason(reader, packet);
  const receipt = packet === PacketType.PUBACK || packet === PacketType.PUBREC;
  const known = receipt ? receipts : RELEASE;
  checkReason(reader, known, answer.reason, receipt ? "[MQTT-3.4.2-1]" : "[MQTT-3.6.2-1]");
  return answer;
}

/** As `decodeAcknowledgement`, of a server. */
export const decodeServerAcknowledgement = (
  reader: Reader,
  packet: number,
  version: ProtocolVersion,
): ReasonPacket => decodeAcknowledgement(reader, packet, version, SERVER_RECEIPT);

function checkReason(reader: Reader, known: ReadonlySet<number>, reason: ReasonCode, clause: string): void {
  if (!known.has(reason)) {
    reader.fail(ReasonCode.protocolError, clause, `the packet has no reason 0x${reason.toString(16)}`);
  }
}

/** Reason and properties may both be left out, and the properties alone too. */
function decodeReason(reader: Reader, packet: number): ReasonPacket {
  if (reader.done) return { reason: ReasonCode.success, properties: NO_PROPERTIES };
  const reason = reader.octet() as ReasonCode;
  if (reader.done) return { reason, properties: NO_PROPERTIES };
  const properties = decodeProperties(reader, packet);
  if (!reader.done) reader.malformed("MQTT 5 §2.1.4", "octets behind the properties");
  return { reason, properties };
}
