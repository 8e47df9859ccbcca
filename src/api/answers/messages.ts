/** Messages: what became of one that was published, and those that are retained. */
import { type Static, Type } from "@sinclair/typebox";
import { time } from "./parts.ts";

export const Published = Type.Object({
  topic: Type.String(),
  accepted: Type.Boolean(),
  matched: Type.Optional(
    Type.Integer({
      description: "How many subscribers the topic had at that moment; absent for a delayed message.",
    }),
  ),
  waits: Type.Optional(Type.Integer({ description: "For how many of them it waits: away, asleep or busy." })),
  refusal: Type.Optional(Type.String({ description: "Why it was not accepted." })),
  detail: Type.String({ description: "The same as a sentence." }),
});
export type Published = Static<typeof Published>;

export const Retained = Type.Object({
  topic: Type.String(),
  bytes: Type.Integer({ description: "Length of the payload." }),
  qos: Type.Integer(),
  publishedAt: time("When it was published."),
  expiresAt: Type.Optional(time("When it ends.")),
  from: Type.String({
    description: "Who published it, as <gateway>:<client id>; empty for the node itself.",
  }),
  payload: Type.Optional(Type.String()),
  encoding: Type.Optional(Type.String({ description: "text or base64." })),
  contentType: Type.Optional(Type.String()),
});
export type Retained = Static<typeof Retained>;

/** Of retained messages below a filter. */
export const Cleared = Type.Object({ cleared: Type.Integer(), more: Type.Boolean() });
export type Cleared = Static<typeof Cleared>;
