import { randomBytes } from "node:crypto";
import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { type Static, Type } from "@sinclair/typebox";
import type { Credentials, Exchange } from "../contract/client.ts";
import type { Identity } from "../contract/identity.ts";
import type { Peer } from "../contract/peer.ts";
import type { Instant } from "../lib/time.ts";
import {
  type Applicant,
  type Authenticator,
  type AuthenticatorAnswer,
  IGNORED,
} from "../policy/authentication.ts";
import { fillDefaults } from "../settings/defaults.ts";
import { closed, type JsonSchema } from "../settings/json-schema.ts";
import { flag, SECRET, text } from "../settings/kinds.ts";
import type { Path } from "../settings/path.ts";
import { ConfigError, type ConfigProblem, problem } from "../settings/problem.ts";
import { readYaml } from "../settings/source.ts";
import { validate } from "../settings/validate.ts";
import { askedBy } from "./asked-by.ts";
import type { PasswordCheck } from "./password-check.ts";
import { HASH_FORMS, type PasswordHash, parsePasswordHash } from "./password-hash.ts";

import { challengeOf, decoys, parseVerifier, SCRAM_FORM, SCRAM_METHODS, type Verifier } from "./scram.ts";

/** How often a users file is looked at for changes, in milliseconds. */
const WATCH_INTERVAL = 2_000;

const password = text({ description: `Password hash: ${HASH_FORMS}.`, [SECRET]: true });
const psk = Type.Optional(
  text({
    description: "Pre-shared key of DTLS in hexadecimal, 64 octets at most; the name is the identity.",
    pattern: "^([0-9A-Fa-f]{2}){1,64}$",
    [SECRET]: true,
  }),
);
const publicKey = Type.Optional(
  text({ description: "Raw public key of DTLS: the SubjectPublicKeyInfo in base64.", minLength: 1 }),
);
const scram = Type.Optional(
  text({
    description: `What SCRAM needs instead of a password, for MQTT 5: ${SCRAM_FORM}. One of each method, apart by blanks.`,
    [SECRET]: true,
  }),
);
const superuser = flag({ description: "Skips the access control list.", default: false });

const UsersSchema = Type.Object({
  users: Type.Array(
    Type.Object({
      username: text({ description: "User name.", minLength: 1 }),
      password: Type.Optional(password),
      scram,
      psk,
      publicKey,
      superuser,
      clientId: Type.Optional(
        text({ description: "The only client id that this user may come with; absent: any.", minLength: 1 }),
      ),
    }),
    { description: "Users, by the name they log in with.", default: [] },
  ),
  clients: Type.Array(
    Type.Object({
      clientId: text({ description: "Client id.", minLength: 1 }),
      password: Type.Optional(password),
      psk,
      publicKey,
      superuser,
    }),
    {
      description:
        "Clients, by their client id. Without a password the id alone is enough: for protocols that have none, on networks that are trusted.",
      default: [],
    },
  ),
});
type UsersDocument = Static<typeof UsersSchema>;

const schema = closed(JSON.parse(JSON.stringify(UsersSchema)) as JsonSchema);

interface Entry {
  /** Undefined: of a client, the name is enough; of a user, there is no password that is right. */
  readonly hash: PasswordHash | undefined;
  readonly verifiers: readonly Verifier[];
  readonly superuser: boolean;
  /** Undefined: any. */
  readonly clientId: string | undefined;
}

interface Users {
  /** Of all that have one. */
  readonly hashes: readonly PasswordHash[];
  readonly byName: ReadonlyMap<string, Entry>;
  readonly byClientId: ReadonlyMap<string, Entry>;
  /** SCRAM with the hashes that somebody has verifiers of. */
  readonly methods: readonly string[];
  /** Pre-shared keys by name, and names by raw public keys in base64. */
  readonly presharedKeys: ReadonlyMap<string, Uint8Array>;
  readonly rawKeyHolders: ReadonlyMap<string, string>;
}

const WRONG_CLIENT_ID: AuthenticatorAnswer = {
  answer: "rejected",
  reason: "this user may not have this client id",
};
const WRONG_PASSWORD: AuthenticatorAnswer = { answer: "rejected", reason: "wrong password" };
const NO_PASSWORD = new Uint8Array();

/** FNV-1a, 32 bits. */
function spread(name: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < name.length; index++)
    value = Math.imul(value ^ name.charCodeAt(index), 0x01000193);
  return value >>> 0;
}

/** Reads the text of a users file; throws `ConfigError` with every problem in it, and no secret. */
export function parseUsers(source: string, name: string): Users {
  const yaml = readYaml(source, name);
  if (yaml.problems.length > 0) throw new ConfigError(yaml.problems);
  const locate = (path: Path) => {
    const line = yaml.lineOf(path);
    return line === undefined ? name : `${name}:${line}`;
  };
  const document = fillDefaults(schema, yaml.values) as UsersDocument;
  const found: ConfigProblem[] = [...validate(schema, document, locate)];
  if (found.length > 0) throw new ConfigError(found);

  const presharedKeys = new Map<string, Uint8Array>();
  const rawKeyHolders = new Map<string, string>();
  const index = <
    Item extends {
      password?: string;
      psk?: string;
      publicKey?: string;
      superuser: boolean;
      clientId?: string;
      scram?: string;
    },
  >(
    list: "users" | "clients",
    items: readonly Item[],
    nameOf: (item: Item) => string,
  ): Map<string, Entry> => {
    const entries = new Map<string, Entry>();
    items.forEach((item, position) => {
      const hash = item.password === undefined ? undefined : parsePasswordHash(item.password);
      const path: Path = [list, position];
      if (item.password !== undefined && hash === undefined) {
        const finding = { path: [...path, "password"], says: "is no hash", allowed: HASH_FORMS };
        found.push(problem(locate, finding));
      }
      if (entries.has(nameOf(item))) found.push(problem(locate, { path, says: "is there twice" }));
      const { psk, publicKey } = item;
      // A user name is looked up first, then a client id.
      if (psk !== undefined && !presharedKeys.has(nameOf(item))) {
        presharedKeys.set(nameOf(item), new Uint8Array(Buffer.from(psk, "hex")));
      }
      if (publicKey !== undefined) {
        rawKeyHolders.set(Buffer.from(publicKey, "base64").toString("base64"), nameOf(item));
      }
      const verifiers = (item.scram ?? "").split(/\s+/).filter((one) => one !== "");
      const parsed = verifiers.map(parseVerifier);
      if (parsed.includes(undefined)) {
        found.push(
          problem(locate, { path: [...path, "scram"], says: "is no verifier", allowed: SCRAM_FORM }),
        );
      }
      if (
        list === "users" &&
        hash === undefined &&
        verifiers.length === 0 &&
        psk === undefined &&
        publicKey === undefined
      ) {
        found.push(problem(locate, { path, says: "has neither password, scram, psk nor publicKey" }));
      }
      entries.set(nameOf(item), {
        hash,
        superuser: item.superuser,
        clientId: item.clientId,
        verifiers: parsed.filter((one) => one !== undefined),
      });
    });
    return entries;
  };
  const byName = index("users", document.users, (user) => user.username);
  const byClientId = index("clients", document.clients, (client) => client.clientId);
  if (found.length > 0) throw new ConfigError(found);
  const hashes = [...byName.values(), ...byClientId.values()].flatMap(({ hash }) => hash ?? []);
  const hashesOfScram = new Set(
    [...byName.values()].flatMap(({ verifiers }) => verifiers.map(({ hash }) => hash)),
  );
  const methods = Object.entries(SCRAM_METHODS).flatMap(([name, hash]) =>
    hashesOfScram.has(hash) ? [name] : [],
  );
  return { hashes, byName, byClientId, presharedKeys, rawKeyHolders, methods };
}

/** Users and clients in a YAML file, with password hashes. A user name is looked up first, then the client id. */
export class UsersFile implements Authenticator {
  readonly name = "users-file";
  readonly path: string;
  readonly #passwords: PasswordCheck;
  readonly #decoy = decoys(randomBytes(32));
  #users: Users;

  /** Throws `ConfigError` when the file cannot be used. */
  constructor(path: string, passwords: PasswordCheck) {
    this.path = path;
    this.#passwords = passwords;
    this.#users = this.#read();
  }

  get size(): number {
    return this.#users.byName.size + this.#users.byClientId.size;
  }

  /** Reads the file again; throws `ConfigError` and keeps the users it had when the file cannot be used. */
  reload(): void {
    this.#users = this.#read();
  }

  /** Reads the file again whenever it changes; `told` hears the outcome. Returns how to stop that. */
  watch(told: (error: ConfigError | undefined) => void): () => void {
    const look = (): void => {
      try {
        this.reload();
        told(undefined);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        told(error);
      }
    };
    watchFile(this.path, { interval: WATCH_INTERVAL, persistent: false }, look);
    return () => unwatchFile(this.path, look);
  }

  authenticate(
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant?: Applicant,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer> {
    const { byName, byClientId } = this.#users;
    if (request.exchange !== undefined) return this.#exchange(request, request.exchange);
    const user = request.username === undefined ? undefined : byName.get(request.username);
    const entry = user ?? byClientId.get(request.clientId);
    if (entry === undefined) return IGNORED;
    const { superuser } = entry;
    const accepted: AuthenticatorAnswer =
      user === undefined
        ? { answer: "accepted", superuser, clientIdOnly: true }
        : { answer: "accepted", superuser };
    const held = entry.clientId !== undefined && entry.clientId !== request.clientId;
    if (entry.hash === undefined && user !== undefined) return WRONG_PASSWORD;
    if (entry.hash === undefined) return held ? WRONG_CLIENT_ID : accepted;
    if (request.password === undefined) return { answer: "rejected", reason: "no password was given" };
    // The password comes first, so that time does not tell which names there are.
    const right = held ? WRONG_CLIENT_ID : accepted;
    return this.#check(entry.hash, request, peer, now, applicant, right);
  }

  /** Of all users: SCRAM is offered when somebody has what it needs. */
  get methods(): readonly string[] {
    return this.#users.methods;
  }

  /** SCRAM (RFC 5802). Whom nobody knows gets a challenge as everybody does, and fails at the end. */
  async #exchange(request: Credentials, exchange: Exchange): Promise<AuthenticatorAnswer> {
    const hash = SCRAM_METHODS[exchange.method];
    if (hash === undefined) return IGNORED;
    const { byName } = this.#users;
    const verifierOf = (name: string) => byName.get(name)?.verifiers.find((one) => one.hash === hash);
    const challenge = challengeOf(exchange.data, hash, verifierOf, this.#decoy);
    if (challenge === undefined) return { answer: "rejected", reason: "no first message of SCRAM" };
    const { username } = challenge;
    const answered = await new Promise<Uint8Array | undefined>((resolve) =>
      exchange.challenge(challenge.message, resolve),
    );
    if (answered === undefined) return { answer: "rejected", reason: "the client gave up" };
    const final = challenge.conclude(answered);
    if (final === undefined) return WRONG_PASSWORD;
    // CONNECT's user name may be absent; where it is there, it is the same (MQTT 5 §4.12).
    if (request.username !== undefined && request.username !== username) {
      return { answer: "rejected", reason: "CONNECT names another user" };
    }
    const entry = byName.get(username);
    if (entry === undefined) return WRONG_PASSWORD;
    if (entry.clientId !== undefined && entry.clientId !== request.clientId) return WRONG_CLIENT_ID;
    exchange.success(final);
    return { answer: "accepted", username, superuser: entry.superuser };
  }

  /** Checks the password of one of its users who has another name; always the same one for a name. */
  pretend(
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant?: Applicant,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer> {
    const { hashes } = this.#users;
    const hash = hashes[spread(request.username ?? request.clientId) % Math.max(1, hashes.length)];
    return hash === undefined ? IGNORED : this.#check(hash, request, peer, now, applicant, WRONG_PASSWORD);
  }

  #check(
    hash: PasswordHash,
    request: Credentials,
    peer: Peer,
    now: Instant,
    applicant: Applicant | undefined,
    right: AuthenticatorAnswer,
  ): AuthenticatorAnswer | Promise<AuthenticatorAnswer> {
    const { password = NO_PASSWORD } = request;
    const outcome = this.#passwords.verify(hash, password, now, askedBy(request, peer, applicant));
    const conclude = (answer: boolean | "busy"): AuthenticatorAnswer =>
      answer === "busy" ? { answer: "busy" } : answer ? right : WRONG_PASSWORD;
    return outcome instanceof Promise ? outcome.then(conclude) : conclude(outcome);
  }

  knows({ username, clientId, superuser, proven }: Identity): boolean {
    const { byName, byClientId } = this.#users;
    const entry = proven === `user:${username}` ? byName.get(username as string) : byClientId.get(clientId);
    return entry !== undefined && entry.superuser === superuser && (entry.clientId ?? clientId) === clientId;
  }

  presharedKey(identity: string): Uint8Array | undefined {
    return this.#users.presharedKeys.get(identity);
  }

  rawKeyHolder(publicKey: Uint8Array): string | undefined {
    return this.#users.rawKeyHolders.get(Buffer.from(publicKey).toString("base64"));
  }

  #read(): Users {
    let source: string;
    try {
      source = readFileSync(this.path, "utf8");
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const why =
        code === "ENOENT" ? "there is no such users file" : `the users file cannot be read (${code})`;
      const message = `${this.path}: ${why}; see authentication.chain`;
      throw new ConfigError([
        { key: "authentication.chain", path: ["authentication", "chain"], where: this.path, message },
      ]);
    }
    return parseUsers(source, this.path);
  }
}
