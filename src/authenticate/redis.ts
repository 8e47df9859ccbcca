/** Hashes of a Redis server, as EMQ X 4 and EMQX 5 name and fill them. */
import { readFileSync } from "node:fs";
import { type Static, Type } from "@sinclair/typebox";
import type { Redis as Connection, RedisOptions } from "ioredis";
import { locate } from "../config/installation.ts";
import { flag, integer, SECRET, text } from "../config/kinds.ts";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { type AuthenticatorAnswer, IGNORED } from "../policy/authentication.ts";
import type { AccessRule } from "../policy/settings.ts";
import { accountProperties, concluded, type Dialect, type Fields, isYes } from "./account.ts";
import { type AuthenticatorKind, unusable } from "./kind.ts";
import { Outside, type Source } from "./outside.ts";
import { outsideProperties } from "./outside-settings.ts";
import { needs } from "./packages.ts";
import { bounded, numberedAction, ruleOf } from "./rules.ts";
import { type CheckStored, checkStored } from "./stored-password.ts";
import { LoginTemplate } from "./template.ts";

const schema = Type.Object(
  {
    kind: Type.Literal("redis", { description: "Redis." }),
    ...outsideProperties,
    ...accountProperties,
    host: text({ description: "Host of the server.", default: "127.0.0.1" }),
    port: integer(1, 65_535, { description: "Port of the server.", default: 6379 }),
    user: Type.Optional(text({ description: "The gateway's user name there (Redis 6)." })),
    password: Type.Optional(text({ description: "The gateway's password there.", [SECRET]: true })),
    database: integer(0, 65_535, { description: "Number of the database.", default: 0 }),
    tls: flag({ description: "Speak TLS, and check the server's certificate.", default: false }),
    caFile: Type.Optional(
      text({ description: "tls: certificates that the server's is signed with, as PEM." }),
    ),
    command: Type.Optional(
      text({
        description:
          "Finds the client: HMGET, HGET or HGETALL of password_hash (or password), salt, is_superuser.",
      }),
    ),
    superuserCommand: Type.Optional(text({ description: "Finds is_superuser, where command does not." })),
    rulesCommand: Type.Optional(
      text({
        description:
          "readRules: HGETALL of topic filters, each with publish, subscribe, all, or 2, 1, 3, or JSON.",
      }),
    ),
  },
  { description: "Hashes of a Redis server; the library is ioredis." },
);
type RedisConfig = Static<typeof schema>;
type ConnectionOptions = Omit<RedisOptions, "replyMapping">;

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are the placeholders of the configuration
const DEFAULTS: Readonly<
  Record<Dialect, { command: string; superuser?: string; rules: string; hash: string }>
> = {
  emqx4: {
    command: "HMGET mqtt_user:%u password",
    superuser: "HGET mqtt_user:%u is_superuser",
    rules: "HGETALL mqtt_acl:%u",
    hash: "plain",
  },
  emqx5: {
    command: "HMGET mqtt_user:${username} password_hash salt is_superuser",
    rules: "HGETALL mqtt_acl:${username}",
    hash: "sha256,salt",
  },
};
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: see above

const READING = ["HGET", "HMGET", "HGETALL"];

/** A command of an operator; each of its words is one argument, whatever a client calls itself. */
class RedisCommand {
  readonly name: string;
  readonly namesUser: boolean;
  readonly #words: readonly string[];
  readonly #arguments: readonly LoginTemplate[];

  constructor(command: string, authenticator: string) {
    const [name = "", ...words] = command.trim().split(/\s+/);
    this.name = name.toUpperCase();
    if (!READING.includes(this.name) || words.length === 0) {
      throw unusable(authenticator, `a command must be one of ${READING.join(", ")}, with a key`);
    }
    this.#words = words;
    this.namesUser = /%u|\$\{username\}/.test(command);
    this.#arguments = words.map((word) => new LoginTemplate(word, authenticator));
  }

  fill(request: Credentials, peer: Peer): string[] | undefined {
    const filled = this.#arguments.map((argument) => argument.fill(request, peer));
    return filled.includes(undefined) ? undefined : (filled as string[]);
  }

  /** The answer by field names. Undefined: there is no such key, or none of its fields. */
  fieldsOf(answer: unknown): Fields | undefined {
    const fields = this.name === "HGETALL" ? pairs(answer) : this.#asked(answer);
    return Object.values(fields).every((value) => value === null) ? undefined : fields;
  }

  #asked(answer: unknown): Fields {
    const values = Array.isArray(answer) ? answer : [answer];
    return Object.fromEntries(this.#words.slice(1).map((field, index) => [field, values[index] ?? null]));
  }
}

/** RESP 2 answers HGETALL with a flat list. */
function pairs(answer: unknown): Fields {
  if (!Array.isArray(answer)) return { ...(answer as Fields | null) };
  const fields: Record<string, unknown> = {};
  for (let at = 0; at + 1 < answer.length; at += 2) fields[String(answer[at])] = answer[at + 1];
  return fields;
}

function ruleOfField([topic, value]: readonly [string, unknown]): AccessRule {
  const said = String(value);
  if (/^\d+$/.test(said)) {
    return ruleOf({ permission: "allow", action: numberedAction(said), topic });
  }
  const more = said.startsWith("{") ? (JSON.parse(said) as Fields) : { action: said };
  return ruleOf({ ...more, permission: "allow", topic });
}

class RedisSource implements Source {
  readonly #options: ConnectionOptions;
  readonly #check: CheckStored;
  readonly #command: RedisCommand;
  readonly #superuser: RedisCommand | undefined;
  readonly #rules: RedisCommand | undefined;
  #connection: Promise<Connection> | undefined = undefined;

  constructor(config: RedisConfig, name: string, options: ConnectionOptions) {
    const { command, superuserCommand, rulesCommand, readRules, passwordHash, dialect } = config;
    const usual = DEFAULTS[dialect];
    const compiled = (written: string | undefined) =>
      written === undefined || written === "" ? undefined : new RedisCommand(written, name);
    this.#options = options;
    this.#check = checkStored(passwordHash ?? usual.hash, name);
    this.#command = new RedisCommand(command ?? usual.command, name);
    this.#superuser = compiled(superuserCommand ?? usual.superuser);
    this.#rules = readRules ? compiled(rulesCommand ?? usual.rules) : undefined;
  }

  async ask(request: Credentials, peer: Peer): Promise<AuthenticatorAnswer> {
    if (this.#command.fill(request, peer) === undefined) return IGNORED;
    const fields = await this.#fields(this.#command, request, peer);
    const account = {
      fields,
      clientIdOnly: !this.#command.namesUser,
      superuser: async () => {
        if (this.#superuser === undefined) return isYes(fields?.["is_superuser"]);
        return isYes(Object.values((await this.#fields(this.#superuser, request, peer)) ?? {})[0]);
      },
      rules: async () => {
        if (this.#rules === undefined) return undefined;
        return bounded(Object.entries((await this.#fields(this.#rules, request, peer)) ?? {})).map(
          ruleOfField,
        );
      },
    };
    return concluded(request, account, this.#check);
  }

  close(): void {
    void this.#connection?.then((connection) => connection.disconnect()).catch(() => {});
  }

  async #fields(command: RedisCommand, request: Credentials, peer: Peer): Promise<Fields | undefined> {
    const filled = command.fill(request, peer);
    if (filled === undefined) return undefined;
    this.#connection ??= this.#open();
    return command.fieldsOf(await (await this.#connection).call(command.name, ...filled));
  }

  /** One connection: Redis answers in order, and questions do not wait for each other's answers. */
  async #open(): Promise<Connection> {
    const { Redis } = await import("ioredis");
    const connection = new Redis(this.#options);
    // What is wrong with the connection is told by the commands that fail.
    connection.on("error", () => {});
    return connection;
  }
}

/** Longest pause between attempts to connect, in milliseconds. */
const RETRY_MAX = 2_000;

export const redis: AuthenticatorKind<RedisConfig> = {
  kind: "redis",
  schema,
  open(config, host) {
    const { name = "redis", port, user, password, database, tls, caFile, timeout } = config;
    needs(name, "ioredis");
    let ca: Buffer | undefined;
    try {
      ca = caFile === undefined ? undefined : readFileSync(locate(caFile));
    } catch (error) {
      throw unusable(name, `caFile cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
    const options: ConnectionOptions = {
      host: config.host,
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
    return new Outside(name, config, host, new RedisSource(config, name, options), [password]);
  },
};
