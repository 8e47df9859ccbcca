/** SUBACK and UNSUBACK. The views returned are valid until the next call. */
import { PacketType, type ProtocolVersion } from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import { encodeProperties } from "./encode-properties.ts";
import { Writer } from "./writer.ts";

const writer = new Writer();

/** SUBACK, and UNSUBACK of MQTT 5. */
export function encodeCodes(
  packet: typeof PacketType.SUBACK | typeof PacketType.UNSUBACK,
  packetId: number,
  codes: readonly number[],
  version: ProtocolVersion,
  properties: Readonly<Properties> = NO_PROPERTIES,
): Uint8Array {
  writer.begin();
  writer.uint16(packetId);
  if (version === 5) encodeProperties(writer, properties);
  for (const code of codes) writer.octet(code);
  return writer.finish(packet << 4);
}

/** UNSUBACK before MQTT 5 says nothing but its identifier. */
export function encodeUnsuback3(packetId: number): Uint8Array {
  writer.begin();
  writer.uint16(packetId);
  return writer.finish(PacketType.UNSUBACK << 4);
}
