/**
 * Who may steer this node: users with password hashes, and API keys with hashed secrets, in one file that only its owner
 * may read. The running node and `isthmus admin` on its machine both write it, under a lock, each reading it again first.
 */
import { closeSync, existsSync, openSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { writeDurably } from "../../settings/durable-file.ts";
import { choice } from "../../settings/kinds.ts";
import { makeFolder } from "../../settings/make-folder.ts";
import { checkerOf } from "../check-request.ts";
import { ROLES } from "./principal.ts";

export const USERS_MAX = 1_000;
export const KEYS_MAX = 10_000;
/** A lock of a writer that has died is taken over after this. */
const LOCK_STALE_MS = 10_000;
const LOCK_TRIES = 200;
const LOCK_WAIT_MS = 25;

export const NAME_PATTERN = "^[^\\u0000-\\u001f\\u007f:]{1,128}$";

export const UserAccount = Type.Object({
  name: Type.String({ pattern: NAME_PATTERN }),
  role: choice(ROLES, { description: "What the user may do." }),
  password: Type.String(),
  createdAt: Type.Number(),
});
export const KeyAccount = Type.Object({
  id: Type.String({ pattern: "^[A-Za-z0-9_-]{1,64}$" }),
  name: Type.String({ maxLength: 128 }),
  role: choice(ROLES, { description: "What the key may do." }),
  /** SHA-256 of the secret, in hexadecimal: secrets are drawn at random, and long. */
  secret: Type.String({ pattern: "^[0-9a-f]{64}$" }),
  createdAt: Type.Number(),
  expiresAt: Type.Optional(Type.Number()),
});
const Document = Type.Object({
  users: Type.Array(UserAccount, { maxItems: USERS_MAX }),
  keys: Type.Array(KeyAccount, { maxItems: KEYS_MAX }),
});

export type UserAccount = Static<typeof UserAccount>;
export type KeyAccount = Static<typeof KeyAccount>;
type Accounts = Static<typeof Document>;

const check = checkerOf(Document, "body");
const NONE: Accounts = { users: [], keys: [] };

/** The file cannot be used. */
export class AccountsError extends Error {
  readonly code = "accounts-file";
}

export class AccountsFile {
  readonly path: string;
  /** Keys that a file of the configuration names; they come and go with it. */
  readonly #given: readonly KeyAccount[];
  #accounts: Accounts = NONE;
  /** Of the file as it was read last. */
  #version = "";

  constructor(path: string, given: readonly KeyAccount[] = []) {
    this.path = path;
    this.#given = given;
    this.#refresh();
  }

  /** Somebody has an account: from then on nobody gets in without. */
  get exist(): boolean {
    const { users, keys } = this.#refresh();
    return users.length > 0 || keys.length > 0 || this.#given.length > 0;
  }

  get users(): readonly UserAccount[] {
    return this.#refresh().users;
  }

  get keys(): readonly KeyAccount[] {
    return [...this.#refresh().keys, ...this.#given];
  }

  user(name: string): UserAccount | undefined {
    return this.users.find((user) => user.name === name);
  }

  key(id: string): KeyAccount | undefined {
    return this.keys.find((key) => key.id === id);
  }

  /** From the configuration: what the API cannot remove. */
  isGiven(id: string): boolean {
    return this.#given.some((key) => key.id === id);
  }

  /** Reads again, lets `change` make other accounts of what is there, and writes them. What `change` throws passes. */
  async change<Found>(change: (accounts: Accounts) => { accounts: Accounts; found: Found }): Promise<Found> {
    makeFolder(dirname(this.path));
    const lock = await takeLock(`${this.path}.lock`);
    try {
      const { accounts, found } = change(this.#refresh());
      writeDurably(this.path, `${JSON.stringify(accounts, undefined, 1)}\n`);
      this.#refresh();
      return found;
    } finally {
      lock();
    }
  }

  /**
   * Puts back what is given; who has the same name or id is replaced, all others stay. Keys of the configuration are not
   * touched. Throws `AccountsError` when there would be too many.
   */
  restore(given: {
    readonly users: readonly UserAccount[];
    readonly keys: readonly KeyAccount[];
  }): Promise<void> {
    return this.change((accounts) => {
      const users = [
        ...accounts.users.filter(({ name }) => !given.users.some((user) => user.name === name)),
        ...given.users,
      ];
      const keys = [
        ...accounts.keys.filter(({ id }) => !given.keys.some((key) => key.id === id)),
        ...given.keys.filter(({ id }) => !this.isGiven(id)),
      ];
      if (users.length > USERS_MAX || keys.length > KEYS_MAX)
        throw new AccountsError(`there may be ${USERS_MAX} users and ${KEYS_MAX} keys`);
      return { accounts: { users, keys }, found: undefined };
    });
  }

  /** One look at the file; what is in it is read only when it has changed. */
  #refresh(): Accounts {
    const found = statSync(this.path, { throwIfNoEntry: false, bigint: true });
    const version = found === undefined ? "none" : `${found.mtimeNs} ${found.ino} ${found.size}`;
    if (version === this.#version) return this.#accounts;
    this.#accounts = found === undefined ? NONE : read(this.path);
    this.#version = version;
    return this.#accounts;
  }
}

function read(path: string): Accounts {
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new AccountsError(`${path} cannot be read: ${(error as Error).message}; mend it, or put it away`);
  }
  const [wrong] = check(document);
  if (wrong !== undefined) throw new AccountsError(`${path}: ${wrong.field} ${wrong.detail}`);
  return document as Accounts;
}

async function takeLock(path: string): Promise<() => void> {
  for (let tries = 0; tries < LOCK_TRIES; tries++) {
    try {
      closeSync(openSync(path, "wx", 0o600));
      return () => unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const held = statSync(path, { throwIfNoEntry: false });
    if (held !== undefined && Date.now() - held.mtimeMs > LOCK_STALE_MS && existsSync(path)) unlinkSync(path);
    await new Promise((resolve) => setTimeout(resolve, LOCK_WAIT_MS));
  }
  throw new AccountsError(`${path} is held by another process`);
}
