/** PostgreSQL, and what speaks as it does: TimescaleDB. The library is pg. */
import { createHash } from "node:crypto";
import type { Static } from "@sinclair/typebox";
import type { Pool, PoolClient, PoolConfig } from "pg";
import { POSTGRES_MESSAGES } from "../lib/postgres.ts";
import { Sockets } from "../lib/sockets.ts";
import type { RawSocket } from "../net/transport.ts";
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

const schema = connectorSchema("postgres", {
  is: "A PostgreSQL server.",
  batch: 100,
  own: {
    ...databaseProperties({ port: 5432, user: "postgres", database: "postgres" }),
  },
  description: "Statements for a PostgreSQL server: acknowledged by the commit of a batch.",
});
type Config = Static<typeof schema>;

const action = statementAction("postgres");
type ActionConfig = Static<typeof action>;

/**
 * Conditions that pass (PostgreSQL's appendix A): no connection, no resources, an operator at work, a conflict with
 * another transaction, a lock, a server that does not write now, or does not know us yet.
 */
const HEALS = /^(08|28|40|53|57|58)|^(55P03|55006|25006|3D000|XX000)$/;

const failureOf = (error: unknown): SinkFailure => {
  const { code, message } = error as { readonly code?: string; readonly message: string };
  const broken = connectionFailure(error);
  if (broken !== undefined) return broken;
  if (code === undefined) return new SinkFailure(message, true);
  return new SinkFailure(`${message} (SQLSTATE ${code})`, HEALS.test(code));
};

class Postgres implements Connector {
  readonly #options: PoolConfig;
  readonly #host: ConnectHost;
  readonly #sockets: Sockets<RawSocket>;
  #pool: Promise<Pool> | undefined = undefined;

  constructor(options: PoolConfig, host: ConnectHost) {
    this.#options = options;
    this.#host = host;
    this.#sockets = new Sockets(host.socket, POSTGRES_MESSAGES);
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<undefined> {
    const found = new FoundRows();
    await this.#with(signal, async (client) => {
      await inTransaction(
        items,
        (item) => run(client, item, found),
        (word) => client.query(word),
      );
    });
    found.tell(this.#host);
    return undefined;
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.#with(signal, async (client) => {
      await client.query("SELECT 1");
    });
  }

  async #with(signal: AbortSignal, work: (client: PoolClient) => Promise<void>): Promise<void> {
    this.#pool ??= this.#open();
    const pool = await this.#pool;
    const client = await takenFrom(signal, pool.connect()).catch((error: unknown) => {
      throw error instanceof SinkFailure ? error : failureOf(error);
    });
    // A connection that broke, or on which something is under way that nobody waits for any more, is of no use.
    let broken: Error | undefined;
    const end = (error: Error): void => {
      broken ??= error;
    };
    client.on("error", end);
    try {
      await within(signal, work(client));
    } catch (error) {
      const failure = error instanceof SinkFailure ? error : failureOf(error);
      if (failure.heals) end(failure);
      throw failure;
    } finally {
      client.off("error", end);
      client.release(broken);
    }
  }

  async close(): Promise<void> {
    const pool = await this.#pool?.catch(() => undefined);
    await this.#sockets.endedBy(pool?.end());
  }

  async #open(): Promise<Pool> {
    const { default: pg } = await import("pg");
    const pool = new pg.Pool({ ...this.#options, stream: () => this.#sockets.make() });
    // A connection that idles and breaks: the next batch opens another, or says what is wrong.
    pool.on("error", () => {});
    return pool;
  }
}

/** The server reads a statement once for each connection. */
const names = new Map<string, string>();
const NAMES_MAX = 1_000;
function nameOf(sql: string): string {
  let name = names.get(sql);
  if (name === undefined) {
    name = `isthmus_${createHash("sha256").update(sql).digest("hex").slice(0, 24)}`;
    if (names.size >= NAMES_MAX) names.clear();
    names.set(sql, name);
  }
  return name;
}

async function run(client: PoolClient, item: Item, found: FoundRows): Promise<void> {
  const statement = statementOf(item);
  const { sql } = statement;
  const { rows } = await client.query({ name: nameOf(sql), text: sql, values: parametersOf(statement) });
  found.add(item, rows);
}

export const postgres: ConnectorKind<Config, ActionConfig> = {
  kind: "postgres",
  schema,
  action,
  libraries: ["pg"],
  open(config: Config, host: ConnectHost) {
    const { port, user, database, timeout, concurrency } = config;
    const tls = tlsOf(config, host);
    return new Postgres(
      {
        ...{ host: config.host, port, user, database, max: concurrency + 1 },
        password: secretOf(config.password, host),
        connectionTimeoutMillis: timeout,
        keepAlive: true,
        client_encoding: "UTF8",
        application_name: "isthmus",
        ...(tls === undefined ? {} : { ssl: tls }),
      },
      host,
    );
  },
  compile: (settings) => compileStatement(settings, (place) => `$${place}`),
};
