import type { QoS } from "../../bus/message.ts";
import { topicNameProblem } from "../../bus/topic.ts";
import { type ConnectPacket, PacketType, type ProtocolVersion, type WillPacket } from "../packets.ts";
import { NO_PROPERTIES, type Properties, WILL } from "../properties.ts";
import { ReasonCode } from "../reason-codes.ts";
import { CONNECT_FLAG, LEVEL_OF_BRIDGE } from "./connect-flags.ts";
import { decodeProperties } from "./decode-properties.ts";
import type { Reader } from "./reader.ts";

/** What stands before the fields whose form depends on the version. */
type Greeting =
  | { readonly kind: "speaks"; readonly version: ProtocolVersion; readonly bridge: boolean }
  /** MQTT, but a level that nobody here knows. */
  | { readonly kind: "unsupported"; readonly level: number }
  /** Not MQTT. */
  | { readonly kind: "stranger" };

/** Protocol name and level (MQTT 5 §3.1.2.1, §3.1.2.2). */
export function decodeGreeting(reader: Reader): Greeting {
  const name = reader.string();
  const octet = reader.octet();
  const bridge = octet === (LEVEL_OF_BRIDGE | 3) || octet === (LEVEL_OF_BRIDGE | 4);
  const level = bridge ? octet & ~LEVEL_OF_BRIDGE : octet;
  if (reader.error !== undefined) return { kind: "stranger" };
  if (name === "MQIsdp") {
    return level === 3 ? { kind: "speaks", version: 3, bridge } : { kind: "unsupported", level };
  }
  if (name !== "MQTT") {
    reader.fail(ReasonCode.unsupportedProtocolVersion, "[MQTT-3.1.2-1]", "protocol name is not MQTT");
    return { kind: "stranger" };
  }
  if (level !== 4 && level !== 5) return { kind: "unsupported", level };
  return { kind: "speaks", version: level, bridge };
}

/** The rest of CONNECT, from the flags on; see `Reader.error`. */
export function decodeConnect(reader: Reader, version: ProtocolVersion, bridge: boolean): ConnectPacket {
  const flags = reader.octet();
  checkFlags(reader, flags, version);
  const keepAlive = reader.uint16();
  const properties = version === 5 ? connectProperties(reader) : NO_PROPERTIES;
  const clientId = reader.string();
  const will = (flags & CONNECT_FLAG.will) === 0 ? undefined : decodeWill(reader, flags, version);
  // MQTT 3.1 §3.1: the remaining length takes precedence over the flags of user name and password.
  const cutShort = version === 3;
  const username =
    (flags & CONNECT_FLAG.username) === 0 || (cutShort && reader.done) ? undefined : reader.string();
  const password =
    (flags & CONNECT_FLAG.password) === 0 || (cutShort && reader.done) ? undefined : reader.binary();
  if (!reader.done) reader.malformed("MQTT 5 §3.1.3", "octets behind the last field");
  const cleanStart = (flags & CONNECT_FLAG.cleanStart) !== 0;
  return { version, bridge, clientId, cleanStart, keepAlive, properties, will, username, password };
}

function checkFlags(reader: Reader, flags: number, version: ProtocolVersion): void {
  if ((flags & CONNECT_FLAG.reserved) !== 0 && version !== 3) {
    reader.malformed("[MQTT-3.1.2-3]", "reserved connect flag is set");
  }
  const willQos = (flags >> 3) & 3;
  if (willQos === 3) reader.malformed("[MQTT-3.1.2-12]", "will QoS 3");
  if (version === 3) return;
  if ((flags & CONNECT_FLAG.will) === 0 && (willQos !== 0 || (flags & CONNECT_FLAG.willRetain) !== 0)) {
    reader.malformed("[MQTT-3.1.2-11]", "will QoS or will retain without a will");
  }
  if (version === 4 && (flags & CONNECT_FLAG.username) === 0 && (flags & CONNECT_FLAG.password) !== 0) {
    reader.malformed("[MQTT-3.1.2-22]", "password without user name");
  }
}

function connectProperties(reader: Reader): Readonly<Properties> {
  const properties = decodeProperties(reader, PacketType.CONNECT);
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    reader.fail(ReasonCode.protocolError, "MQTT 5 §3.1.2.11.10", "authentication data without a method");
  }
  return properties;
}

function decodeWill(reader: Reader, flags: number, version: ProtocolVersion): WillPacket {
  const properties = version === 5 ? decodeProperties(reader, WILL) : NO_PROPERTIES;
  const topic = reader.string();
  const problem = reader.error === undefined ? topicNameProblem(topic) : undefined;
  if (problem !== undefined)
    reader.fail(ReasonCode.topicNameInvalid, "MQTT 5 §3.1.3.3", `will topic: ${problem}`);
  const { responseTopic } = properties;
  if (responseTopic !== undefined && topicNameProblem(responseTopic) !== undefined) {
    reader.fail(
      ReasonCode.protocolError,
      "[MQTT-3.3.2-14]",
      "response topic of the will is not a topic name",
    );
  }
  const payload = reader.binary();
  const qos = ((flags >> 3) & 3) as QoS;
  return { topic, payload, qos, retain: (flags & CONNECT_FLAG.willRetain) !== 0, properties };
}
