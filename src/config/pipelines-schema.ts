/** Settings of pipelines: filters that are asked, packet by packet, and files of Easegress that have such. */
import { type Static, Type } from "@sinclair/typebox";
import { PACKET_TYPES } from "../pipelines/filter.ts";
import { FilterSchema } from "../pipelines/kinds.ts";
import { choice, flag, NAME_PATTERN, text, texts } from "../settings/kinds.ts";

export { PACKET_TYPES };

export const PipelineSchema = Type.Object(
  {
    enable: flag({ description: "Run this pipeline.", default: true }),
    description: text({ description: "For people.", default: "" }),
    packetType: choice(PACKET_TYPES, { description: "Packets that it is for." }),
    gateways: Type.Optional(
      texts({ description: "Gateways whose clients it is for, such as mqtt or coap; absent: all." }),
    ),
    brokerMode: flag({
      description:
        "Of Publish. true: what passes is given to subscribers here as well. false: to the filters' sinks only.",
      default: true,
    }),
    flow: Type.Array(
      Type.Object({
        filter: text({ description: "Name of a filter; END ends the flow." }),
        jumpIf: Type.Record(Type.String(), text({ description: "A filter further behind, or END." }), {
          description:
            "Where it goes on after a result. What is not named here ends the pipeline, and the packet is refused.",
          default: {},
        }),
      }),
      { description: "In which order filters are asked. Empty: as they stand.", default: [] },
    ),
    filters: Type.Array(FilterSchema, { description: "What is asked.", minItems: 1 }),
  },
  { description: "A pipeline." },
);

export const pipelineProperties = {
  pipelines: Type.Record(Type.String({ pattern: NAME_PATTERN }), PipelineSchema, {
    description: "Pipelines by name, in the order they are asked, behind hooks.",
    default: {},
    additionalProperties: false,
  }),
  easegress: Type.Object(
    {
      files: texts({
        description:
          "Files of Easegress with objects of kind MQTTProxy and Pipeline: their pipelines are taken as if they stood above.",
        default: [],
      }),
    },
    { description: "Configuration of Easegress." },
  ),
};

export type PipelinesConfig = Static<typeof pipelineProperties.pipelines>;
