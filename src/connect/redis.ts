/** Redis: commands for each output. */
import type { Static } from "@sinclair/typebox";
import { guarded } from "../lib/guarded.ts";
import { put } from "../lib/own-member.ts";
import { connectRedis, type RedisConnection, type RedisPlace } from "../lib/redis.ts";
import { ActionError } from "../rules/action.ts";
import { Template } from "../rules/template.ts";
import { asText, isArray, type Value } from "../rules/value.ts";
import { integer, text } from "../settings/kinds.ts";
import { redisFleetProperties } from "../settings/redis-fleet.ts";
import {
  type ConnectHost,
  type Connector,
  type ConnectorKind,
  connectionFailure,
  type Item,
  type Row,
  SinkFailure,
  secretOf,
} from "./connector.ts";
import { RedisChannel } from "./redis-channel.ts";
import {
  actionSchema,
  connectorSchema,
  type RowsUse,
  rowsProperty,
  rowsUse,
  secretText,
  serverProperties,
  tlsOf,
  tlsProperties,
} from "./settings.ts";

const schema = connectorSchema("redis", {
  is: "A Redis server.",
  batch: 100,
  own: {
    ...serverProperties(6379),
    username: text({ description: "User name (Redis 6).", default: "" }),
    password: secretText("Password", { default: "" }),
    database: integer(0, 65_535, { description: "Number of the database.", default: 0 }),
    ...redisFleetProperties,
    ...tlsProperties,
    channel: text({
      description:
        "Pub/Sub channel on which others say what clients shall be subscribed to, as EMQ X's backend for Redis takes it (mqtt_channel there). Empty: none.",
      default: "",
    }),
  },
  description: "Commands for a Redis server: acknowledged by its answer, and kept as Redis is set up to.",
});
type Config = Static<typeof schema>;

const action = actionSchema("redis", {
  does: "Run a command.",
  own: {
    command: text({
      description:
        "Words with spaces between, or in quotes; each is a template and stays one word: HMSET mqtt:msg:${id} payload ${payload}. A list becomes as many words as it has.",
      minLength: 1,
    }),
    rows: rowsProperty,
  },
  description: "A command for each output: HSET, XADD, PUBLISH, LPUSH, INCRBY and their like.",
});
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
  if (error instanceof SinkFailure) return error;
  if (error.name === "ReplyError") return new SinkFailure(error.message, HEALS.test(error.message));
  return connectionFailure(error) ?? new SinkFailure(error.message, true);
}

const CLOSED = /^(Connection is closed|Stream isn't writeable)/;

class Redis implements Connector {
  readonly #config: Config;
  readonly #host: ConnectHost;
  readonly #password: string;
  readonly #closed = new AbortController();
  readonly #channel: RedisChannel | undefined;
  #client: RedisConnection | undefined = undefined;
  /** Why the last connection that broke has broken: its library says only that it is closed. */
  #broken: Error | undefined = undefined;
  #opening: Promise<RedisConnection> | undefined = undefined;

  constructor(config: Config, host: ConnectHost, name: string) {
    this.#config = config;
    this.#host = host;
    this.#password = secretOf(config.password, host);
    const { channel, retry, cluster } = config;
    if (channel === "") return;
    const nodes = cluster.map((node) => {
      const colon = node.lastIndexOf(":");
      return { ...this.#place, host: node.slice(0, colon), port: Number(node.slice(colon + 1)), cluster: [] };
    });
    const places = nodes.length === 0 ? [this.#place] : nodes;
    const heard = (payload: Uint8Array): void => host.heard?.(name, payload);
    this.#channel = new RedisChannel({ channel, places, retry, heard });
  }

  get #place(): RedisPlace {
    return { ...this.#config, password: this.#password, tls: tlsOf(this.#config, this.#host) };
  }

  get listening(): boolean | undefined {
    return this.#channel?.listening;
  }

  async send(items: readonly Item[], signal: AbortSignal): Promise<readonly (SinkFailure | undefined)[]> {
    const client = await this.#connected();
    const answers = await this.#within(client, signal, this.#run(client, items));
    // A server that is nobody's master any more will not become it by being asked again.
    if (answers.some(({ error }) => error?.message.startsWith("READONLY"))) this.#drop(client);
    return answers.map(({ error, reply }, index) => {
      const item = items[index]!;
      const use = item.parameters["rows"];
      if (error === undefined && use !== undefined) this.#host.found?.(item, rowsIn(reply, use as RowsUse));
      return error && failureOf(error);
    });
  }

  /** In one piece; of a cluster, each command goes to the node that has its key. */
  async #run(client: RedisConnection, items: readonly Item[]): Promise<readonly Answer[]> {
    const commands = items.map(({ parameters }) => {
      const [name, ...rest] = (parameters["words"] as readonly Value[]).map(asWord);
      // A payload is octets: what shall be delivered is read as such.
      return { octets: parameters["rows"] !== undefined, name: String(name), rest };
    });
    if (this.#config.cluster.length > 0) {
      const asked = commands.map(({ octets, name, rest }) =>
        octets ? client.callBuffer(name, ...rest) : client.call(name, ...rest),
      );
      const answers = await Promise.allSettled(asked);
      return answers.map((answer) =>
        answer.status === "rejected" ? { error: answer.reason as Error } : { reply: answer.value },
      );
    }
    const pipeline = client.pipeline();
    for (const { octets, name, rest } of commands)
      if (octets) pipeline.callBuffer(name, ...rest);
      else pipeline.call(name, ...rest);
    const replies = await pipeline.exec();
    if (replies === null) throw new SinkFailure("no answer came", true);
    return commands.map((_, index) => {
      const [error, reply] = replies[index] ?? [];
      return error === null || error === undefined ? { reply } : { error };
    });
  }

  async check(signal: AbortSignal): Promise<void> {
    const client = await this.#connected();
    await this.#within(client, signal, client.ping());
    await this.#channel?.check(signal).catch((error: Error) => {
      throw new SinkFailure(`the channel ${this.#config.channel}: ${failureOf(error).message}`, true);
    });
  }

  /** A connection that does not answer is given up: what is on it has no answer either. */
  async #within<Result>(
    client: RedisConnection,
    signal: AbortSignal,
    asked: Promise<Result>,
  ): Promise<Result> {
    const give = (): void => this.#drop(client);
    if (signal.aborted) give();
    signal.addEventListener("abort", give, { once: true });
    try {
      return await asked;
    } catch (error) {
      const { message } = error as Error;
      throw failureOf((CLOSED.test(message) && this.#broken) || (error as Error));
    } finally {
      signal.removeEventListener("abort", give);
    }
  }

  #drop(client: RedisConnection): void {
    if (this.#client === client) this.#client = undefined;
    client.disconnect();
  }

  async #connected(): Promise<RedisConnection> {
    if (this.#client?.status === "ready") return this.#client;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<RedisConnection> {
    const client = await connectRedis(
      this.#place,
      (socket) => {
        guarded(socket).once("error", (error) => {
          this.#broken = error;
        });
      },
      this.#closed.signal,
    ).catch((error: Error) => {
      throw failureOf(error);
    });
    this.#client = client;
    return client;
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#channel?.close();
    this.#client?.disconnect();
  }
}

/** To one command. */
interface Answer {
  readonly error?: Error;
  readonly reply?: unknown;
}

const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

/** HGETALL's names and values, one after the other. */
function hashIn(reply: readonly unknown[]): Row {
  const hash: Record<string, unknown> = {};
  for (let index = 0; index + 1 < reply.length; index += 2) put(hash, String(reply[index]), reply[index + 1]);
  return hash;
}

/** A hash of topics and their QoS, or hashes of messages: one, or a list of them. */
function rowsIn(reply: unknown, use: RowsUse): readonly Row[] {
  if (!isList(reply) || reply.length === 0) return [];
  if (use === "subscribe")
    return Object.entries(hashIn(reply)).map(([topic, qos]) => ({ topic, qos: String(qos) }));
  return (isList(reply[0]) ? reply.filter(isList) : [reply]).map(hashIn);
}

const asWord = (value: Value): string | Buffer =>
  value instanceof Uint8Array ? Buffer.from(value) : asText(value);

export const redis: ConnectorKind<Config, ActionConfig> = {
  kind: "redis",
  schema,
  action,
  libraries: ["ioredis"],
  open: (config, host, name) => new Redis(config, host, name),
  compile({ command, rows }) {
    const templates = words(command);
    return (output) => ({
      words: templates.flatMap((template) => {
        const value = template.value(output);
        return isArray(value) ? value : [value instanceof Uint8Array ? value : asText(value)];
      }),
      ...rowsUse(rows),
    });
  },
};
