import type { GatewayHost } from "#core/contract/gateway.ts";
import type { Counter } from "#core/contract/note.ts";
import { PACKET_NAMES } from "#core/mqtt/packets.ts";

/** Numbers that all connections of the gateway share. */
export interface MqttCounters {
  /** By packet type. */
  readonly received: readonly Counter[];
  readonly sent: readonly Counter[];
  readonly protocolErrors: Counter;
  readonly tooLarge: Counter;
  readonly refused: Counter;
}

export function mqttCounters(host: GatewayHost): MqttCounters {
  const byType = (name: string, help: string): readonly Counter[] =>
    PACKET_NAMES.map((packet) => host.counter(name, help, packet.toLowerCase()));
  return {
    received: byType("packets_received", "Control packets received"),
    sent: byType("packets_sent", "Control packets sent"),
    protocolErrors: host.counter("protocol_errors", "Connections ended because of what the client sent"),
    tooLarge: host.counter("deliveries_too_large", "Messages over a client's Maximum Packet Size"),
    refused: host.counter("publishes_refused", "Messages of clients that were refused"),
  };
}
