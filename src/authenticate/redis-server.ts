/** A Redis server as a source of identities and rules. */
import { type Static, Type } from "@sinclair/typebox";
import { lastingRedis, type RedisConnection, type RedisPlace } from "../lib/redis.ts";
import { flag, integer, SECRET, text } from "../settings/kinds.ts";
import { redisFleetProperties } from "../settings/redis-fleet.ts";
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
  ...redisFleetProperties,
};

export const rulesCommand = Type.Optional(
  text({
    description:
      "Finds rules: HGETALL of topic filters, each with publish, subscribe, all, or 2, 1, 3, or JSON.",
  }),
);

const Connection = Type.Object(redisConnection);
type RedisSettings = Static<typeof Connection>;
/** One connection (to each node): Redis answers in order, and questions do not wait for each other's answers. */
export class RedisServer {
  readonly #place: RedisPlace;
  #connection: Promise<RedisConnection> | undefined = undefined;

  /** Throws `ConfigError` where the library is missing, or a file cannot be read. */
  constructor(config: RedisSettings & { readonly timeout: number }, name: string) {
    needs(name, "ioredis");
    const { user, tls, caFile, ...place } = config;
    const ca = authorityOf(caFile, name);
    this.#place = { ...place, username: user, tls: tls ? (ca === undefined ? {} : { ca }) : undefined };
  }

  async call(command: string, words: readonly string[]): Promise<unknown> {
    this.#connection ??= lastingRedis(this.#place);
    return (await this.#connection).call(command, ...words);
  }

  close(): void {
    void this.#connection?.then((connection) => connection.disconnect()).catch(() => {});
  }
}
