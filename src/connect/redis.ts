/** Redis: commands for each output. The library is ioredis 6. */
import { type Static, Type } from "@sinclair/typebox";
import type { Redis as Client } from "ioredis";
import { ActionError } from "../rules/action.ts";
import { Template } from "../rules/template.ts";
import { asText, isArray, type Value } from "../rules/value.ts";
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

const schema = Type.Object(
  {
    kind: Type.Literal("redis", { description: "A Redis server." }),
    ...connectorProperties(100),
    host: text({ description: "Host name or address.", default: "127.0.0.1" }),
    port: integer(1, 65_535, { description: "Port.", default: 6379 }),
    username: text({ description: "User name (Redis 6).", default: "" }),
    password: text({
      description: "Password; file:<path> or env:<name> says where it is.",
      default: "",
      [SECRET]: true,
    }),
    database: integer(0, 65_535, { description: "Number of the database.", default: 0 }),
    ...tlsProperties,
  },
  { description: "Commands for a Redis server: acknowledged by its answer, and kept as Redis is set up to." },
);
type Config = Static<typeof schema>;

const action = Type.Object(
  {
    kind: Type.Literal("redis", { description: "Run a command." }),
    ...actionProperties,
    command: text({
      description:
        "Words with spaces between, or in quotes; each is a template and stays one word: HMSET mqtt:msg:${id} payload ${payload}. A list becomes as many words as it has.",
      minLength: 1,
    }),
  },
  { description: "A command for each output: HSET, XADD, PUBLISH, LPUSH, INCRBY and their like." },
);
type ActionConfig = Static<typeof action>;

const WORD = /"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g;

/** Split first and filled then: a payload with spaces stays one word. */
function words(command: string): readonly Template[] {
  const found = Array.from(
    command.matchAll(WORD),
    ([, double, single, plain]) => new Template(double?.replaceAll(/\\(.)/g, "$1") ?? single ?? plain ?? ""),
  );
  if (found.length === 0) throw new ActionError("a command is needed");
  if (!found[0]!.isConstant)
    throw new ActionError("the name of the command is no template: who sends messages would choose it");
  return found;
}

/** Replies that pass: the server starts, has no memory now, is another's replica, or busy. */
const HEALS =
  /^(LOADING|BUSY|OOM|READONLY|TRYAGAIN|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|MISCONF|NOAUTH|WRONGPASS|UNKILLABLE)/;

function failureOf(error: Error): SinkFailure {
  if (error.name === "ReplyError") return new SinkFailure(error.message, HEALS.test(error.message));
  return connectionFailure(error) ?? new SinkFailure(error.message, true);
}

class Redis implements Connector {
  readonly #config: Config;
  readonly #host: ConnectHost;
  readonly #password: string;
  #client: Client | undefined = undefined;
  #opening: Promise<Client> | undefined = undefined;

  constructor(config: Config, host: ConnectHost) {
    this.#config = config;
    this.#host = host;
    this.#password = secretOf(config.password, host);
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<readonly (SinkFailure | undefined)[]> {
    const client = await this.#connected();
    const pipeline = client.pipeline();
    for (const { parameters } of items) {
      const [name, ...rest] = (parameters["words"] as readonly Value[]).map(asWord);
      pipeline.call(String(name), ...rest);
    }
    const replies = await this.#within(client, signal, pipeline.exec());
    return items.map((_, index) => {
      const error = replies?.[index]?.[0];
      if (replies === null || replies === undefined) return new SinkFailure("no answer came", true);
      return error === null || error === undefined ? undefined : failureOf(error);
    });
  }

  async check(signal: AbortSignal): Promise<void> {
    const client = await this.#connected();
    await this.#within(client, signal, client.ping());
  }

  /** A connection that does not answer is given up: what is on it has no answer either. */
  async #within<Result>(client: Client, signal: AbortSignal, asked: Promise<Result>): Promise<Result> {
    const give = (): void => this.#drop(client);
    if (signal.aborted) give();
    signal.addEventListener("abort", give, { once: true });
    try {
      return await asked;
    } catch (error) {
      throw failureOf(error as Error);
    } finally {
      signal.removeEventListener("abort", give);
    }
  }

  #drop(client: Client): void {
    if (this.#client === client) this.#client = undefined;
    client.disconnect();
  }

  async #connected(): Promise<Client> {
    if (this.#client?.status === "ready") return this.#client;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<Client> {
    const { Redis: Connection } = await import("ioredis");
    const { host, port, username, database, timeout } = this.#config;
    const tls = tlsOf(this.#config, this.#host);
    const client = new Connection({
      ...{ host, port, db: database, connectTimeout: timeout, lazyConnect: true },
      // Trying again is the connector's.
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      ...(username === "" ? {} : { username }),
      ...(this.#password === "" ? {} : { password: this.#password }),
      ...(tls === undefined ? {} : { tls }),
    });
    client.on("error", () => {});
    try {
      await client.connect();
    } catch (error) {
      client.disconnect();
      throw failureOf(error as Error);
    }
    this.#client = client;
    return client;
  }

  async close(): Promise<void> {
    this.#client?.disconnect();
  }
}

const asWord = (value: Value): string | Buffer =>
  value instanceof Uint8Array ? Buffer.from(value) : asText(value);

export const redis: ConnectorKind<Config, ActionConfig> = {
  kind: "redis",
  schema,
  action,
  library: "ioredis",
  open: (config, host) => new Redis(config, host),
  compile({ command }) {
    const templates = words(command);
    return (output) => ({
      words: templates.flatMap((template) => {
        const value = template.value(output);
        return isArray(value) ? value : [value instanceof Uint8Array ? value : asText(value)];
      }),
    });
  },
};
