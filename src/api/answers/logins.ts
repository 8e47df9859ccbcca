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

/** An entry of such a list: a user, or a client id. */
export interface Login {
  readonly username?: string;
  /** Of a user the only one that it may come with. */
  readonly clientId?: string;
  readonly superuser: boolean;
  readonly password: boolean;
  readonly scram?: boolean;
  readonly changedAt: string;
}
