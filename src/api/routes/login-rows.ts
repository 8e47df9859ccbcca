/** Entries of the lists of users and client ids, as requests and documents have them. */
import { type Static, Type } from "@sinclair/typebox";
import { type ImportedEntry, type ListedLogins, ListProblem } from "../../authenticate/listed-logins.ts";
import type { Listed, ListOf } from "../../authenticate/login-list.ts";
import type { ApiPorts } from "../ports.ts";
import { Refused, wrongField } from "../problem.ts";

/** Without NUL, which no source takes in a name. */
export const nameText = (description: string) =>
  Type.String({ minLength: 1, maxLength: 1_024, pattern: "^[^\\u0000]*$", description });

/** What the two kinds of lists have each their own word for. */
export interface Words {
  readonly of: ListOf;
  readonly path: "/authentication/users" | "/authentication/client-ids";
  /** The field that names an entry. */
  readonly field: "username" | "clientId";
  readonly kind: string;
  readonly one: string;
  readonly many: string;
  readonly example: string;
}

export const USERS: Words = {
  of: "users",
  path: "/authentication/users",
  field: "username",
  kind: "user-list",
  one: "user",
  many: "users",
  example: "meter-7",
};
export const CLIENT_IDS: Words = {
  of: "client-ids",
  path: "/authentication/client-ids",
  field: "clientId",
  kind: "client-id-list",
  one: "client id",
  many: "client ids",
  example: "pump-7",
};

/** The list that a request means. */
export function listOf({ logins }: ApiPorts, { of, kind }: Words, name: string | undefined): ListedLogins {
  const lists = logins.lists().filter(({ list }) => list.of === of);
  const found =
    name === undefined && lists.length > 1
      ? undefined
      : lists.find(({ list }) => (name ?? list.name) === list.name);
  if (found !== undefined) return found;
  if (lists.length === 0)
    throw new Refused(
      "conflict",
      `no authentication chain of the configuration has a member of kind ${kind}`,
    );
  const known = lists.map(({ list }) => list.name).join(", ");
  const detail = name === undefined ? "is missing, and there are several" : "is no list of the configuration";
  throw wrongField({
    ...{ in: "query" as const, field: "list", detail, fix: `one of ${known}` },
    ...(name === undefined ? {} : { value: name }),
  });
}

/** Problems of a list as problems of a request. */
export async function refusing<Value>(work: Promise<Value>, field = ""): Promise<Value> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ListProblem)) throw error;
    if (error.code !== "wrong") throw new Refused(error.code, error.message);
    throw wrongField({ in: "body", field, detail: error.message });
  }
}

/** As the manuals' import files have it, and what only lists here have. */
export const importRow = Type.Object({
  user_id: Type.Optional(nameText("User name or client id.")),
  username: Type.Optional(nameText("The same.")),
  clientid: Type.Optional(nameText("The same.")),
  password_hash: Type.Optional(Type.String({ maxLength: 1_024, description: "Hash of the password." })),
  salt: Type.Optional(Type.String({ maxLength: 1_024, description: "Its salt." })),
  password: Type.Optional(Type.String({ maxLength: 1_024, description: "Instead of a hash." })),
  form: Type.Optional(
    Type.String({ maxLength: 64, description: "Form of the hash, where it is not the list's." }),
  ),
  scram: Type.Optional(Type.String({ maxLength: 2_048, description: "Verifiers of SCRAM." })),
  is_superuser: Type.Optional(
    Type.Union([Type.Boolean(), Type.String({ enum: ["true", "false", "1", "0", ""] })], {
      description: "Skips the access control list.",
    }),
  ),
  client_id: Type.Optional(
    Type.String({ maxLength: 1_024, description: "The only client id of this user." }),
  ),
});
export type ImportRow = Static<typeof importRow>;

/** `field`: where the row is in the body. */
export function importedOf(row: ImportRow, field: string, of: ListOf): ImportedEntry {
  const names = of === "users" ? [row.user_id, row.username] : [row.user_id, row.clientid];
  const name = names.find((one) => one !== undefined);
  if (name === undefined) {
    const detail = `has no ${of === "users" ? "user_id or username" : "user_id or clientid"}`;
    throw wrongField({ in: "body", field, detail });
  }
  const given = (value: string | undefined): string | undefined => (value === "" ? undefined : value);
  return {
    name,
    hash: given(row.password_hash),
    salt: given(row.salt),
    password: given(row.password),
    form: given(row.form),
    scram: given(row.scram),
    superuser: [true, "true", "1"].includes(row.is_superuser ?? false),
    ...(of === "users" ? { clientId: given(row.client_id) } : {}),
  };
}

export const exported = ({ name, hash, salt, form, scram, superuser, clientId }: Listed): ImportRow => ({
  user_id: name,
  ...(hash === undefined ? {} : { password_hash: hash }),
  ...(salt === undefined ? {} : { salt }),
  ...(form === undefined ? {} : { form }),
  ...(scram === undefined ? {} : { scram }),
  is_superuser: superuser,
  ...(clientId === undefined ? {} : { client_id: clientId }),
});
