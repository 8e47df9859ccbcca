import type { QoS } from "../../bus/message.ts";
import { parseSharedFilter, topicFilterProblem } from "../../bus/topic.ts";
import {
  PacketType,
  type ProtocolVersion,
  type SubscribePacket,
  type Subscription,
  type UnsubscribePacket,
} from "../packets.ts";
import { NO_PROPERTIES } from "../properties.ts";
import { ReasonCode } from "../reason-codes.ts";
import { decodeProperties } from "./decode-properties.ts";
import type { Reader } from "./reader.ts";

/** SUBSCRIBE from its packet identifier on; see `Reader.error`. */
export function decodeSubscribe(reader: Reader, version: ProtocolVersion): SubscribePacket {
  const packetId = reader.packetId();
  const properties = version === 5 ? decodeProperties(reader, PacketType.SUBSCRIBE) : NO_PROPERTIES;
  const subscriptions: Subscription[] = [];
  if (reader.done) reader.fail(ReasonCode.protocolError, "[MQTT-3.8.3-2]", "no topic filter");
  while (!reader.done) subscriptions.push(decodeSubscription(reader, version));
  return { packetId, properties, subscriptions };
}

function decodeSubscription(reader: Reader, version: ProtocolVersion): Subscription {
  const filter = decodeFilter(reader);
  const options = reader.octet();
  const qos = (options & 0x03) as QoS;
  const retainHandling = ((options >> 4) & 0x03) as 0 | 1 | 2;
  const reserved = version === 5 ? 0xc0 : 0xfc;
  if ((options & reserved) !== 0) reader.malformed("[MQTT-3.8.3-5]", "reserved subscription option is set");
  if ((options & 0x03) === 3) reader.malformed("MQTT 5 §3.8.3.1", "QoS 3");
  if (((options >> 4) & 0x03) === 3) {
    reader.fail(ReasonCode.protocolError, "MQTT 5 §3.8.3.1", "retain handling 3");
  }
  const noLocal = (options & 0x04) !== 0;
  if (noLocal && reader.error === undefined && parseSharedFilter(filter) !== undefined) {
    reader.fail(ReasonCode.protocolError, "[MQTT-3.8.3-4]", "no local on a shared subscription");
  }
  return { filter, qos, noLocal, retainAsPublished: (options & 0x08) !== 0, retainHandling };
}

/** UNSUBSCRIBE from its packet identifier on; see `Reader.error`. */
export function decodeUnsubscribe(reader: Reader, version: ProtocolVersion): UnsubscribePacket {
  const packetId = reader.packetId();
  const properties = version === 5 ? decodeProperties(reader, PacketType.UNSUBSCRIBE) : NO_PROPERTIES;
  const filters: string[] = [];
  if (reader.done) reader.fail(ReasonCode.protocolError, "[MQTT-3.10.3-2]", "no topic filter");
  while (!reader.done) filters.push(decodeFilter(reader));
  return { packetId, properties, filters };
}

function decodeFilter(reader: Reader): string {
  reader.item();
  const filter = reader.string();
  if (reader.error !== undefined) return "";
  const problem = topicFilterProblem(filter);
  if (problem !== undefined) {
    reader.fail(ReasonCode.topicFilterInvalid, "[MQTT-4.7.1-1]", `topic filter: ${problem}`);
  } else if (parseSharedFilter(filter) === "malformed") {
    reader.fail(ReasonCode.topicFilterInvalid, "[MQTT-4.8.2-1]", "malformed shared subscription");
  }
  return filter;
}
