import { Type } from "@sinclair/typebox";
import type { Pool, PoolConfig } from "pg";
import type { AuthenticatorKind } from "./kind.ts";
import { needs } from "./packages.ts";
import { type Database, openSql, type SqlConfig, sqlProperties } from "./sql.ts";

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
    const pool = new pg.Pool(this.#options);
    // A connection that idles and breaks: the next query opens another, or says what is wrong.
    pool.on("error", () => {});
    return pool;
  }
}

export const postgres: AuthenticatorKind<SqlConfig> = {
  kind: "postgres",
  schema,
  open(config, host) {
    const { name = "postgres", user, password, database, port, timeout, concurrent, tls } = config;
    needs(name, "pg");
    return openSql(config, name, host, (ca) => {
      return new Postgres({
        host: config.host,
        port,
        user,
        password,
        database,
        max: concurrent,
        connectionTimeoutMillis: timeout,
        query_timeout: timeout,
        statement_timeout: timeout,
        client_encoding: "UTF8",
        application_name: "isthmus",
        ...(tls ? { ssl: ca === undefined ? true : { ca } } : {}),
      });
    });
  },
};
