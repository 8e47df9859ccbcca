/** How a Redis server, one behind sentinels, or a cluster is reached. */
import { type Static, Type } from "@sinclair/typebox";
import type { Cluster, Redis, RedisOptions } from "ioredis";
import { flag, integer, SECRET, text, texts } from "../settings/kinds.ts";
import { unusable } from "./kind.ts";
import { needs } from "./packages.ts";
import { authorityOf } from "./sql.ts";

export const redisConnection = {
  host: text({ description: "Host of the server.", default: "127.0.0.1" }),
  port: integer(1, 65_535, { description: "Port of the server.", default: 6379 }),
  user: Type.Optional(text({ description: "The gateway's user name there (Redis 6)." })),
  password: Type.Optional(text({ description: "The gateway's password there.", [SECRET]: true })),
  database: integer(0, 65_535, { description: "Number of the database.", default: 0 }),
  tls: flag({ description: "Speak TLS, and check the server's certificate.", default: false }),
  caFile: Type.Optional(text({ description: "tls: certificates that the server's is signed with, as PEM." })),
  sentinels: texts({
    description: "host:port of sentinels: they say where the server is, instead of host and port.",
    default: [],
  }),
  sentinelName: text({ description: "What the sentinels call the server.", default: "mymaster" }),
  cluster: texts({
    description: "host:port of some nodes of a cluster, instead of host, port and database.",
    default: [],
  }),
};

export const rulesCommand = Type.Optional(
  text({
    description:
      "Finds rules: HGETALL of topic filters, each with publish, subscribe, all, or 2, 1, 3, or JSON.",
  }),
);

const Connection = Type.Object(redisConnection);
type RedisConnection = Static<typeof Connection>;
type ConnectionOptions = Omit<RedisOptions, "replyMapping">;

/** Longest pause between attempts to connect, in milliseconds. */
const RETRY_MAX = 2_000;

/** One connection (to each node): Redis answers in order, and questions do not wait for each other's answers. */
export class RedisServer {
  readonly #config: RedisConnection;
  readonly #name: string;
  readonly #options: ConnectionOptions;
  #connection: Promise<Redis | Cluster> | undefined = undefined;

  constructor(config: RedisConnection & { readonly timeout: number }, name: string) {
    needs(name, "ioredis");
    const { host, port, user, password, database, tls, caFile, timeout } = config;
    const ca = authorityOf(caFile, name);
    for (const place of [...config.sentinels, ...config.cluster]) placeOf(place, name);
    this.#config = config;
    this.#name = name;
    this.#options = {
      host,
      port,
      db: database,
      connectTimeout: timeout,
      commandTimeout: timeout,
      maxRetriesPerRequest: 1,
      retryStrategy: (attempt) => Math.min(attempt * 100, RETRY_MAX),
      ...(user === undefined ? {} : { username: user }),
      ...(password === undefined ? {} : { password }),
      ...(tls ? { tls: ca === undefined ? {} : { ca } } : {}),
    };
  }

  async call(command: string, words: readonly string[]): Promise<unknown> {
    this.#connection ??= this.#open();
    return (await this.#connection).call(command, ...words);
  }

  close(): void {
    void this.#connection?.then((connection) => connection.disconnect()).catch(() => {});
  }

  async #open(): Promise<Redis | Cluster> {
    const { Cluster, Redis } = await import("ioredis");
    const connection = this.#make(Redis, Cluster);
    // What is wrong with the connection is told by the commands that fail.
    connection.on("error", () => {});
    return connection;
  }

  #make(One: typeof Redis, Many: typeof Cluster): Redis | Cluster {
    const { sentinels, sentinelName, cluster } = this.#config;
    const placed = (places: readonly string[]) => places.map((place) => placeOf(place, this.#name));
    const { host, port, db, ...shared } = this.#options;
    if (cluster.length > 0) return new Many(placed(cluster), { redisOptions: shared });
    if (sentinels.length === 0) return new One(this.#options);
    return new One({ ...shared, db: db ?? 0, sentinels: placed(sentinels), name: sentinelName });
  }
}

function placeOf(place: string, name: string): { readonly host: string; readonly port: number } {
  const colon = place.lastIndexOf(":");
  const port = Number(place.slice(colon + 1));
  if (colon < 1 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw unusable(name, `"${place}" is no host:port`);
  }
  return { host: place.slice(0, colon), port };
}
