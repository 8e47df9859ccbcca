import { type Static, Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";
import { time } from "./parts.ts";

/** What is traced. */
export const traceConditions = {
  client: Type.Optional(
    Type.String({ minLength: 1, maxLength: 1_024, description: "Client id, in whatever gateway." }),
  ),
  topic: Type.Optional(
    Type.String({ minLength: 1, maxLength: 65_535, description: "Topic filter, as topics are on the bus." }),
  ),
  address: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: "IP address or range of devices." }),
  ),
  gateway: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: "Name of a gateway." })),
};

export const Trace = Type.Object({
  id: Type.String(),
  name: Type.String(),
  owner: Type.String({ description: "Who has started it." }),
  ...traceConditions,
  startedAt: time("When it began."),
  until: time("When it ends by itself."),
  running: Type.Boolean(),
  ended: Type.Optional(
    choice(["stopped", "time", "rows", "memory"], { description: "Why it takes no more." }),
  ),
  rows: Type.Integer({ description: "Rows that it holds." }),
  rowsMax: Type.Integer(),
  bytes: Type.Integer({ description: "Octets that it holds." }),
});
export type Trace = Static<typeof Trace>;
