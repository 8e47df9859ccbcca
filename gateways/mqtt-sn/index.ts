/** The MQTT-SN gateway as the composition root sees it. */
import type { GatewayModule } from "#core/contract/gateway.ts";
import { type MqttSnConfig, mqttSnSchema } from "./config.ts";
import { MqttSnDissector } from "./dissector.ts";
import { MqttSnEndpoint } from "./endpoint.ts";
import { MqttSnDescription } from "./operator.ts";
import { Setup } from "./setup.ts";

export const mqttSn: GatewayModule<MqttSnConfig> = {
  name: "mqtt-sn",
  schema: mqttSnSchema,
  transports: ["udp", "dtls"],
  // What listeners are made from, and who devices are on the bus.
  restart: [
    ...["gatewayId", "mode", "aggregateClientId", "unknownReplies", "unprovenFactor"],
    ...["discovery.advertise", "discovery.interval"],
  ],
  anyTopic: true,
  describes: MqttSnDescription,
  dissector: () => new MqttSnDissector(),
  open(config, host) {
    const setup = new Setup(config, host);
    return {
      endpoint: () => new MqttSnEndpoint(setup),
      reload: (next) => setup.reload(next),
    };
  },
};
