/** What was changed, by whom and from where. */
import { type Static, Type } from "@sinclair/typebox";
import { time } from "./parts.ts";

export const Change = Type.Object({
  id: Type.Integer(),
  at: time("When."),
  who: Type.String(),
  kind: Type.String(),
  address: Type.String(),
  action: Type.String(),
  object: Type.Optional(Type.String()),
  before: Type.Optional(Type.Unknown()),
  after: Type.Optional(Type.Unknown()),
  result: Type.String({ description: "done, or the status of the refusal." }),
});
export type Change = Static<typeof Change>;
