import { type ConnackPacket, PacketType, type ProtocolVersion } from "../packets.ts";
import { NO_PROPERTIES } from "../properties.ts";
import { isFailure, ReasonCode, reasonOfReturnCode } from "../reason-codes.ts";
import { decodeProperties } from "./decode-properties.ts";
import type { Reader } from "./reader.ts";

/** CONNACK from behind its fixed header, in answer to a CONNECT of `version`; see `Reader.error`. */
export function decodeConnack(reader: Reader, version: ProtocolVersion): ConnackPacket {
  const flags = reader.octet();
  const code = reader.octet();
  // MQTT 3.1 reserves the whole octet.
  const sessionPresent = version !== 3 && (flags & 1) !== 0;
  if (version !== 3 && (flags & ~1) !== 0) reader.malformed("[MQTT-3.2.2-1]", "reserved connack flag is set");
  // A server that does not know MQTT 5 says so as it can: two octets, and a return code of its own version.
  const older = version !== 5 || (reader.done && code !== 0);
  const reason = older && !isFailure(code) ? reasonOfReturnCode(code) : (code as ReasonCode);
  const properties = older ? NO_PROPERTIES : decodeProperties(reader, PacketType.CONNACK);
  if (!reader.done) reader.malformed("MQTT 5 §2.1.4", "octets behind the last field");
  checkReason(reader, sessionPresent, reason);
  return { sessionPresent, reason, properties };
}

function checkReason(reader: Reader, sessionPresent: boolean, reason: ReasonCode): void {
  if (reason !== ReasonCode.success && !isFailure(reason)) {
    reader.fail(ReasonCode.protocolError, "MQTT 5 §3.2.2.2", `CONNACK has no reason ${reason}`);
  }
  if (reason !== ReasonCode.success && sessionPresent) {
    reader.fail(ReasonCode.protocolError, "[MQTT-3.2.2-6]", "session present with a refusal");
  }
}
