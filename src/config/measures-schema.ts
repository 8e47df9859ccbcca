import { type Static, Type } from "@sinclair/typebox";
import { durationSetting } from "../lib/setting.ts";
import { choice, flag, integer } from "../settings/kinds.ts";

/** What is measured of single topics and subscriptions: nothing, until somebody names it. */
export const measureProperties = {
  topicMetrics: Type.Array(Type.String({ minLength: 1, maxLength: 1_024 }), {
    description:
      "Topic filters, as on the bus, whose messages are counted by QoS: what came, what was handed to clients, what their queues dropped, with rates. In /api/v1/topic-metrics and isthmus_topic_messages. Not with bus.engine: upstream, where messages pass the cluster.",
    default: [],
    maxItems: 100,
    uniqueItems: true,
  }),
  slowSubscriptions: Type.Object(
    {
      enable: flag({ description: "Measure how late clients get their messages.", default: false }),
      measure: choice(["whole", "internal", "response"], {
        description:
          "whole: from the publish until the client has the message (QoS 0: it is handed over, QoS 1 and 2: it is acknowledged). internal: until it is handed over. response: from then on until it is acknowledged.",
        default: "whole",
      }),
      threshold: durationSetting({
        description: "Shorter delays are not noted.",
        default: "500ms",
        minimum: "100ms",
      }),
      rows: integer(1, 1_000, {
        description: "Clients and topics that are remembered, the slowest of them.",
        default: 10,
      }),
      forgetAfter: durationSetting({
        description: "A row that was not slow again for so long is forgotten.",
        default: "5m",
        minimum: "1s",
      }),
    },
    {
      description:
        "A list of the slowest deliveries by client and topic, at /api/v1/slow-subscriptions. Messages older than the client's connection, and retained ones, do not count. Not with bus.engine: upstream.",
    },
  ),
};

const Measures = Type.Object(measureProperties);
export type MeasuresConfig = Static<typeof Measures>;
