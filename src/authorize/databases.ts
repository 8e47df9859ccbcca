/** Databases and directories that hold each client's rules: fetched as a whole, and matched here. */
import { type Static, type TProperties, Type } from "@sinclair/typebox";
import { LdapSearch, LdapServer, ldapConnection, rulesOfEntry } from "../authenticate/ldap-server.ts";
import {
  DocumentFilter,
  MongodbServer,
  mongodbConnection,
  mongodbRules,
  rulesOfDocuments,
} from "../authenticate/mongodb-server.ts";
import { openMysql } from "../authenticate/mysql.ts";
import { openPostgres } from "../authenticate/postgres.ts";
import { askRedis, REDIS_DEFAULTS, RedisCommand, rulesOfFields } from "../authenticate/redis.ts";
import { RedisServer, redisConnection, rulesCommand } from "../authenticate/redis-server.ts";
import {
  type Database,
  poolOf,
  rulesOfRows,
  rulesQuery,
  SQL_DEFAULTS,
  type SqlPool,
  sqlConnection,
} from "../authenticate/sql.ts";
import { SqlQuery } from "../authenticate/sql-query.ts";
import { choice } from "../settings/kinds.ts";
import { type Asking, type AuthorizeHost, BoundedSource, type SourceKind, sourceProperties } from "./kind.ts";

const dialect = choice(["emqx5", "emqx4"], {
  description: "Whose query is the default: EMQX 5's or EMQ X 4's.",
  default: "emqx5",
});

const sqlSchema = (kind: "postgres" | "mysql", port: number, description: string) =>
  Type.Object(
    {
      kind: Type.Literal(kind, { description }),
      ...sourceProperties,
      dialect,
      ...sqlConnection(port),
      rulesQuery,
    },
    { description: `Rules in tables: ${description}` },
  );
const Sql = sqlSchema("postgres", 1, "");
type SqlConfig = Omit<Static<typeof Sql>, "kind">;

const sqlKind = (
  kind: "postgres" | "mysql",
  port: number,
  description: string,
  open: (pool: SqlPool, name: string, host: Pick<AuthorizeHost, "socket">) => Database,
): SourceKind<SqlConfig> => ({
  kind,
  schema: sqlSchema(kind, port, description),
  open(config, host) {
    const { name = kind } = config;
    const database = open(poolOf(config, name), name, host);
    const query = new SqlQuery(config.rulesQuery ?? SQL_DEFAULTS[config.dialect].rules, database.marks, name);
    const asking: Asking = {
      async rules({ request, peer }) {
        const values = query.values(request, peer).map((value) => value ?? null);
        return rulesOfRows(await database.rows(query.text, values));
      },
      close: () => database.close(),
    };
    return new BoundedSource(name, config, host, asking, [config.password]);
  },
});

export const postgres = sqlKind("postgres", 5432, "PostgreSQL.", openPostgres);
export const mysql = sqlKind("mysql", 3306, "MySQL and MariaDB.", openMysql);

const kindOf = <Properties extends TProperties>(kind: string, description: string, properties: Properties) =>
  Type.Object(
    { kind: Type.Literal(kind, { description }), ...sourceProperties, ...properties },
    { description: `Rules of ${description}` },
  );

const redisSchema = kindOf("redis", "Redis.", { dialect, ...redisConnection, rulesCommand });
export const redis: SourceKind<Static<typeof redisSchema>> = {
  kind: "redis",
  schema: redisSchema,
  open(config, host) {
    const { name = "redis", password } = config;
    const server = new RedisServer(config, name);
    const command = new RedisCommand(config.rulesCommand ?? REDIS_DEFAULTS[config.dialect].rules, name);
    const asking: Asking = {
      rules: async ({ request, peer }) =>
        rulesOfFields((await askRedis(server, command, request, peer)) ?? {}),
      close: () => server.close(),
    };
    return new BoundedSource(name, config, host, asking, [password]);
  },
};

const mongodbSchema = kindOf("mongodb", "MongoDB.", { ...mongodbConnection, ...mongodbRules });
export const mongodb: SourceKind<Static<typeof mongodbSchema>> = {
  kind: "mongodb",
  schema: mongodbSchema,
  open(config, host) {
    const { name = "mongodb", password, rulesCollection } = config;
    const server = new MongodbServer(config, name);
    const filter = new DocumentFilter(config.rulesFilter, name);
    const asking: Asking = {
      async rules({ request, peer }) {
        const which = filter.of(request, peer);
        return which === undefined ? [] : rulesOfDocuments(await server.find(rulesCollection, which));
      },
      close: () => server.close(),
    };
    return new BoundedSource(name, config, host, asking, [password]);
  },
};

const ldapSchema = kindOf("ldap", "LDAP.", ldapConnection);
export const ldap: SourceKind<Static<typeof ldapSchema>> = {
  kind: "ldap",
  schema: ldapSchema,
  open(config, host) {
    const { name = "ldap", bindPassword } = config;
    const server = new LdapServer(config, name);
    const search = new LdapSearch(config, name);
    const asking: Asking = {
      async rules({ request, peer }) {
        const where = search.of(request, peer);
        return where === undefined ? [] : rulesOfEntry(await server.find(where), config);
      },
      close: () => server.close(),
    };
    return new BoundedSource(name, config, host, asking, [bindPassword]);
  },
};
