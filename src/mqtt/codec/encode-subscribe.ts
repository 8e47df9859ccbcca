/**
 * SUBSCRIBE and UNSUBSCRIBE. The views returned are valid until the next call; undefined when a filter is longer than
 * MQTT can say.
 */
import {
  PacketType,
  type ProtocolVersion,
  type SubscribePacket,
  type Subscription,
  type UnsubscribePacket,
} from "../packets.ts";
import { encodeProperties } from "./encode-properties.ts";
import { Writer } from "./writer.ts";

const writer = new Writer();
/** SUBSCRIBE and UNSUBSCRIBE have a flag that is always set [MQTT-3.8.1-1], [MQTT-3.10.1-1]. */
const FLAGS = 0x02;

export function encodeSubscribe(packet: SubscribePacket, version: ProtocolVersion): Uint8Array | undefined {
  writer.begin();
  writer.uint16(packet.packetId);
  if (version === 5) encodeProperties(writer, packet.properties);
  for (const subscription of packet.subscriptions) {
    writer.string(subscription.filter);
    writer.octet(version === 5 ? optionsOf(subscription) : subscription.qos);
  }
  return writer.overlong ? undefined : writer.finish((PacketType.SUBSCRIBE << 4) | FLAGS);
}

/** MQTT 5 §3.8.3.1. */
const optionsOf = ({ qos, noLocal, retainAsPublished, retainHandling }: Subscription): number =>
  qos | (noLocal ? 0x04 : 0) | (retainAsPublished ? 0x08 : 0) | (retainHandling << 4);

export function encodeUnsubscribe(
  packet: UnsubscribePacket,
  version: ProtocolVersion,
): Uint8Array | undefined {
  writer.begin();
  writer.uint16(packet.packetId);
  if (version === 5) encodeProperties(writer, packet.properties);
  for (const filter of packet.filters) writer.string(filter);
  return writer.overlong ? undefined : writer.finish((PacketType.UNSUBSCRIBE << 4) | FLAGS);
}
