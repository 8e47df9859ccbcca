/** What PostgreSQL and MySQL have in common: queries of the manuals, and what their rows mean. */
import { type Static, type TProperties, Type } from "@sinclair/typebox";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { type AuthenticatorAnswer, IGNORED } from "../policy/authentication.ts";
import type { AccessRule } from "../policy/settings.ts";
import { readNamedFile } from "../settings/installation.ts";
import { flag, integer, SECRET, text } from "../settings/kinds.ts";
import { accountProperties, concluded, type Dialect, type Fields, isYes } from "./account.ts";
import { type AuthenticateHost, type OpenedAuthenticator, unusable } from "./kind.ts";
import { Outside, type Source } from "./outside.ts";
import { outsideProperties } from "./outside-settings.ts";
import { bounded, numberedRule, ruleOf } from "./rules.ts";
import { SqlQuery } from "./sql-query.ts";
import { handshaking, holderOf, holding, namedBy, storedKey } from "./stored-key.ts";
import { type CheckStored, checkStored } from "./stored-password.ts";

/** How the server is reached. */
export const sqlConnection = (port: number) =>
  ({
    host: text({ description: "Host of the server.", default: "127.0.0.1" }),
    port: integer(1, 65_535, { description: "Port of the server.", default: port }),
    user: text({ description: "The gateway's user name there.", default: "root" }),
    password: Type.Optional(text({ description: "The gateway's password there.", [SECRET]: true })),
    database: text({ description: "Database.", default: "mqtt" }),
    tls: flag({ description: "Speak TLS, and check the server's certificate and name.", default: false }),
    caFile: Type.Optional(
      text({ description: "tls: certificates that the server's is signed with, as PEM." }),
    ),
  }) satisfies TProperties;

export const rulesQuery = Type.Optional(
  text({
    description:
      "Finds rules: columns permission, action, topic, ipaddress, qos, retain; or allow, ipaddr, username, clientid, access, topic.",
  }),
);

export const sqlProperties = (port: number) =>
  ({
    ...outsideProperties,
    ...accountProperties,
    ...sqlConnection(port),
    query: Type.Optional(
      text({
        description:
          "Finds the client: columns password_hash (or password), salt, is_superuser. Placeholders become bound parameters.",
      }),
    ),
    superuserQuery: Type.Optional(text({ description: "Finds is_superuser, where query does not." })),
    rulesQuery,
    pskQuery: Type.Optional(
      text({
        description:
          "Finds the pre-shared key of an identity (%u), as octets or in hexadecimal, with keysFromAuthentication of tls or dtls: SELECT psk FROM mqtt_user WHERE username = '%u'.",
      }),
    ),
    rawKeyQuery: Type.Optional(
      text({
        description: "Finds the name of whoever holds a raw public key of DTLS, which is %k in base64.",
      }),
    ),
  }) satisfies TProperties;

const Sql = Type.Object(sqlProperties(1));
export type SqlConfig = Static<typeof Sql>;
const Connection = Type.Object(sqlConnection(1));
export type SqlConnection = Static<typeof Connection>;

/** EMQ X 4 and EMQX 5 as their manuals print them. */
// biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are the placeholders of the configuration
export const SQL_DEFAULTS: Readonly<
  Record<Dialect, { query: string; superuser?: string; rules: string; hash: string }>
> = {
  emqx4: {
    query: "select password from mqtt_user where username = '%u' limit 1",
    superuser: "select is_superuser from mqtt_user where username = '%u' limit 1",
    rules:
      "select allow, ipaddr, username, clientid, access, topic from mqtt_acl where ipaddr = '%a' or username = '%u' or username = '$all' or clientid = '%c'",
    hash: "sha256",
  },
  emqx5: {
    query: "SELECT password_hash, salt, is_superuser FROM mqtt_user WHERE username = ${username} LIMIT 1",
    rules: "SELECT permission, action, topic FROM mqtt_acl WHERE username = ${username}",
    hash: "sha256,salt",
  },
};
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above

/** One of the two libraries. Rows come as they are; a rejected promise is the server's or the network's trouble. */
export interface Database {
  readonly marks: "numbered" | "question";
  rows(query: string, values: readonly (string | null)[]): Promise<readonly Fields[]>;
  close(): void;
}

class SqlSource implements Source {
  readonly #database: Database;
  readonly #check: CheckStored;
  readonly #query: SqlQuery;
  readonly #superuser: SqlQuery | undefined;
  readonly #rules: SqlQuery | undefined;
  readonly presharedKey: Source["presharedKey"];
  readonly rawKeyHolder: Source["rawKeyHolder"];

  constructor(config: SqlConfig, name: string, database: Database) {
    const { query, superuserQuery, rulesQuery, readRules, passwordHash, dialect } = config;
    const usual = SQL_DEFAULTS[dialect];
    const compiled = (written: string | undefined) =>
      written === undefined || written === "" ? undefined : new SqlQuery(written, database.marks, name);
    this.#database = database;
    this.#check = checkStored(passwordHash ?? usual.hash, name);
    this.#query = new SqlQuery(query ?? usual.query, database.marks, name);
    this.#superuser = compiled(superuserQuery ?? usual.superuser);
    this.#rules = readRules ? compiled(rulesQuery ?? usual.rules) : undefined;
    const [psk, rawKey] = [compiled(config.pskQuery), compiled(config.rawKeyQuery)];
    if (psk !== undefined) {
      this.presharedKey = async (identity) =>
        storedKey(await this.#value(psk, namedBy(identity), handshaking(identity)));
    }
    if (rawKey !== undefined) {
      this.rawKeyHolder = async (publicKey) =>
        holderOf(await this.#value(rawKey, holding(publicKey), handshaking()));
    }
  }

  async ask(request: Credentials, peer: Peer): Promise<AuthenticatorAnswer> {
    const values = this.#query.values(request, peer);
    if (values.some((value) => value === undefined)) return IGNORED;
    const [row] = await this.#rows(this.#query, request, peer);
    const fields = row === undefined ? undefined : named(row);
    const account = {
      fields,
      clientIdOnly: !this.#query.namesUser,
      superuser: async () => {
        if (this.#superuser === undefined) return isYes(fields?.["is_superuser"]);
        const [found] = await this.#rows(this.#superuser, request, peer);
        return isYes(found === undefined ? undefined : Object.values(found)[0]);
      },
      rules: async () => {
        if (this.#rules === undefined) return undefined;
        return rulesOfRows(await this.#rows(this.#rules, request, peer));
      },
    };
    return concluded(request, account, this.#check);
  }

  close(): void {
    this.#database.close();
  }

  /** The first column of the first row. A query that wants a value which there is not finds nothing. */
  async #value(query: SqlQuery, request: Credentials, peer: Peer): Promise<unknown> {
    if (query.values(request, peer).includes(undefined)) return undefined;
    const [row] = await this.#rows(query, request, peer);
    return row === undefined ? undefined : Object.values(row)[0];
  }

  #rows(query: SqlQuery, request: Credentials, peer: Peer): Promise<readonly Fields[]> {
    return this.#database.rows(
      query.text,
      query.values(request, peer).map((value) => value ?? null),
    );
  }
}

/** Columns by name; where none is called so, the first two are password and salt (EMQ X 4). */
function named(row: Fields): Fields {
  const fields = Object.fromEntries(Object.entries(row).map(([name, value]) => [name.toLowerCase(), value]));
  if ("password_hash" in fields || "password" in fields) return fields;
  const [password, salt] = Object.values(row);
  return { ...fields, password, salt };
}

export const rulesOfRows = (rows: readonly Fields[]): readonly AccessRule[] => bounded(rows).map(ruleOfRow);

const ruleOfRow = (row: Fields): AccessRule => ("permission" in row ? ruleOf(row) : numberedRule(row));

/** Certificates that a server's is signed with. */
export function authorityOf(caFile: string | undefined, name: string): Buffer | undefined {
  try {
    return caFile === undefined ? undefined : readNamedFile(caFile);
  } catch (error) {
    throw unusable(name, `caFile cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** What a pool of connections is made with. */
export interface SqlPool extends SqlConnection {
  readonly ca: Buffer | undefined;
  /** How long a connection and an answer may take. */
  readonly timeout: number;
  readonly connections: number;
}

export const poolOf = (
  config: SqlConnection & { readonly timeout: number; readonly concurrent: number },
  name: string,
): SqlPool => ({
  ...config,
  ca: authorityOf(config.caFile, name),
  connections: config.concurrent,
});

export const openSql = (
  config: SqlConfig,
  name: string,
  host: AuthenticateHost,
  database: Database,
): OpenedAuthenticator =>
  new Outside(name, config, host, new SqlSource(config, name, database), [config.password]);
