import type { Endpoint } from "#core/contract/endpoint.ts";
import type { GatewayModule } from "#core/contract/gateway.ts";
import { MqttChannel } from "./channel.ts";
import { type MqttConfig, schema } from "./config.ts";
import { mqttCounters } from "./counters.ts";
import { MqttDissector } from "./dissector.ts";
import { turnAway } from "./operations/turn-away.ts";
import { MqttDescription } from "./operator.ts";

/** MQTT 3.1, 3.1.1 and 5.0 over TCP, TLS and WebSocket. */
export const mqtt: GatewayModule<MqttConfig> = {
  name: "mqtt",
  schema,
  transports: ["tcp", "tls", "ws", "wss"],
  // A connection keeps what it was told when it began.
  restart: [],
  describes: MqttDescription,
  anyTopic: true,
  // Without the subprotocol a WebSocket is let in too: some clients never name one (MQTT 5 §6).
  websocket: () => ({ subprotocols: ["mqtt", "mqttv3.1"], subprotocolRequired: false, frames: "binary" }),
  dissector: (of) => new MqttDissector(of),
  open(config, host) {
    const counters = mqttCounters(host);
    let options = config;
    const endpoint: Endpoint = {
      open: (_peer, channelHost, now) => new MqttChannel(channelHost, options, counters, now),
      turnAway,
    };
    return {
      endpoint: () => endpoint,
      reload(config) {
        options = config;
      },
    };
  },
};
