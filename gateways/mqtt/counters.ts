import type { GatewayHost } from "#core/contract/gateway.ts";
import type { Counter } from "#core/contract/note.ts";
import { PACKET_NAMES, PacketType } from "#core/mqtt/packets.ts";

const FROM_CLIENTS: readonly number[] = [
  PacketType.CONNECT,
  PacketType.PUBLISH,
  PacketType.PUBACK,
  PacketType.PUBREC,
  PacketType.PUBREL,
  PacketType.PUBCOMP,
  PacketType.SUBSCRIBE,
  PacketType.UNSUBSCRIBE,
  PacketType.PINGREQ,
  PacketType.DISCONNECT,
];
const TO_CLIENTS: readonly number[] = [
  PacketType.CONNACK,
  PacketType.PUBLISH,
  PacketType.PUBACK,
  PacketType.PUBREC,
  PacketType.PUBREL,
  PacketType.PUBCOMP,
  PacketType.SUBACK,
  PacketType.UNSUBACK,
  PacketType.PINGRESP,
  PacketType.DISCONNECT,
];

/** Numbers that all connections of the gateway share. */
export interface MqttCounters {
  /** By packet type. */
  readonly received: readonly Counter[];
  readonly sent: readonly Counter[];
  /** By packet type: acknowledgements of what was not on its way. */
  readonly missed: Readonly<Record<"puback" | "pubrec" | "pubrel" | "pubcomp", Counter>>;
  /** QoS 2 messages that were refused because too many wait for PUBREL. */
  readonly releasesFull: Counter;
  readonly protocolErrors: Counter;
  readonly tooLarge: Counter;
  readonly refused: Counter;
}

export function mqttCounters(host: GatewayHost): MqttCounters {
  /** What goes the other way, or is nothing at all, has one kind: it is all the same error. */
  const byType = (name: string, help: string, types: readonly number[]): readonly Counter[] =>
    PACKET_NAMES.map((packet, type) =>
      host.counter(name, help, types.includes(type) ? packet.toLowerCase() : "other"),
    );
  const missed = (packet: string): Counter =>
    host.counter("packets_missed", "Acknowledgements of what was not on its way", packet);
  return {
    missed: {
      puback: missed("puback"),
      pubrec: missed("pubrec"),
      pubrel: missed("pubrel"),
      pubcomp: missed("pubcomp"),
    },
    releasesFull: host.counter(
      "releases_full",
      "QoS 2 messages that were refused because too many wait for PUBREL",
    ),
    received: byType("packets_received", "Control packets received", FROM_CLIENTS),
    // Nothing else is sent.
    sent: PACKET_NAMES.map((packet, type) =>
      TO_CLIENTS.includes(type)
        ? host.counter("packets_sent", "Control packets sent", packet.toLowerCase())
        : { value: 0 },
    ),
    protocolErrors: host.counter("protocol_errors", "Connections ended because of what the client sent"),
    tooLarge: host.counter("deliveries_too_large", "Messages over a client's Maximum Packet Size"),
    refused: host.counter("publishes_refused", "Messages of clients that were refused"),
  };
}
