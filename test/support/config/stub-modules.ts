import { Type } from "@sinclair/typebox";
import type { ConfigurableModule } from "#core/config/schema.ts";
import { durationSetting } from "#core/lib/setting.ts";

/** Gateways that exist for tests of the configuration only. */
export const STUB_MODULES: readonly ConfigurableModule[] = [
  {
    name: "mqtt",
    transports: ["tcp", "tls", "ws", "wss"],
    schema: Type.Object({
      receiveMaximum: Type.Integer({
        description: "QoS 1 and 2 messages in flight.",
        default: 32,
        minimum: 1,
        maximum: 65_535,
      }),
      retryInterval: durationSetting({
        description: "Time until a packet is sent again.",
        default: "20s",
        minimum: "1s",
        maximum: "1h",
      }),
    }),
  },
  { name: "coap", schema: Type.Object({}) },
  { name: "lwm2m", schema: Type.Object({}) },
  { name: "mqtt-sn", schema: Type.Object({}) },
  { name: "stomp", schema: Type.Object({}) },
];
