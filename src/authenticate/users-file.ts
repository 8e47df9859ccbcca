import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { type Static, Type } from "@sinclair/typebox";
import { fillDefaults } from "../settings/defaults.ts";
import { closed, type JsonSchema } from "../settings/json-schema.ts";
import { flag, SECRET, text } from "../settings/kinds.ts";
import type { Path } from "../settings/path.ts";
import { ConfigError, type ConfigProblem, problem } from "../settings/problem.ts";
import { readYaml } from "../settings/source.ts";
import { validate } from "../settings/validate.ts";
import { type Entry, KnownUsers, type Users } from "./known-users.ts";
import type { PasswordCheck } from "./password-check.ts";
import { HASH_FORMS, parsePasswordHash } from "./password-hash.ts";
import { parseVerifier, SCRAM_FORM, SCRAM_METHODS } from "./scram.ts";

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
export class UsersFile extends KnownUsers {
  readonly path: string;
  #users: Users;

  /** Throws `ConfigError` when the file cannot be used. */
  constructor(path: string, passwords: PasswordCheck) {
    super("users-file", passwords);
    this.path = path;
    this.#users = readUsers(path);
  }

  get size(): number {
    return this.#users.byName.size + this.#users.byClientId.size;
  }

  /** Reads the file again; throws `ConfigError` and keeps the users it had when the file cannot be used. */
  reload(): void {
    this.#users = readUsers(this.path);
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

  protected override get users(): Users {
    return this.#users;
  }
}

function readUsers(path: string): Users {
  let source: string;
  try {
    source = readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such users file" : `the users file cannot be read (${code})`;
    const message = `${path}: ${why}; see authentication.chain`;
    throw new ConfigError([
      { key: "authentication.chain", path: ["authentication", "chain"], where: path, message },
    ]);
  }
  return parseUsers(source, path);
}
