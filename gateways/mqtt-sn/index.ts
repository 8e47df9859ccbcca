/** The MQTT-SN gateway as the composition root sees it. */
import type { GatewayModule } from "#core/contract/gateway.ts";
import { type MqttSnConfig, mqttSnSchema } from "./config.ts";
import { MqttSnEndpoint } from "./endpoint.ts";
import { Setup } from "./setup.ts";

export const mqttSn: GatewayModule<MqttSnConfig> = {
  name: "mqtt-sn",
  schema: mqttSnSchema,
  transports: ["udp", "dtls"],
  open(config, host) {
    const setup = new Setup(config, host);
    return { endpoint: () => new MqttSnEndpoint(setup) };
  },
};
