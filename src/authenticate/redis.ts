/** Hashes of a Redis server, as EMQ X 4 and EMQX 5 name and fill them. */
import { type Static, Type } from "@sinclair/typebox";
import type { Credentials } from "../contract/client.ts";
import type { Peer } from "../contract/peer.ts";
import { put } from "../lib/own-member.ts";
import { type AuthenticatorAnswer, IGNORED } from "../policy/authentication.ts";
import type { AccessRule } from "../policy/settings.ts";
import { text } from "../settings/kinds.ts";
import { accountProperties, concluded, type Dialect, type Fields, isYes } from "./account.ts";
import { type AuthenticatorKind, unusable } from "./kind.ts";
import { Outside, type Source } from "./outside.ts";
import { outsideProperties } from "./outside-settings.ts";
import { RedisServer, redisConnection, rulesCommand } from "./redis-server.ts";
import { bounded, numberedAction, ruleOf } from "./rules.ts";
import { handshaking, holderOf, holding, namedBy, storedKey } from "./stored-key.ts";
import { type CheckStored, checkStored } from "./stored-password.ts";
import { LoginTemplate } from "./template.ts";

const schema = Type.Object(
  {
    kind: Type.Literal("redis", { description: "Redis." }),
    ...outsideProperties,
    ...accountProperties,
    ...redisConnection,
    command: Type.Optional(
      text({
        description:
          "Finds the client: HMGET, HGET or HGETALL of password_hash (or password), salt, is_superuser.",
      }),
    ),
    superuserCommand: Type.Optional(text({ description: "Finds is_superuser, where command does not." })),
    rulesCommand,
    pskCommand: Type.Optional(
      text({
        description:
          "Finds the pre-shared key of an identity (%u) in hexadecimal, with keysFromAuthentication of tls or dtls: HGET mqtt_user:%u psk.",
      }),
    ),
    rawKeyCommand: Type.Optional(
      text({
        description:
          "Finds the name of whoever holds a raw public key of DTLS, which is %k in base64: HGET raw_keys %k.",
      }),
    ),
  },
  { description: "Hashes of a Redis server; the library is ioredis." },
);
type RedisConfig = Static<typeof schema>;

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are the placeholders of the configuration
export const REDIS_DEFAULTS: Readonly<
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
export class RedisCommand {
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
  for (let at = 0; at + 1 < answer.length; at += 2) put(fields, String(answer[at]), answer[at + 1]);
  return fields;
}

export const rulesOfFields = (fields: Fields): readonly AccessRule[] =>
  bounded(Object.entries(fields)).map(ruleOfField);

function ruleOfField([topic, value]: readonly [string, unknown]): AccessRule {
  const said = String(value);
  if (/^\d+$/.test(said)) {
    return ruleOf({ permission: "allow", action: numberedAction(said), topic });
  }
  const more = said.startsWith("{") ? (JSON.parse(said) as Fields) : { action: said };
  return ruleOf({ ...more, permission: "allow", topic });
}

class RedisSource implements Source {
  readonly #server: RedisServer;
  readonly #check: CheckStored;
  readonly #command: RedisCommand;
  readonly #superuser: RedisCommand | undefined;
  readonly #rules: RedisCommand | undefined;
  readonly presharedKey: Source["presharedKey"];
  readonly rawKeyHolder: Source["rawKeyHolder"];

  constructor(config: RedisConfig, name: string, server: RedisServer) {
    const { command, superuserCommand, rulesCommand, readRules, passwordHash, dialect } = config;
    const usual = REDIS_DEFAULTS[dialect];
    const compiled = (written: string | undefined) =>
      written === undefined || written === "" ? undefined : new RedisCommand(written, name);
    this.#server = server;
    this.#check = checkStored(passwordHash ?? usual.hash, name);
    this.#command = new RedisCommand(command ?? usual.command, name);
    this.#superuser = compiled(superuserCommand ?? usual.superuser);
    this.#rules = readRules ? compiled(rulesCommand ?? usual.rules) : undefined;
    const [psk, rawKey] = [compiled(config.pskCommand), compiled(config.rawKeyCommand)];
    const first = (fields: Fields | undefined): unknown => Object.values(fields ?? {})[0];
    if (psk !== undefined) {
      this.presharedKey = async (identity) =>
        storedKey(first(await this.#fields(psk, namedBy(identity), handshaking(identity))));
    }
    if (rawKey !== undefined) {
      this.rawKeyHolder = async (publicKey) =>
        holderOf(first(await this.#fields(rawKey, holding(publicKey), handshaking())));
    }
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
        return rulesOfFields((await this.#fields(this.#rules, request, peer)) ?? {});
      },
    };
    return concluded(request, account, this.#check);
  }

  close(): void {
    this.#server.close();
  }

  #fields(command: RedisCommand, request: Credentials, peer: Peer): Promise<Fields | undefined> {
    return askRedis(this.#server, command, request, peer);
  }
}

/** Undefined: there is nothing, or the client lacks a value that the command needs. */
export async function askRedis(
  server: RedisServer,
  command: RedisCommand,
  request: Credentials,
  peer: Peer,
): Promise<Fields | undefined> {
  const filled = command.fill(request, peer);
  return filled === undefined ? undefined : command.fieldsOf(await server.call(command.name, filled));
}

export const redis: AuthenticatorKind<RedisConfig> = {
  kind: "redis",
  schema,
  open(config, host) {
    const { name = "redis", password } = config;
    const source = new RedisSource(config, name, new RedisServer(config, name));
    return new Outside(name, config, host, source, [password]);
  },
};
