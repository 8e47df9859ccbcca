/** Apache Cassandra, and what speaks its protocol: a statement for each output. The library is cassandra-driver 4. */
import { type Static, Type } from "@sinclair/typebox";
import type { Client, DseClientOptions } from "cassandra-driver";
import { Sockets } from "../lib/sockets.ts";
import type { RawSocket, ServerCertificate } from "../net/transport.ts";
import type { Value } from "../rules/value.ts";
import { choice, text } from "../settings/kinds.ts";
import { type CassandraLibrary, CQL_FRAMES, loadCassandra } from "./cassandra-driver.ts";
import {
  type ConnectHost,
  type Connector,
  type ConnectorKind,
  connectionFailure,
  type Item,
  SinkFailure,
  secretOf,
} from "./connector.ts";
import { HeldConnection } from "./held-connection.ts";
import {
  actionSchema,
  connectorSchema,
  hostAndPort,
  signInProperties,
  tlsOf,
  tlsProperties,
} from "./settings.ts";
import { boundStatement, statementOf } from "./sql.ts";

const schema = connectorSchema("cassandra", {
  is: "A Cassandra cluster, or one that speaks its protocol.",
  batch: 100,
  own: {
    nodes: Type.Array(hostAndPort, {
      description: "Nodes to ask for the others, as host:port.",
      default: ["127.0.0.1:9042"],
      minItems: 1,
    }),
    ...signInProperties,
    keyspace: text({ description: "Keyspace of tables that name none.", default: "mqtt", minLength: 1 }),
    datacenter: text({
      description: "Only nodes of this data centre are given statements. Empty: all nodes.",
      default: "",
    }),
    acknowledge: choice(["localQuorum", "quorum", "all", "one"], {
      description:
        "Which replicas have a row when it counts as taken: most of those in the data centre, most of all, all, or one, whose fall may lose it.",
      default: "localQuorum",
    }),
    ...tlsProperties,
  },
  description: "Statements for Cassandra: acknowledged as `acknowledge` says.",
});
type Config = Static<typeof schema>;

const action = actionSchema("cassandra", {
  does: "Run a statement.",
  own: {
    cql: text({
      description:
        "Statement with places for values, without quotes: insert into t (id, x) values (${id}, ${payload.x}). Values are bound.",
      minLength: 1,
    }),
  },
  description: "A statement for each output.",
});
type ActionConfig = Static<typeof action>;

function compile({ cql }: ActionConfig) {
  const statement = boundStatement(cql, () => "?");
  return (output: Value) => ({ sql: statement.sql, values: statement.bind(output) });
}

/** The statement is at fault (native protocol v4 §9): its function, its syntax, what it names, its values. */
const AT_FAULT: readonly number[] = [0x1400, 0x2000, 0x2200, 0x2300, 0x2400];

interface Opened {
  readonly client: Client;
  /** Times of statements in the order in which they were given: while one is prepared, they leave in another. */
  readonly times: { next(client: Client): unknown };
  readonly library: CassandraLibrary;
}

/** What is behind an error of all nodes is the first one's. */
function innermost(error: unknown): unknown {
  const { innerErrors, innerError } = error as {
    readonly innerErrors?: Readonly<Record<string, unknown>>;
    readonly innerError?: unknown;
  };
  const inner = innerError ?? Object.values(innerErrors ?? {})[0];
  return inner === undefined ? error : innermost(inner);
}

function failureFrom(thrown: unknown): SinkFailure {
  const error = innermost(thrown);
  if (error instanceof SinkFailure) return error;
  const broken = connectionFailure(error);
  if (broken !== undefined) return broken;
  const { message, code, info, name } = error as Error & { readonly code?: unknown; readonly info?: unknown };
  if (typeof code === "number")
    return new SinkFailure(`${message} (0x${code.toString(16).padStart(4, "0")})`, !AT_FAULT.includes(code));
  // A value that is none of its column's type.
  if (name === "TypeError" || name === "RangeError") return new SinkFailure(message, false);
  // All errors of the driver have one.
  if (info === undefined) throw error;
  return new SinkFailure(message, true);
}

/** Statements of a batch that are under way at the same time: with 256 batches as many as a connection takes. */
const AT_ONCE = 128;
const REQUESTS_MAX = 256 * AT_ONCE;

/** Milliseconds until the driver says that its clock went back; nobody listens. */
const WARN = 1_000;

const BEHIND = new SinkFailure("one before it is tried again", true);

class Cassandra implements Connector {
  readonly #config: Config;
  readonly #options: (library: CassandraLibrary) => DseClientOptions;
  readonly #sockets: Sockets<RawSocket>;
  readonly #held = new HeldConnection<Opened>({
    open: (_, unwanted) => this.#open(unwanted),
    close: ({ client }) => client.shutdown().catch(() => {}),
    failureOf: failureFrom,
  });

  constructor(config: Config, options: (library: CassandraLibrary) => DseClientOptions, host: ConnectHost) {
    this.#config = config;
    this.#options = options;
    this.#sockets = new Sockets(host.socket, CQL_FRAMES);
  }

  /** Each by itself, as partitions are on different nodes; the newest is the last given. */
  async send(items: readonly Item[], signal: AbortSignal): Promise<readonly (SinkFailure | undefined)[]> {
    return this.#held.use(signal, async (opened) => {
      const results: (SinkFailure | undefined)[] = [];
      for (let from = 0; from < items.length; from += AT_ONCE)
        results.push(...(await this.#run(opened, items.slice(from, from + AT_ONCE))));
      return inOrder(items, results);
    });
  }

  async #run(
    { client, library, times }: Opened,
    items: readonly Item[],
  ): Promise<(SinkFailure | undefined)[]> {
    const consistency = library.types.consistencies[this.#config.acknowledge];
    const options = { prepare: true, consistency, isIdempotent: false };
    const next = (): number => times.next(client) as number;
    const settled = await Promise.allSettled(
      items.map((item) => {
        const { sql, values } = statementOf(item);
        return client.execute(
          sql,
          values.map((value) => stored(value, library)),
          { ...options, timestamp: next() },
        );
      }),
    );
    return settled.map((each) => {
      if (each.status === "fulfilled") return undefined;
      // No node is left, or the connection broke: another has to be opened.
      if (!isAnswer(each.reason, library)) throw each.reason;
      return failureFrom(each.reason);
    });
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.#held.use(signal, ({ client }) => client.execute("SELECT key FROM system.local"));
  }

  async #open(unwanted: AbortSignal): Promise<Opened> {
    const library = await loadCassandra();
    const adopt = (socket: RawSocket): RawSocket => this.#sockets.adopt(socket);
    const client = new library.Client(Object.assign(this.#options(library), { adopt }));
    const end = (): void => void client.shutdown().catch(() => {});
    unwanted.addEventListener("abort", end);
    try {
      await client.connect();
    } catch (error) {
      end();
      // Also what it refuses now (no such keyspace, not this user) an operator can mend.
      throw new SinkFailure(failureFrom(error).message, true);
    } finally {
      unwanted.removeEventListener("abort", end);
    }
    return {
      client,
      library,
      times: new library.policies.timestampGeneration.MonotonicTimestampGenerator(WARN, WARN),
    };
  }

  async close(): Promise<void> {
    await this.#sockets.endedBy(this.#held.close());
  }
}

/** A node has said it, or it never left here. */
const isAnswer = (error: unknown, { errors }: CassandraLibrary): boolean =>
  error instanceof errors.ResponseError || error instanceof TypeError || error instanceof RangeError;

/** What comes behind something of its client that is tried again is written once more after it, and so is the newer. */
function inOrder(items: readonly Item[], results: readonly (SinkFailure | undefined)[]) {
  const held = new Set<string>();
  return results.map((result, index) => {
    const { client } = items[index]!;
    if (result?.heals === true) held.add(client);
    return result === undefined && held.has(client) ? BEHIND : result;
  });
}

/** As the driver has it. */
function stored(value: Value, { types }: CassandraLibrary): unknown {
  if (typeof value === "bigint") return types.Long.fromString(value.toString());
  return value instanceof Uint8Array ? Buffer.from(value) : value;
}

const ADDRESS = /^[\d.]+$|:/;

export const cassandra: ConnectorKind<Config, ActionConfig> = {
  kind: "cassandra",
  schema,
  action,
  libraries: ["cassandra-driver"],
  open(config: Config, host: ConnectHost) {
    const { nodes, username, keyspace, datacenter, timeout } = config;
    const tls = tlsOf(config, host);
    const password = secretOf(config.password, host);
    const names = nodes.map((node) => node.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
    // A node that the others have named has its address in its certificate.
    const checkServerIdentity = (address: string, certificate: ServerCertificate) =>
      host.misnamed([...names, address], certificate);
    const servername = names.find((name) => !ADDRESS.test(name));
    const secured = {
      ...{ ...tls, rejectUnauthorized: true, checkServerIdentity },
      ...(servername === undefined ? {} : { servername }),
    };
    return new Cassandra(
      config,
      ({ policies, auth }) => ({
        ...{ contactPoints: nodes, keyspace, applicationName: "isthmus", isMetadataSyncEnabled: false },
        ...(username === "" ? {} : { authProvider: new auth.PlainTextAuthProvider(username, password) }),
        ...(tls === undefined ? {} : { sslOptions: secured }),
        policies: {
          loadBalancing:
            datacenter === ""
              ? new policies.loadBalancing.RoundRobinPolicy()
              : new policies.loadBalancing.DCAwareRoundRobinPolicy(datacenter),
          // When to try again is the connector's to say.
          retry: new policies.retry.FallthroughRetryPolicy(),
        },
        pooling: { maxRequestsPerConnection: REQUESTS_MAX },
        protocolOptions: { maxVersion: 4 },
        ...{ prepareOnAllHosts: false, rePrepareOnUp: false, monitorReporting: { enabled: false } },
        socketOptions: { connectTimeout: timeout, readTimeout: timeout },
      }),
      host,
    );
  },
  compile,
};
