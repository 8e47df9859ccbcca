import { Type } from "@sinclair/typebox";
import type { Client, ClientConfig, Pool, PoolConfig } from "pg";
import type { AuthenticatorKind } from "./kind.ts";
import { needs } from "./packages.ts";
import { type Database, openSql, poolOf, type SqlConfig, type SqlPool, sqlProperties } from "./sql.ts";

const schema = Type.Object(
  { kind: Type.Literal("postgres", { description: "PostgreSQL." }), ...sqlProperties(5432) },
  { description: "Tables of a PostgreSQL server; the library is pg." },
);

class Postgres implements Database {
  readonly marks = "numbered";
  readonly #options: PoolConfig;
  #pool: Promise<Pool> | undefined = undefined;

  constructor(options: PoolConfig) {
    this.#options = options;
  }

  async rows(query: string, values: readonly (string | null)[]) {
    this.#pool ??= this.#open();
    const { rows } = await (await this.#pool).query<Record<string, unknown>>(query, [...values]);
    return rows;
  }

  close(): void {
    void this.#pool?.then((pool) => pool.end()).catch(() => {});
  }

  async #open(): Promise<Pool> {
    const { default: pg } = await import("pg");
    const pool = new pg.Pool({ ...this.#options, Client: leavingStrangers(pg.Client) });
    // A connection that idles and breaks: the next query opens another, or says what is wrong.
    pool.on("error", () => {});
    return pool;
  }
}

/** What the library speaks over; it is no part of its types. */
interface Speaking {
  readonly connection: {
    on(event: "errorMessage", listener: (error: Error) => void): void;
    readonly stream: { destroy(): void };
  };
}

/** Clients that leave a server which is no PostgreSQL at its first word: by itself, the library reads on for ever. */
const leavingStrangers = (Known: typeof Client): typeof Client =>
  class extends Known {
    constructor(config?: string | ClientConfig) {
      super(config);
      const { connection } = this as unknown as Speaking;
      connection.on("errorMessage", ({ message }) => {
        if (message.startsWith("received invalid response")) connection.stream.destroy();
      });
    }
  };

export const openPostgres = (pool: SqlPool, name: string): Database => {
  needs(name, "pg");
  const { host, port, user, password, database, timeout, connections, tls, ca } = pool;
  return new Postgres({
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
  });
};

export const postgres: AuthenticatorKind<SqlConfig> = {
  kind: "postgres",
  schema,
  open(config, host) {
    const { name = "postgres" } = config;
    return openSql(config, name, host, openPostgres(poolOf(config, name), name));
  },
};
