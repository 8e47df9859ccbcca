/** Lists of users and client ids that may connect. */
import { type Static, Type } from "@sinclair/typebox";

export const LoginList = Type.Object({
  list: Type.String({ description: "Its name." }),
  of: Type.Unsafe<"users" | "client-ids">(Type.String({ enum: ["users", "client-ids"] })),
  entries: Type.Integer({ description: "That it has." }),
  max: Type.Integer({ description: "That it may have." }),
  passwordHash: Type.String({ description: "Form of new hashes." }),
});
export type LoginList = Static<typeof LoginList>;
