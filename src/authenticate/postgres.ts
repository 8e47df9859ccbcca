import { Type } from "@sinclair/typebox";
import type { Pool, PoolConfig } from "pg";
import { POSTGRES_MESSAGES } from "../lib/postgres.ts";
import { Sockets } from "../lib/sockets.ts";
import type { RawSocket } from "../net/transport.ts";
import type { AuthenticateHost, AuthenticatorKind } from "./kind.ts";
import { needs } from "./packages.ts";
import { type Database, openSql, poolOf, type SqlConfig, type SqlPool, sqlProperties } from "./sql.ts";

const schema = Type.Object(
  { kind: Type.Literal("postgres", { description: "PostgreSQL." }), ...sqlProperties(5432) },
  { description: "Tables of a PostgreSQL server; the library is pg." },
);

class Postgres implements Database {
  readonly marks = "numbered";
  readonly #options: PoolConfig;
  readonly #sockets: Sockets<RawSocket>;
  #pool: Promise<Pool> | undefined = undefined;

  constructor(options: PoolConfig, sockets: Sockets<RawSocket>) {
    this.#options = options;
    this.#sockets = sockets;
  }

  async rows(query: string, values: readonly (string | null)[]) {
    this.#pool ??= this.#open();
    const { rows } = await (await this.#pool).query<Record<string, unknown>>(query, [...values]);
    return rows;
  }

  close(): void {
    void this.#pool?.then((pool) => this.#sockets.endedBy(pool.end())).catch(() => {});
  }

  async #open(): Promise<Pool> {
    const { default: pg } = await import("pg");
    const pool = new pg.Pool(this.#options);
    // A connection that idles and breaks: the next query opens another, or says what is wrong.
    pool.on("error", () => {});
    return pool;
  }
}

export const openPostgres = (
  pool: SqlPool,
  name: string,
  { socket }: Pick<AuthenticateHost, "socket">,
): Database => {
  needs(name, "pg");
  const { host, port, user, password, database, timeout, connections, tls, ca } = pool;
  const sockets = new Sockets(socket, POSTGRES_MESSAGES);
  return new Postgres(
    {
      host,
      port,
      user,
      password,
      database,
      max: connections,
      connectionTimeoutMillis: timeout,
      query_timeout: timeout,
      statement_timeout: timeout,
      client_encoding: "UTF8",
      application_name: "isthmus",
      ...(tls ? { ssl: ca === undefined ? true : { ca } } : {}),
      stream: () => sockets.make(),
    },
    sockets,
  );
};

export const postgres: AuthenticatorKind<SqlConfig> = {
  kind: "postgres",
  schema,
  open(config, host) {
    const { name = "postgres" } = config;
    return openSql(config, name, host, openPostgres(poolOf(config, name), name, host));
  },
};
