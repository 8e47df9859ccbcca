/** Users and keys, made and checked. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { PasswordCheck } from "../../authenticate/password-check.ts";
import { hashPassword, type PasswordHash, parsePasswordHash } from "../../authenticate/password-hash.ts";
import { type Instant, seconds } from "../../lib/time.ts";
import { Refused, wrongField } from "../problem.ts";
import { AccountsError, type AccountsFile, KEYS_MAX, type KeyAccount, USERS_MAX } from "./accounts.ts";
import { isCommonPassword } from "./common-passwords.ts";
import { type Principal, ROLES, type Role } from "./principal.ts";

export const PASSWORD_LENGTH_MIN = 12;
const PASSWORD_LENGTH_MAX = 1_024;
const SECRET_BYTES = 32;
const ID_BYTES = 9;
/** Of keys that a file gives: nobody guesses that many. */
const GIVEN_SECRET_LENGTH_MIN = 16;

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Throws `Refused` with what is wrong with a password. */
export function checkPassword(password: string, name: string): void {
  const wrong = (detail: string, fix: string): Refused =>
    wrongField({ in: "body", field: "/password", value: "(hidden)", detail, fix });
  if (password.length < PASSWORD_LENGTH_MIN) {
    throw wrong("is too short", `at least ${PASSWORD_LENGTH_MIN} characters`);
  }
  if (password.length > PASSWORD_LENGTH_MAX) {
    throw wrong("is too long", `at most ${PASSWORD_LENGTH_MAX} characters`);
  }
  if (isCommonPassword(password, name)) {
    throw wrong("is among the passwords that are tried first", "choose one that nobody else has");
  }
}

/** A key of which the secret is known this once. */
export interface NewKey {
  readonly key: KeyAccount;
  readonly secret: string;
}

export interface KeyWish {
  readonly name: string;
  readonly role: Role;
  readonly expiresAt?: number | undefined;
}

export class Credentials {
  readonly accounts: AccountsFile;
  readonly #passwords = new PasswordCheck({
    concurrent: 2,
    waiting: 32,
    cacheEntries: 0,
    cacheTtl: seconds(0),
  });
  /** What a name that nobody has is checked against, so that it takes as long. */
  #decoy: Promise<PasswordHash> | undefined;
  /** Hashes read once. */
  readonly #hashes = new Map<string, PasswordHash>();
  /** When a key was used last; not kept over a restart. */
  readonly lastUsed = new Map<string, number>();

  constructor(accounts: AccountsFile) {
    this.accounts = accounts;
  }

  async addUser(name: string, password: string, role: Role, now: number): Promise<void> {
    checkPassword(password, name);
    const hash = await hashPassword(password);
    await this.accounts.change(({ users, keys }) => {
      if (users.some((user) => user.name === name))
        throw new Refused("conflict", "there is a user of this name");
      if (users.length >= USERS_MAX) throw new Refused("conflict", `there are ${USERS_MAX} users already`);
      const user = { name, role, password: hash, createdAt: now };
      return { accounts: { users: [...users, user], keys }, found: undefined };
    });
  }

  async setPassword(name: string, password: string): Promise<void> {
    checkPassword(password, name);
    const hash = await hashPassword(password);
    await this.#changeUser(name, (user) => ({ ...user, password: hash }));
  }

  setRole(name: string, role: Role): Promise<void> {
    return this.#changeUser(name, (user) => ({ ...user, role }), role !== "administrator");
  }

  removeUser(name: string): Promise<void> {
    return this.#changeUser(name, () => undefined, true);
  }

  /** `mayBeLast`: afterwards somebody else must be able to let users in. */
  #changeUser(
    name: string,
    change: (user: AccountsFile["users"][number]) => AccountsFile["users"][number] | undefined,
    losesAdministrator = false,
  ): Promise<void> {
    return this.accounts.change(({ users, keys }) => {
      const user = users.find((one) => one.name === name);
      if (user === undefined) throw new Refused("not-found", "there is no user of this name");
      const others = users.filter((one) => one !== user && one.role === "administrator");
      if (losesAdministrator && user.role === "administrator" && others.length === 0 && users.length > 1) {
        throw new Refused("conflict", "this is the only administrator: name another one first");
      }
      const changed = users.flatMap((one) => (one === user ? (change(one) ?? []) : one));
      return { accounts: { users: changed, keys }, found: undefined };
    });
  }

  addKey({ name, role, expiresAt }: KeyWish, now: number): Promise<NewKey> {
    const secret = randomBytes(SECRET_BYTES).toString("base64url");
    const key: KeyAccount = {
      id: randomBytes(ID_BYTES).toString("base64url"),
      name,
      role,
      secret: sha256(secret).toString("hex"),
      createdAt: now,
      ...(expiresAt === undefined ? {} : { expiresAt }),
    };
    return this.accounts.change(({ users, keys }) => {
      if (keys.length >= KEYS_MAX) throw new Refused("conflict", `there are ${KEYS_MAX} keys already`);
      return { accounts: { users, keys: [...keys, key] }, found: { key, secret } };
    });
  }

  removeKey(id: string): Promise<void> {
    if (this.accounts.isGiven(id)) {
      throw new Refused("conflict", "this key comes from the file that api.keysFile names: remove it there");
    }
    return this.accounts.change(({ users, keys }) => {
      if (!keys.some((key) => key.id === id)) throw new Refused("not-found", "there is no such key");
      this.lastUsed.delete(id);
      return { accounts: { users, keys: keys.filter((key) => key.id !== id) }, found: undefined };
    });
  }

  /** Undefined: unknown, wrong or expired, which sound the same to who asks. */
  keyHolder(id: string, secret: string, now: number): Principal | undefined {
    const key = this.accounts.key(id);
    const known = Buffer.from(key?.secret ?? "0".repeat(64), "hex");
    if (!timingSafeEqual(known, sha256(secret)) || key === undefined) return undefined;
    if (key.expiresAt !== undefined && key.expiresAt <= now) return undefined;
    this.lastUsed.set(id, now);
    return { kind: "key", name: key.name === "" ? key.id : key.name, role: key.role };
  }

  async signIn(
    name: string,
    password: string,
    address: string,
    now: Instant,
  ): Promise<Role | "busy" | undefined> {
    const user = this.accounts.user(name);
    this.#decoy ??= hashPassword("nobody").then((text) => parsePasswordHash(text)!);
    const hash = user === undefined ? await this.#decoy : this.#hashOf(user.password);
    const right = await this.#passwords.verify(hash, Buffer.from(password), now, { address, name });
    if (right === "busy") return "busy";
    return right && user !== undefined ? user.role : undefined;
  }

  #hashOf(text: string): PasswordHash {
    const known = this.#hashes.get(text) ?? parsePasswordHash(text);
    if (known === undefined) throw new AccountsError(`${this.accounts.path}: a password is no hash`);
    if (this.#hashes.size > USERS_MAX) this.#hashes.clear();
    this.#hashes.set(text, known);
    return known;
  }
}

/** Keys from a file: lines of `id:secret:role[:expiry]`, where `#` begins a comment. Throws `AccountsError`. */
export function readKeysFile(path: string): readonly KeyAccount[] {
  const keys: KeyAccount[] = [];
  readFileSync(path, "utf8")
    .split(/\r?\n/)
    .forEach((line, index) => {
      if (line.trim() === "" || line.startsWith("#")) return;
      const wrong = (why: string): AccountsError => new AccountsError(`${path}:${index + 1}: ${why}`);
      const [id = "", secret = "", role = "administrator", ...rest] = line.trim().split(":");
      const expiry = rest.join(":");
      if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) throw wrong("an id is 1 to 64 letters, digits, - and _");
      if (keys.some((key) => key.id === id)) throw wrong(`the id ${id} is there twice`);
      if (secret.length < GIVEN_SECRET_LENGTH_MIN) {
        throw wrong(`a secret has at least ${GIVEN_SECRET_LENGTH_MIN} characters`);
      }
      if (!ROLES.includes(role as Role)) throw wrong(`a role is one of ${ROLES.join(", ")}`);
      const expiresAt = expiry === "" ? undefined : Date.parse(expiry);
      if (Number.isNaN(expiresAt)) throw wrong("an expiry is a time such as 2030-01-31T12:00:00Z");
      keys.push({
        id,
        name: id,
        role: role as Role,
        secret: sha256(secret).toString("hex"),
        createdAt: 0,
        ...(expiresAt === undefined ? {} : { expiresAt }),
      });
    });
  return keys;
}
