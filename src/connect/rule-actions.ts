/** Settings of the actions that lead to no connector. */
import { Type } from "@sinclair/typebox";
import { flag, text } from "../settings/kinds.ts";
import { contentText } from "./settings.ts";

export const REPUBLISH_ACTION = Type.Object(
  {
    kind: Type.Literal("republish", { description: "Publish a message." }),
    topic: text({ description: "A template.", minLength: 1 }),
    payload: contentText("${payload}"),
    qos: Type.Unsafe<string | number>({
      type: ["string", "integer"],
      description: "0, 1, 2, or a template; where it gives nothing, that of the event.",
      default: "${qos}",
    }),
    retain: Type.Unsafe<string | boolean>({
      type: ["string", "boolean"],
      description: "true, false, or a template.",
      default: false,
    }),
    properties: Type.Record(
      Type.String({ pattern: "^(payloadFormat|contentType|responseTopic|correlationData|expiry)$" }),
      text({ description: "A template." }),
      {
        description:
          "Properties of MQTT 5: payloadFormat, contentType, responseTopic, correlationData, expiry in seconds.",
        default: {},
      },
    ),
    userProperties: text({
      description: "A place for a map, or a list of keys and values: ${pub_props.'User-Property-Pairs'}.",
      default: "",
    }),
    direct: flag({ description: "To subscribers only: no rule sees the message.", default: false }),
  },
  { description: "A message on the bus for each output." },
);

export const CONSOLE_ACTION = Type.Object(
  { kind: Type.Literal("console", { description: "Write the output to the log." }) },
  { description: "A line of the log for each output." },
);
