/** Who was refused what, how often, and by which rule. */
import { type Static, Type } from "@sinclair/typebox";
import { REFUSALS } from "../../lib/refusals.ts";
import { choice } from "../../settings/kinds.ts";
import { time } from "./parts.ts";

export const Refusal = Type.Object({
  last: time("When it was refused last."),
  first: time("And first."),
  count: Type.Integer({ description: "How often." }),
  gateway: Type.String(),
  listener: Type.String(),
  address: Type.String(),
  port: Type.Integer(),
  client: Type.Optional(Type.String({ description: "Client id that it claims." })),
  user: Type.Optional(Type.String({ description: "User name that it claims." })),
  what: choice(["talk", "connect", "publish", "subscribe", "read", "will", "forward"], {
    description: "What was asked for; talk is a first packet or connection.",
  }),
  asked: Type.Optional(Type.String({ description: "The topic, filter or topic id." })),
  refusal: choice(REFUSALS, { description: "Why." }),
  by: Type.String({ description: "The rule, authenticator, ban or limit that has decided." }),
});
export type Refusal = Static<typeof Refusal>;
