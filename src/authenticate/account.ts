/** A row or hash of a database as a login: what stands in which field, and what a password is compared with. */
import { Type } from "@sinclair/typebox";
import type { Credentials } from "../contract/client.ts";
import { type AuthenticatorAnswer, IGNORED } from "../policy/authentication.ts";
import type { AccessRule } from "../policy/settings.ts";
import { choice, flag, text } from "../settings/kinds.ts";
import { type CheckStored, STORED_FORMS } from "./stored-password.ts";

export type Dialect = "emqx5" | "emqx4";

/** Settings that all databases have. */
export const accountProperties = {
  dialect: choice(["emqx5", "emqx4"], {
    description: "Whose queries and hash form are the defaults: EMQX 5's or EMQ X 4's.",
    default: "emqx5",
  }),
  passwordHash: Type.Optional(
    text({ description: `Form of the stored passwords: ${STORED_FORMS}.`, minLength: 1 }),
  ),
  readRules: flag({
    description: "Read the client's access rules with its login; they go before the general ones.",
    default: false,
  }),
};

export type Fields = Readonly<Record<string, unknown>>;

const said = (value: unknown): string | undefined =>
  value === undefined || value === null
    ? undefined
    : Buffer.isBuffer(value)
      ? value.toString("utf8")
      : String(value);

export const isYes = (value: unknown): boolean =>
  ["1", "true", "t", "y", "yes"].includes((said(value) ?? "").toLowerCase()) ||
  (Buffer.isBuffer(value) && value[0] === 1);

/** `fields` undefined: nobody of that name. As long as a wrong password takes. */
async function passwordRight(
  { password }: Credentials,
  fields: Fields | undefined,
  check: CheckStored,
): Promise<"right" | "wrong" | "unknown"> {
  const stored = said(fields?.["password_hash"] ?? fields?.["password"]);
  const given = password ?? new Uint8Array(0);
  const right = await check(given, stored, said(fields?.["salt"]) ?? "");
  if (fields === undefined || stored === undefined) return "unknown";
  // An empty password is nobody's, whatever a table says.
  return right && given.length > 0 ? "right" : "wrong";
}

export interface Account {
  readonly fields: Fields | undefined;
  /** Asked after the password was right. */
  superuser(): Promise<boolean>;
  rules(): Promise<readonly AccessRule[] | undefined>;
  /** The query names no user name, so it proves the client id. */
  readonly clientIdOnly: boolean;
}

/** Right lets in, wrong refuses, and whoever is not there is for the next in the chain. */
export async function concluded(
  request: Credentials,
  account: Account,
  check: CheckStored,
): Promise<AuthenticatorAnswer> {
  const outcome = await passwordRight(request, account.fields, check);
  if (outcome === "unknown") return IGNORED;
  if (outcome === "wrong") return { answer: "rejected", reason: "wrong password" };
  const superuser = await account.superuser();
  const rules = superuser ? undefined : await account.rules();
  return {
    answer: "accepted",
    superuser,
    ...(rules === undefined ? {} : { rules }),
    ...(account.clientIdOnly ? { clientIdOnly: true } : {}),
  };
}
