import { type Static, Type } from "@sinclair/typebox";
import { text } from "../settings/kinds.ts";
import type { AuthenticatorKind } from "./kind.ts";

const schema = Type.Object(
  {
    kind: Type.Literal("users-file", { description: "A file with names and password hashes." }),
    file: text({ description: "Path of the file. It is read again when it changes and on SIGHUP." }),
  },
  { description: "Names and password hashes from a file." },
);

export const usersFile: AuthenticatorKind<Static<typeof schema>> = {
  kind: "users-file",
  schema,
  open: ({ file }, host) => host.usersFile(file),
};
