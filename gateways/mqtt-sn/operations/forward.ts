/** Devices behind a forwarder (MQTT-SN 1.2 §5.5). */
import { sameBytes } from "#core/lib/bytes.ts";
import type { MqttSnChannel } from "../channel.ts";
import { decode } from "../codec.ts";
import { ENCAPSULATED, LONG_LENGTH } from "../packets.ts";

export const isEncapsulated = (bytes: Uint8Array): boolean =>
  bytes[1] === ENCAPSULATED && bytes[0] !== LONG_LENGTH;

/** The name of a wireless node, for `Peer.node`. */
export const nodeName = (node: Uint8Array): string =>
  Buffer.from(node.buffer, node.byteOffset, node.length).toString("hex");

/**
 * The device's own message, and the way back to it: answers go as the last message came, directly or through
 * a forwarder to the same node. `undefined` when the wrapping is malformed.
 */
export function unwrap(channel: MqttSnChannel, bytes: Uint8Array): Uint8Array | undefined {
  if (!isEncapsulated(bytes)) {
    channel.node = undefined;
    return bytes;
  }
  const packet = decode(bytes);
  if (!packet.ok || packet.value.type !== ENCAPSULATED) return undefined;
  const { node, message } = packet.value;
  if (channel.node === undefined || !sameBytes(channel.node, node)) channel.node = node.slice();
  return message;
}
