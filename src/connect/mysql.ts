/** MySQL and MariaDB. The library is mysql2. */
import type { Static } from "@sinclair/typebox";
import type { Pool, PoolConnection, PoolOptions, RowDataPacket } from "mysql2/promise";
import { connectedTo, MYSQL_PACKETS } from "../lib/mysql.ts";
import { Sockets } from "../lib/sockets.ts";
import type { RawSocket } from "../net/transport.ts";
import type { Value } from "../rules/value.ts";
import {
  type ConnectHost,
  type Connector,
  type ConnectorKind,
  connectionFailure,
  type Item,
  SinkFailure,
  secretOf,
} from "./connector.ts";
import { connectorSchema, tlsOf } from "./settings.ts";
import {
  compileStatement,
  databaseProperties,
  FoundRows,
  inTransaction,
  parametersOf,
  statementAction,
  statementOf,
  takenFrom,
} from "./sql.ts";
import { within } from "./within.ts";

const schema = connectorSchema("mysql", {
  is: "A MySQL or MariaDB server.",
  batch: 100,
  own: {
    ...databaseProperties({ port: 3306, user: "root", database: "mqtt" }),
  },
  description: "Statements for a MySQL or MariaDB server: acknowledged by the commit of a batch.",
});
type Config = Static<typeof schema>;

const action = statementAction("mysql");
type ActionConfig = Static<typeof action>;

/**
 * Numbers of errors that pass (both servers' lists): no connection or too many, no memory or disk, locks, deadlocks, a
 * server that stops or does not write now, a statement that was ended, who may not come in yet.
 */
const HEALS: ReadonlySet<number> = new Set([
  ...[1015, 1021, 1037, 1038, 1040, 1041, 1042, 1043, 1044, 1045, 1047, 1049, 1053, 1077, 1078, 1079, 1081],
  ...[1105, 1114, 1129, 1130, 1135, 1152, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1180, 1181],
  ...[1184, 1189, 1190, 1203, 1205, 1206, 1213, 1218, 1226, 1290, 1317, 1613, 1614, 1792, 1836, 1927, 1969],
  ...[3024, 3058, 3100, 3101, 3168, 3170, 3572, 4031],
]);

function failureOf(error: unknown): SinkFailure {
  if (error instanceof SinkFailure) return error;
  const { code, errno, sqlState, message } = error as {
    readonly code?: string;
    readonly errno?: number;
    readonly sqlState?: string;
    readonly message: string;
  };
  const broken = connectionFailure(error);
  if (broken !== undefined) return broken;
  if (sqlState === undefined || errno === undefined)
    return new SinkFailure(message === "" ? (code ?? "it broke") : message, true);
  const heals = HEALS.has(errno) || /^(08|40)/.test(sqlState);
  return new SinkFailure(`${message} (error ${errno}, SQLSTATE ${sqlState})`, heals);
}

class Mysql implements Connector {
  readonly #options: PoolOptions;
  readonly #host: ConnectHost;
  readonly #sockets: Sockets<RawSocket>;
  #pool: Promise<Pool> | undefined = undefined;
  /** Octets of a statement at most, as the server says: what is larger makes it break the connection, without a word. */
  #packet: number | undefined = undefined;

  constructor(options: PoolOptions, host: ConnectHost) {
    this.#options = options;
    this.#host = host;
    this.#sockets = new Sockets(host.socket, MYSQL_PACKETS);
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<undefined> {
    const found = new FoundRows();
    await this.#with(signal, async (connection) => {
      this.#packet ??= await packetOf(connection);
      for (const item of items) refuseLarge(item, this.#packet);
      await inTransaction(
        items,
        (item) => run(connection, item, found),
        (word) => connection.query(word),
      );
    });
    found.tell(this.#host);
    return undefined;
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.#with(signal, async (connection) => {
      this.#packet = await packetOf(connection);
    });
  }

  async #with(signal: AbortSignal, work: (connection: PoolConnection) => Promise<void>): Promise<void> {
    this.#pool ??= this.#open();
    const pool = await this.#pool;
    const connection = await takenFrom(signal, pool.getConnection()).catch((error: unknown) => {
      throw failureOf(error);
    });
    try {
      await within(signal, work(connection));
      connection.release();
    } catch (error) {
      const failure = failureOf(error);
      // One that broke, or on which something is under way that nobody waits for any more, is of no use.
      if (failure.heals || (error as { readonly fatal?: boolean }).fatal === true) connection.destroy();
      else connection.release();
      throw failure;
    }
  }

  async close(): Promise<void> {
    const pool = await this.#pool?.catch(() => undefined);
    await this.#sockets.endedBy(pool?.end());
  }

  async #open(): Promise<Pool> {
    const { createPool } = await import("mysql2/promise");
    const { port = 0, host = "" } = this.#options;
    return createPool({
      ...this.#options,
      stream: () => connectedTo(this.#sockets.make(), { host, port }),
    });
  }
}

async function packetOf(connection: PoolConnection): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>("SELECT @@max_allowed_packet AS packet");
  return Number(rows[0]?.["packet"]);
}

/** Types, lengths and nulls of values. */
const VALUE_OVERHEAD = 16;

function refuseLarge(item: Item, packet: number): void {
  const { values } = statementOf(item);
  let size = VALUE_OVERHEAD;
  for (const value of values) size += VALUE_OVERHEAD + sizeOf(value);
  if (size > packet)
    throw new SinkFailure(`${size} octets of values: the server takes ${packet} (max_allowed_packet)`, false);
}

const sizeOf = (value: Value): number =>
  typeof value === "string" || value instanceof Uint8Array ? Buffer.byteLength(value) : 0;

/** Prepared on the server, once for each connection: values never become text of the statement. */
async function run(connection: PoolConnection, item: Item, found: FoundRows): Promise<void> {
  const statement = statementOf(item);
  const [rows] = await connection.execute(statement.sql, parametersOf(statement));
  found.add(item, rows);
}

export const mysql: ConnectorKind<Config, ActionConfig> = {
  kind: "mysql",
  schema,
  action,
  libraries: ["mysql2"],
  open(config: Config, host: ConnectHost) {
    const { port, user, database, timeout, concurrency } = config;
    const tls = tlsOf(config, host);
    return new Mysql(
      {
        ...{ host: config.host, port, user, database, connectionLimit: concurrency + 1 },
        password: secretOf(config.password, host),
        connectTimeout: timeout,
        charset: "utf8mb4",
        multipleStatements: false,
        // Its library asks for no name unless it is told to.
        ...(tls === undefined ? {} : { ssl: { ...tls, verifyIdentity: true } }),
      },
      host,
    );
  },
  compile: (settings) => compileStatement(settings, () => "?"),
};
