/** PostgreSQL, and what speaks as it does: TimescaleDB. The library is pg. */
import { createHash } from "node:crypto";
import { type Static, Type } from "@sinclair/typebox";
import type { Pool, PoolClient, PoolConfig } from "pg";
import type { Value } from "../rules/value.ts";
import { integer, SECRET, text } from "../settings/kinds.ts";
import {
  type ConnectHost,
  type Connector,
  type ConnectorKind,
  connectionFailure,
  type Item,
  SinkFailure,
  secretOf,
} from "./connector.ts";
import { actionProperties, connectorProperties, tlsOf, tlsProperties } from "./settings.ts";
import { boundStatement } from "./sql-template.ts";

const schema = Type.Object(
  {
    kind: Type.Literal("postgres", { description: "A PostgreSQL server." }),
    ...connectorProperties(100),
    host: text({ description: "Host name or address.", default: "127.0.0.1" }),
    port: integer(1, 65_535, { description: "Port.", default: 5432 }),
    user: text({ description: "Who signs in.", default: "postgres" }),
    password: text({
      description: "Its password; file:<path> or env:<name> says where it is.",
      default: "",
      [SECRET]: true,
    }),
    database: text({ description: "Database.", default: "postgres" }),
    ...tlsProperties,
  },
  { description: "Statements for a PostgreSQL server: acknowledged by the commit of a batch." },
);
type Config = Static<typeof schema>;

const action = Type.Object(
  {
    kind: Type.Literal("postgres", { description: "Run a statement." }),
    ...actionProperties,
    sql: text({
      description:
        "Statement with places for values, without quotes: insert into t values (${id}, ${payload.x}). Values are bound.",
      minLength: 1,
    }),
  },
  { description: "A statement for each output." },
);
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
  #pool: Promise<Pool> | undefined = undefined;

  constructor(options: PoolConfig) {
    this.#options = options;
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<undefined> {
    await this.#with(signal, async (client) => {
      // One statement is a transaction of its own.
      if (items.length === 1) await run(client, items[0]!);
      else await together(client, items);
    });
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
    const client = await pool.connect().catch((error: unknown) => {
      throw failureOf(error);
    });
    // A connection that broke, or on which something is under way that nobody waits for any more, is of no use.
    let broken: Error | undefined;
    const end = (error: Error): void => {
      broken ??= error;
    };
    client.on("error", end);
    const stopped = new Promise<never>((_, reject) => {
      const stop = (): void => reject(new SinkFailure("it does not answer in time", true));
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    });
    const working = work(client);
    try {
      await Promise.race([working, stopped]);
    } catch (error) {
      const failure = error instanceof SinkFailure ? error : failureOf(error);
      if (failure.heals) end(failure);
      throw failure;
    } finally {
      working.catch(() => {});
      stopped.catch(() => {});
      client.off("error", end);
      client.release(broken);
    }
  }

  async close(): Promise<void> {
    const pool = await this.#pool?.catch(() => undefined);
    await pool?.end();
  }

  async #open(): Promise<Pool> {
    const { default: pg } = await import("pg");
    const pool = new pg.Pool(this.#options);
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

async function together(client: PoolClient, items: readonly Item[]): Promise<void> {
  await client.query("BEGIN");
  try {
    for (const item of items) await run(client, item);
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  }
  await client.query("COMMIT");
}

const run = (client: PoolClient, { parameters }: Item) => {
  const { sql, values } = parameters as { readonly sql: string; readonly values: readonly Value[] };
  return client.query({ name: nameOf(sql), text: sql, values: values.map(asParameter) });
};

const asParameter = (value: Value): unknown =>
  typeof value === "bigint" ? value.toString() : value instanceof Uint8Array ? Buffer.from(value) : value;

export const postgres: ConnectorKind<Config, ActionConfig> = {
  kind: "postgres",
  schema,
  action,
  library: "pg",
  open(config: Config, host: ConnectHost) {
    const { port, user, database, timeout, concurrency } = config;
    const tls = tlsOf(config, host);
    return new Postgres({
      ...{ host: config.host, port, user, database, max: concurrency + 1 },
      password: secretOf(config.password, host),
      connectionTimeoutMillis: timeout,
      keepAlive: true,
      client_encoding: "UTF8",
      application_name: "isthmus",
      ...(tls === undefined ? {} : { ssl: tls }),
    });
  },
  compile({ sql }) {
    const statement = boundStatement(sql, (place) => `$${place}`);
    return (output) => ({ sql: statement.sql, values: statement.bind(output) });
  },
};
