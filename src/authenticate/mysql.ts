import { Type } from "@sinclair/typebox";
import type { Pool, PoolOptions } from "mysql2/promise";
import { connectedTo, MYSQL_PACKETS } from "../lib/mysql.ts";
import { Sockets } from "../lib/sockets.ts";
import type { RawSocket } from "../net/transport.ts";
import type { Fields } from "./account.ts";
import type { AuthenticateHost, AuthenticatorKind } from "./kind.ts";
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
  readonly #sockets: Sockets<RawSocket>;
  #pool: Promise<Pool> | undefined = undefined;

  constructor(options: PoolOptions, timeout: number, sockets: Sockets<RawSocket>) {
    this.#options = options;
    this.#timeout = timeout;
    this.#sockets = sockets;
  }

  /** Prepared on the server: values never become text of the query. */
  async rows(query: string, values: readonly (string | null)[]): Promise<readonly Fields[]> {
    this.#pool ??= this.#open();
    const [rows] = await (await this.#pool).execute({ sql: query, timeout: this.#timeout }, [...values]);
    return Array.isArray(rows) ? (rows as Fields[]) : [];
  }

  close(): void {
    void this.#pool?.then((pool) => this.#sockets.endedBy(pool.end())).catch(() => {});
  }

  async #open(): Promise<Pool> {
    const { createPool } = await import("mysql2/promise");
    return createPool(this.#options);
  }
}

export const openMysql = (
  pool: SqlPool,
  name: string,
  { socket }: Pick<AuthenticateHost, "socket">,
): Database => {
  needs(name, "mysql2");
  const { host, port, user, password, database, timeout, connections, tls, ca } = pool;
  const sockets = new Sockets(socket, MYSQL_PACKETS);
  const options: PoolOptions = {
    host,
    port,
    user,
    database,
    connectionLimit: connections,
    connectTimeout: timeout,
    charset: "utf8mb4",
    multipleStatements: false,
    stream: () => connectedTo(sockets.make(), { host, port }),
    ...(password === undefined ? {} : { password }),
    // Its library asks for no name unless it is told to.
    ...(tls ? { ssl: { ...(ca === undefined ? {} : { ca }), verifyIdentity: true } } : {}),
  };
  return new Mysql(options, timeout, sockets);
};

export const mysql: AuthenticatorKind<SqlConfig> = {
  kind: "mysql",
  schema,
  open(config, host) {
    const { name = "mysql" } = config;
    return openSql(config, name, host, openMysql(poolOf(config, name), name, host));
  },
};
