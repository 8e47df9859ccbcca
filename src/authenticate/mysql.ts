import { Type } from "@sinclair/typebox";
import ipaddr from "ipaddr.js";
import type { Pool, PoolOptions } from "mysql2/promise";
import type { Fields } from "./account.ts";
import { type AuthenticatorKind, unusable } from "./kind.ts";
import { needs } from "./packages.ts";
import { type Database, openSql, poolOf, type SqlConfig, type SqlPool, sqlProperties } from "./sql.ts";

const schema = Type.Object(
  { kind: Type.Literal("mysql", { description: "MySQL and MariaDB." }), ...sqlProperties(3306) },
  { description: "Tables of a MySQL or MariaDB server; the library is mysql2." },
);

class Mysql implements Database {
  readonly marks = "question";
  readonly #options: PoolOptions;
  readonly #timeout: number;
  #pool: Promise<Pool> | undefined = undefined;

  constructor(options: PoolOptions, timeout: number) {
    this.#options = options;
    this.#timeout = timeout;
  }

  /** Prepared on the server: values never become text of the query. */
  async rows(query: string, values: readonly (string | null)[]): Promise<readonly Fields[]> {
    this.#pool ??= this.#open();
    const [rows] = await (await this.#pool).execute({ sql: query, timeout: this.#timeout }, [...values]);
    return Array.isArray(rows) ? (rows as Fields[]) : [];
  }

  close(): void {
    void this.#pool?.then((pool) => pool.end()).catch(() => {});
  }

  async #open(): Promise<Pool> {
    const { createPool } = await import("mysql2/promise");
    return createPool(this.#options);
  }
}

export const openMysql = (pool: SqlPool, name: string): Database => {
  needs(name, "mysql2");
  const { host, port, user, password, database, timeout, connections, tls, ca } = pool;
  if (tls && ipaddr.isValid(host))
    throw unusable(name, `tls checks the server's name, and host is an address, ${host}: name the server`);
  const options: PoolOptions = {
    host,
    port,
    user,
    database,
    connectionLimit: connections,
    connectTimeout: timeout,
    charset: "utf8mb4",
    multipleStatements: false,
    ...(password === undefined ? {} : { password }),
    // Its library asks for no name unless it is told to.
    ...(tls ? { ssl: { ...(ca === undefined ? {} : { ca }), verifyIdentity: true } } : {}),
  };
  return new Mysql(options, timeout);
};

export const mysql: AuthenticatorKind<SqlConfig> = {
  kind: "mysql",
  schema,
  open(config, host) {
    const { name = "mysql" } = config;
    return openSql(config, name, host, openMysql(poolOf(config, name), name));
  },
};
