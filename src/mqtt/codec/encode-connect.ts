import { type ConnectPacket, PacketType, type WillPacket } from "../packets.ts";
import { CONNECT_FLAG, LEVEL_OF_BRIDGE } from "./connect-flags.ts";
import { encodeProperties } from "./encode-properties.ts";
import { Writer } from "./writer.ts";

const writer = new Writer();

/** CONNECT, valid until the next call; undefined when a field is longer than MQTT can say. */
export function encodeConnect(packet: ConnectPacket): Uint8Array | undefined {
  const { version, will, username, password } = packet;
  writer.begin();
  writer.string(version === 3 ? "MQIsdp" : "MQTT");
  writer.octet(packet.bridge ? version | LEVEL_OF_BRIDGE : version);
  writer.octet(flagsOf(packet));
  writer.uint16(packet.keepAlive);
  if (version === 5) encodeProperties(writer, packet.properties);
  writer.string(packet.clientId);
  if (will !== undefined) writeWill(will, version === 5);
  if (username !== undefined) writer.string(username);
  if (password !== undefined) writer.binary(password);
  return writer.overlong ? undefined : writer.finish(PacketType.CONNECT << 4);
}

function flagsOf({ cleanStart, will, username, password }: ConnectPacket): number {
  let flags = cleanStart ? CONNECT_FLAG.cleanStart : 0;
  if (will !== undefined) {
    flags |= CONNECT_FLAG.will | (will.qos << 3) | (will.retain ? CONNECT_FLAG.willRetain : 0);
  }
  if (username !== undefined) flags |= CONNECT_FLAG.username;
  if (password !== undefined) flags |= CONNECT_FLAG.password;
  return flags;
}

function writeWill({ topic, payload, properties }: WillPacket, withProperties: boolean): void {
  if (withProperties) encodeProperties(writer, properties);
  writer.string(topic);
  writer.binary(payload);
}
