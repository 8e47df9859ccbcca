/** CONNACK. The views returned are valid until the next call. */
import { PacketType } from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import type { ReasonCode, ReturnCode } from "../reason-codes.ts";
import { encodeProperties } from "./encode-properties.ts";
import { Writer } from "./writer.ts";

const writer = new Writer();

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
