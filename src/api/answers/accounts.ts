/** Users, API keys, and who is signed in. */
import { type Static, Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";
import { ROLES } from "../access/principal.ts";
import { time } from "./parts.ts";

export const role = choice(ROLES, { description: "What it may do." });

export const User = Type.Object({
  name: Type.String(),
  role,
  createdAt: time("When it was made."),
  seenAt: Type.Optional(time("When it last asked for something.")),
});
export type User = Static<typeof User>;

export const Key = Type.Object({
  id: Type.String(),
  name: Type.String(),
  role,
  createdAt: Type.Optional(time("When it was made.")),
  expiresAt: Type.Optional(time("When it ends.")),
  usedAt: Type.Optional(time("When it was used last, since the start of this node.")),
  fromFile: Type.Boolean({ description: "It stands in the file that api.keysFile names." }),
});
export type Key = Static<typeof Key>;

/** As it is told once. */
export const NewKey = Type.Object({
  ...Key.properties,
  key: Type.String({ description: "id.secret, for Authorization: Bearer." }),
});
export type NewKey = Static<typeof NewKey>;

/** An open session of a user. */
export const SignIn = Type.Object({
  id: Type.String(),
  name: Type.String(),
  address: Type.String(),
  since: time("When it began."),
  seenAt: time("When something was last asked."),
  until: time("When it ends."),
});
export type SignIn = Static<typeof SignIn>;

/** Who asks. */
export const Session = Type.Object({
  name: Type.String(),
  kind: Type.String({ description: "user, key, or local: this machine, while nobody has an account." }),
  role,
  csrf: Type.Optional(Type.String({ description: "What changes need in the header x-csrf-token." })),
  until: Type.Optional(time("When the session ends.")),
});
export type Session = Static<typeof Session>;
