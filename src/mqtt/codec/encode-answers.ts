/** What a server sends besides PUBLISH. The views returned are valid until the next call. */
import { type Acknowledgement, PacketType, type ProtocolVersion } from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import { ReasonCode, type ReturnCode } from "../reason-codes.ts";
import { encodeProperties } from "./encode-properties.ts";
import { Writer } from "./writer.ts";

const writer = new Writer();

export const PINGRESP: Uint8Array = Uint8Array.of(PacketType.PINGRESP << 4, 0);

export function encodeConnack5(
  sessionPresent: boolean,
  reason: ReasonCode,
  properties: Readonly<Properties> = NO_PROPERTIES,
): Uint8Array {
  writer.begin();
  writer.octet(sessionPresent ? 1 : 0);
  writer.octet(reason);
  encodeProperties(writer, properties);
  return writer.finish(PacketType.CONNACK << 4);
}

/** CONNACK before MQTT 5; MQTT 3.1 has no session present flag. */
export function encodeConnack3(sessionPresent: boolean, code: ReturnCode): Uint8Array {
  writer.begin();
  writer.octet(sessionPresent ? 1 : 0);
  writer.octet(code);
  return writer.finish(PacketType.CONNACK << 4);
}

// Four octets are all that a success needs in any version (MQTT 5 §3.4.2.1).
const short = new Uint8Array(4);
short[1] = 2;

export function encodeAcknowledgement(packet: Acknowledgement, packetId: number): Uint8Array {
  short[0] = (packet << 4) | (packet === PacketType.PUBREL ? 2 : 0);
  short[2] = packetId >> 8;
  short[3] = packetId;
  return short;
}

/** An answer with a reason, MQTT 5 only; `reasonString` is left out when undefined. */
export function encodeReasonedAcknowledgement(
  packet: Acknowledgement,
  packetId: number,
  reason: ReasonCode,
  reasonString: string | undefined,
): Uint8Array {
  writer.begin();
  writer.uint16(packetId);
  writer.octet(reason);
  if (reasonString !== undefined) encodeProperties(writer, { reasonString });
  return writer.finish((packet << 4) | (packet === PacketType.PUBREL ? 2 : 0));
}

/** SUBACK, and UNSUBACK of MQTT 5. */
export function encodeCodes(
  packet: typeof PacketType.SUBACK | typeof PacketType.UNSUBACK,
  packetId: number,
  codes: readonly number[],
  version: ProtocolVersion,
): Uint8Array {
  writer.begin();
  writer.uint16(packetId);
  if (version === 5) writer.octet(0);
  for (const code of codes) writer.octet(code);
  return writer.finish(packet << 4);
}

/** UNSUBACK before MQTT 5 says nothing but its identifier. */
export function encodeUnsuback3(packetId: number): Uint8Array {
  writer.begin();
  writer.uint16(packetId);
  return writer.finish(PacketType.UNSUBACK << 4);
}

export function encodeDisconnect(reason: ReasonCode, properties: Readonly<Properties>): Uint8Array {
  writer.begin();
  if (reason !== ReasonCode.success || properties !== NO_PROPERTIES) writer.octet(reason);
  if (properties !== NO_PROPERTIES) encodeProperties(writer, properties);
  return writer.finish(PacketType.DISCONNECT << 4);
}
