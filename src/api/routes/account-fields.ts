import { Type } from "@sinclair/typebox";
import { NAME_PATTERN } from "../access/accounts.ts";
import { PASSWORD_LENGTH_MIN } from "../access/credentials.ts";

export const password = Type.String({
  maxLength: 1_024,
  description: `${PASSWORD_LENGTH_MIN} characters at least, and none that everybody tries.`,
});
export const name = Type.String({
  pattern: NAME_PATTERN,
  description: "Name of the user: 1 to 128 characters, and no colon.",
});
