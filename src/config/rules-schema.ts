/** Settings of rules, and of where their messages go. */
import { type Static, Type } from "@sinclair/typebox";
import { ActionSchema, ConnectorSchema } from "../connect/kinds.ts";
import { choice, flag, NAME_PATTERN, text } from "../settings/kinds.ts";

export const RuleSchema = Type.Object(
  {
    enable: flag({ description: "Run this rule.", default: true }),
    description: text({ description: "For people.", default: "" }),
    sql: text({
      description:
        'What it is for and what it makes of that: SELECT payload.t AS t FROM "sensors/+/data" WHERE payload.t > 30.',
      minLength: 1,
    }),
    ack: choice(["store", "after_sink"], {
      description:
        "When who publishes at QoS 1 or 2 is answered. store: when what goes to connectors is kept on disk. after_sink: when their sinks have acknowledged it, or it is dead-lettered.",
      default: "store",
    }),
    actions: Type.Array(ActionSchema, {
      description: "What is done with each output, in this order.",
      default: [],
    }),
  },
  { description: "A rule." },
);

export const RulesSchema = Type.Record(Type.String({ pattern: NAME_PATTERN }), RuleSchema, {
  description: "Rules by id: SQL on what passes the bus and on events, and what is done with the outputs.",
  default: {},
});

export const ConnectorsSchema = Type.Record(Type.String({ pattern: NAME_PATTERN }), ConnectorSchema, {
  description: "Where rules send messages, by name: what waits for a sink is kept on disk until it has it.",
  default: {},
});

export type RulesConfig = Static<typeof RulesSchema>;
export type ConnectorsConfig = Static<typeof ConnectorsSchema>;
