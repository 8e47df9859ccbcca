/** How a Redis server (or Valkey), one behind sentinels, or a cluster is reached. The library is ioredis, loaded when it is used. */
import type { Cluster, Redis, RedisOptions } from "ioredis";

export type RedisConnection = Redis | Cluster;

/** What of a connection's socket is of interest: it is net's, or TLS's. */
export interface RedisSocket {
  readonly bytesWritten: number;
  readonly readableLength: number;
  emit(event: string | symbol, ...rest: unknown[]): boolean;
  destroy(error?: Error): unknown;
  once(event: "error", heard: (error: Error) => void): unknown;
}

export interface RedisPlace {
  readonly host: string;
  readonly port: number;
  readonly database: number;
  /** Empty or absent: none. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Undefined: no TLS. */
  readonly tls: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer } | undefined;
  /** How long connecting may take, in milliseconds. */
  readonly timeout: number;
  /** `host:port` of sentinels, which say where the server is. */
  readonly sentinels?: readonly string[];
  readonly sentinelName?: string;
  /** `host:port` of some nodes of a cluster. */
  readonly cluster?: readonly string[];
}

/** A port from 1 to 65,535 behind a host. */
export const HOST_AND_PORT =
  "^[^\\s]+:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$";

const split = (place: string): { host: string; port: number } => {
  const colon = place.lastIndexOf(":");
  return { host: place.slice(0, colon), port: Number(place.slice(colon + 1)) };
};

/** Longest pause between attempts to connect, in milliseconds. */
const RETRY_MAX = 2_000;
const never = () => null;
const CLOSED = "Connection is closed.";

/** Without what would change the type of replies. */
type Options = Omit<RedisOptions, "replyMapping">;

function common({ username = "", password = "", tls, timeout }: RedisPlace): Options {
  return {
    connectTimeout: timeout,
    ...(username === "" ? {} : { username }),
    ...(password === "" ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
  };
}

async function make(place: RedisPlace, more: Options, again: boolean): Promise<RedisConnection> {
  const library = await import("ioredis");
  const { host, port, database: db, sentinels = [], sentinelName = "mymaster", cluster = [] } = place;
  const options = { ...common(place), ...more };
  const lazyConnect = !again;
  const made = (): RedisConnection => {
    if (cluster.length > 0) {
      const once = again ? {} : { clusterRetryStrategy: never, enableOfflineQueue: false };
      return new library.Cluster(cluster.map(split), { ...once, lazyConnect, redisOptions: options });
    }
    if (sentinels.length === 0) return new library.Redis({ ...options, host, port, db, lazyConnect });
    const once = again ? {} : { sentinelRetryStrategy: never };
    const where = { sentinels: sentinels.map(split), name: sentinelName };
    return new library.Redis({ ...options, ...once, ...where, db, lazyConnect });
  };
  const connection = made();
  // What is wrong with the connection is told by the commands that fail.
  connection.on("error", () => {});
  return connection;
}

/** A connection that mends itself; a command that it has no answer to in time fails. */
export const lastingRedis = (place: RedisPlace): Promise<RedisConnection> =>
  make(
    place,
    {
      commandTimeout: place.timeout,
      maxRetriesPerRequest: 1,
      retryStrategy: (attempt) => Math.min(attempt * 100, RETRY_MAX),
    },
    true,
  );

/** A connection that is there, or an error; `opened` is told of each of its sockets before anything comes, and `closed` ends it; once it has ended it is of no use any more. */
export async function connectRedis(
  place: RedisPlace,
  opened: (socket: RedisSocket) => void = () => {},
  closed?: AbortSignal,
): Promise<RedisConnection> {
  const single = { retryStrategy: never, maxRetriesPerRequest: 0, enableOfflineQueue: false };
  const connection = await make(place, single, false);
  const told = (node: { readonly stream: unknown }): void => opened(node.stream as RedisSocket);
  if ("nodes" in connection) connection.on("+node", (node) => node.once("connect", () => told(node)));
  else connection.once("connect", () => told(connection));
  const give = (): void => connection.disconnect();
  const forget = (): void => closed?.removeEventListener("abort", give);
  closed?.addEventListener("abort", give);
  connection.once("end", forget);
  let broken: Error | undefined;
  connection.on("error", (error: Error) => {
    broken = error;
  });
  let timer: NodeJS.Timeout | undefined;
  // A cluster that is found in the middle of a change may leave the library waiting for good.
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not connected within ${place.timeout} ms`)), place.timeout);
  });
  try {
    await Promise.race([connection.connect(), tooLate]);
  } catch (error) {
    forget();
    connection.disconnect();
    // The library says that it is closed, and not why.
    throw (error as Error).message === CLOSED && broken !== undefined ? broken : error;
  } finally {
    clearTimeout(timer);
  }
  return connection;
}
