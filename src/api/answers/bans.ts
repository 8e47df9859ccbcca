import { type Static, Type } from "@sinclair/typebox";
import { time } from "./parts.ts";

/** Whom it concerns. */
export const banTarget = {
  clientId: Type.Optional(Type.String({ minLength: 1, maxLength: 1_024, description: "Client id." })),
  user: Type.Optional(Type.String({ minLength: 1, maxLength: 1_024, description: "User name." })),
  address: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: "IP address or range: 10.0.0.0/8, 2001:db8::/32.",
    }),
  ),
};

export const Ban = Type.Object({
  ...banTarget,
  reason: Type.String(),
  until: Type.Optional(time("When it ends; absent: when somebody lifts it.")),
  configured: Type.Boolean({ description: "It stands in the configuration, and is lifted there." }),
});
export type Ban = Static<typeof Ban>;
