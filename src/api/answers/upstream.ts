import { type Static, Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";

/** A server of the cluster that has the sessions. */
export const Server = Type.Object({
  group: Type.String(),
  url: Type.String(),
  state: choice(["closed", "half-open", "open"], {
    description: "closed: well; open: nobody is sent there; half-open: one may try.",
  }),
  draining: Type.Boolean(),
  weight: Type.Number({ description: "Its share of new sessions at this moment." }),
  sessions: Type.Integer(),
  version: Type.Optional(
    choice(["3.1.1", "5.0"], { description: "Version of MQTT in which it has let the last session in." }),
  ),
  roundTrip: Type.Optional(Type.Number({ description: "Milliseconds that it last took to answer PINGREQ." })),
  lastFailure: Type.Optional(Type.String()),
});
export type Server = Static<typeof Server>;
