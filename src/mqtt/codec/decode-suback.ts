import { type CodesPacket, PacketType, type ProtocolVersion } from "../packets.ts";
import { NO_PROPERTIES } from "../properties.ts";
import { isFailure, ReasonCode } from "../reason-codes.ts";
import { decodeProperties } from "./decode-properties.ts";
import type { Reader } from "./reader.ts";

/** SUBACK from behind its fixed header; 0x80 of MQTT 3.1.1 is MQTT 5's "unspecified error". See `Reader.error`. */
export function decodeSuback(reader: Reader, version: ProtocolVersion): CodesPacket {
  const packetId = reader.packetId();
  const properties = version === 5 ? decodeProperties(reader, PacketType.SUBACK) : NO_PROPERTIES;
  const codes = decodeCodes(reader);
  const known = (code: number) => code <= 2 || (version === 5 ? isFailure(code) : code === FAILURE_3);
  if (!codes.every(known)) reader.malformed("[MQTT-3.9.3-2]", "SUBACK has no such code");
  return { packetId, properties, codes };
}

/** What MQTT 3.1.1 has for any failure (MQTT 3.1.1 §3.9.3). */
const FAILURE_3 = 0x80;

/** UNSUBACK from behind its fixed header; see `Reader.error`. */
export function decodeUnsuback(reader: Reader, version: ProtocolVersion): CodesPacket {
  const packetId = reader.packetId();
  if (version !== 5) {
    if (!reader.done) reader.malformed("MQTT 3.1.1 §3.11", "octets behind the packet identifier");
    return { packetId, properties: NO_PROPERTIES, codes: [] };
  }
  const properties = decodeProperties(reader, PacketType.UNSUBACK);
  const codes = decodeCodes(reader);
  const known = (code: number) =>
    code === ReasonCode.success || code === ReasonCode.noSubscriptionExisted || isFailure(code);
  if (!codes.every(known)) reader.malformed("[MQTT-3.11.3-2]", "UNSUBACK has no such code");
  return { packetId, properties, codes };
}

/** All that is left of the packet. */
function decodeCodes(reader: Reader): ReasonCode[] {
  if (reader.done) reader.fail(ReasonCode.protocolError, "MQTT 5 §3.9.3", "no code");
  const codes: ReasonCode[] = [];
  while (!reader.done) codes.push(reader.octet() as ReasonCode);
  return codes;
}
