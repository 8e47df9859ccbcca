/** PUBACK and its like, DISCONNECT, AUTH. The views returned are valid until the next call. */
import { type Acknowledgement, PacketType } from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import { ReasonCode } from "../reason-codes.ts";
import { encodeProperties } from "./encode-properties.ts";
import { Writer } from "./writer.ts";

const writer = new Writer();

// Four octets are all that a success needs in any version (MQTT 5 §3.4.2.1).
const short = new Uint8Array(4);
short[1] = 2;

export function encodeAcknowledgement(packet: Acknowledgement, packetId: number): Uint8Array {
  short[0] = (packet << 4) | (packet === PacketType.PUBREL ? 2 : 0);
  short[2] = packetId >> 8;
  short[3] = packetId;
  return short;
}

/** An answer with a reason, MQTT 5 only. */
export function encodeReasonedAcknowledgement(
  packet: Acknowledgement,
  packetId: number,
  reason: ReasonCode,
  properties: Readonly<Properties> = NO_PROPERTIES,
): Uint8Array {
  writer.begin();
  writer.uint16(packetId);
  writer.octet(reason);
  if (properties !== NO_PROPERTIES) encodeProperties(writer, properties);
  return writer.finish((packet << 4) | (packet === PacketType.PUBREL ? 2 : 0));
}

/** DISCONNECT of MQTT 5; before that a client's has no reason and no properties, and a server has none. */
export const encodeDisconnect = (reason: ReasonCode, properties = NO_PROPERTIES): Uint8Array =>
  encodeReason(PacketType.DISCONNECT, reason, properties);

export const encodeAuth = (reason: ReasonCode, properties: Readonly<Properties>): Uint8Array =>
  encodeReason(PacketType.AUTH, reason, properties);

/** Success without properties is no octet at all (MQTT 5 §3.14.2.1, §3.15.2.1). */
function encodeReason(packet: number, reason: ReasonCode, properties: Readonly<Properties>): Uint8Array {
  writer.begin();
  if (reason !== ReasonCode.success || properties !== NO_PROPERTIES) writer.octet(reason);
  if (properties !== NO_PROPERTIES) encodeProperties(writer, properties);
  return writer.finish(packet << 4);
}
