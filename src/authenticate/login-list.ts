/** Users, or client ids, that are added and removed while the gateway runs. */
import { randomBytes } from "node:crypto";
import type { Entry, Users } from "./known-users.ts";
import { type PasswordHash, parsePasswordHash } from "./password-hash.ts";
import { parseVerifier, SCRAM_METHODS, type Verifier } from "./scram.ts";
import { type StoredForm, storedForm } from "./stored-password.ts";

/** What its names are. */
export type ListOf = "users" | "client-ids";

/** An entry as it is kept: a hash of the password, never the password. */
export interface Listed {
  readonly name: string;
  /** Absent: of a client id, the id is enough. */
  readonly hash?: string | undefined;
  readonly salt?: string | undefined;
  /** Absent: the hash says itself of what form it is. */
  readonly form?: string | undefined;
  /** Verifiers of SCRAM, apart by blanks. */
  readonly scram?: string | undefined;
  readonly superuser: boolean;
  /** The only client id that this user may come with; absent: any. */
  readonly clientId?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly changedAt: number;
}

/** Where entries outlive the process. */
export interface ListKeeper {
  /** What was kept in an earlier life. */
  entries(): Iterable<readonly [of: ListOf, list: string, listed: Listed]>;
  put(of: ListOf, list: string, listed: Listed): void;
  remove(of: ListOf, list: string, name: string): void;
  /** Resolves when all of it is safe; rejects when it could not be made so. */
  saved(): Promise<void>;
}

const FORGETFUL: ListKeeper = {
  entries: () => [],
  put: () => {},
  remove: () => {},
  saved: async () => {},
};

const forms = new Map<string, StoredForm>();
function formOf(text: string): StoredForm {
  const form = forms.get(text) ?? storedForm(text, "a list of logins");
  forms.set(text, form);
  return form;
}

/** Undefined where the text is no hash of that form. */
export function hashOf({ hash, salt = "", form }: Pick<Listed, "hash" | "salt" | "form">) {
  if (hash === undefined) return undefined;
  if (form === undefined) return parsePasswordHash(hash);
  const stored: PasswordHash = { kind: "stored", form: formOf(form), hash, salt };
  return stored;
}

/** Nobody's password: that a hash cannot be read does not open the door. */
const never = (): PasswordHash => ({ kind: "plain", password: randomBytes(32) });

export const verifiersOf = (scram: string | undefined): Verifier[] =>
  (scram ?? "")
    .split(" ")
    .filter((one) => one !== "")
    .flatMap((one) => parseVerifier(one) ?? []);

function entryOf(listed: Listed): Entry {
  const hash = listed.hash === undefined ? undefined : (hashOf(listed) ?? never());
  const { superuser, clientId, scram } = listed;
  return { hash, superuser, clientId, verifiers: verifiersOf(scram) };
}

const NOBODY = new Map<string, never>();

export class LoginList implements Users {
  readonly of: ListOf;
  readonly name: string;
  readonly hashes: PasswordHash[] = [];
  readonly presharedKeys: Users["presharedKeys"] = NOBODY;
  readonly rawKeyHolders: Users["rawKeyHolders"] = NOBODY;
  readonly #listed = new Map<string, Listed>();
  readonly #entries = new Map<string, Entry>();
  /** Where in `hashes` each is. */
  readonly #places = new Map<PasswordHash, number>();
  /** How many verifiers there are, by method. */
  readonly #verifiers = new Map<string, number>();
  readonly #keeper: ListKeeper;

  constructor(of: ListOf, name: string, keeper: ListKeeper) {
    this.of = of;
    this.name = name;
    this.#keeper = keeper;
  }

  get byName(): Users["byName"] {
    return this.of === "users" ? this.#entries : NOBODY;
  }

  get byClientId(): Users["byClientId"] {
    return this.of === "client-ids" ? this.#entries : NOBODY;
  }

  get methods(): readonly string[] {
    return this.#verifiers.size === 0 ? [] : [...this.#verifiers.keys()];
  }

  get size(): number {
    return this.#listed.size;
  }

  get(name: string): Listed | undefined {
    return this.#listed.get(name);
  }

  all(): readonly Listed[] {
    return [...this.#listed.values()];
  }

  set(listed: Listed): void {
    this.restore(listed);
    this.#keeper.put(this.of, this.name, listed);
  }

  delete(name: string): void {
    this.#forget(name);
    this.#listed.delete(name);
    this.#keeper.remove(this.of, this.name, name);
  }

  saved(): Promise<void> {
    return this.#keeper.saved();
  }

  /** As `set`, of what is kept already. */
  restore(listed: Listed): void {
    this.#forget(listed.name);
    this.#listed.set(listed.name, listed);
    const entry = entryOf(listed);
    this.#entries.set(listed.name, entry);
    if (entry.hash !== undefined) {
      this.#places.set(entry.hash, this.hashes.length);
      this.hashes.push(entry.hash);
    }
    this.#count(entry, 1);
  }

  #forget(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#count(entry, -1);
    const place = entry.hash === undefined ? undefined : this.#places.get(entry.hash);
    if (place === undefined) return;
    this.#places.delete(entry.hash!);
    const last = this.hashes.pop()!;
    if (last === entry.hash) return;
    this.hashes[place] = last;
    this.#places.set(last, place);
  }

  #count({ verifiers }: Entry, by: 1 | -1): void {
    for (const { hash } of verifiers) {
      const method = Object.keys(SCRAM_METHODS).find((one) => SCRAM_METHODS[one] === hash)!;
      const count = (this.#verifiers.get(method) ?? 0) + by;
      if (count === 0) this.#verifiers.delete(method);
      else this.#verifiers.set(method, count);
    }
  }
}

/** All lists of a process: those that a configuration names, and what was kept of others. */
export class LoginLists {
  readonly #keeper: ListKeeper;
  readonly #lists = new Map<string, LoginList>();

  constructor(keeper: ListKeeper = FORGETFUL) {
    this.#keeper = keeper;
    for (const [of, list, listed] of keeper.entries()) this.open(of, list).restore(listed);
  }

  open(of: ListOf, name: string): LoginList {
    const key = `${of} ${name}`;
    const list = this.#lists.get(key) ?? new LoginList(of, name, this.#keeper);
    this.#lists.set(key, list);
    return list;
  }
}
