/** Who is on a list of users or client ids, and how the list is changed. */
import { type Static, Type } from "@sinclair/typebox";
import { flag, integer, text } from "../settings/kinds.ts";
import { type AuthenticatorKind, unusable } from "./kind.ts";
import { KnownUsers } from "./known-users.ts";
import { hashOf, type Listed, type ListOf, type LoginList, verifiersOf } from "./login-list.ts";
import type { PasswordCheck } from "./password-check.ts";
import { hashPassword } from "./password-hash.ts";
import { makeVerifier } from "./scram.ts";
import { STORED_FORMS, type StoredForm, storedForm } from "./stored-password.ts";

/** What `hash-password` makes; each of these hashes says itself what it is. */
const SCRYPT = "scrypt";

const properties = (list: ListOf) => ({
  name: Type.Optional(
    text({ description: "Its name in logs and counters; absent: its kind.", minLength: 1, maxLength: 64 }),
  ),
  list: text({
    description: "Name of the list; chains that name the same one share it.",
    minLength: 1,
    maxLength: 64,
    default: list,
  }),
  passwordHash: text({
    description: `Form of new password hashes, and of imported ones that do not say theirs: ${SCRYPT}, ${STORED_FORMS}.`,
    minLength: 1,
    default: SCRYPT,
  }),
  entries: integer(1, 1_000_000, { description: "Entries that the list may have.", default: 100_000 }),
});

const UserList = Type.Object(
  {
    kind: Type.Literal("user-list", { description: "Users that are added over the API." }),
    ...properties("users"),
    scram: flag({
      description: "Keep what SCRAM-SHA-256 and SCRAM-SHA-512 need of new passwords, too (MQTT 5).",
      default: false,
    }),
  },
  { description: "User names and password hashes that are changed over the HTTP API and `isthmus users`." },
);
const ClientIdList = Type.Object(
  {
    kind: Type.Literal("client-id-list", { description: "Client ids that are added over the API." }),
    ...properties("client-ids"),
  },
  {
    description:
      "Client ids, with password hashes or without, that are changed over the HTTP API and `isthmus client-ids`.",
  },
);
type ListSettings = (Static<typeof UserList> | Static<typeof ClientIdList>) & { readonly scram?: boolean };

/** Why a list is not changed. */
export class ListProblem extends Error {
  readonly code: "conflict" | "not-found" | "wrong";

  constructor(code: ListProblem["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** What an entry shall become. */
export interface EntryWish {
  readonly password?: string | undefined;
  readonly superuser?: boolean | undefined;
  /** Null: any. */
  readonly clientId?: string | null | undefined;
}

/** An entry with a hash that was made elsewhere, or with a password. */
export interface ImportedEntry extends Pick<EntryWish, "password" | "superuser" | "clientId"> {
  readonly name: string;
  readonly hash?: string | undefined;
  readonly salt?: string | undefined;
  readonly form?: string | undefined;
  readonly scram?: string | undefined;
}

/** Passwords of one import, where making a hash takes long. */
const SLOW_IMPORT_MAX = 1_000;

export class ListedLogins extends KnownUsers {
  readonly settings: ListSettings;
  readonly list: LoginList;
  readonly #form: StoredForm | undefined;

  /** Throws `ConfigError` when the form is none. */
  constructor(settings: ListSettings, list: LoginList, passwords: PasswordCheck) {
    super(settings.kind, passwords);
    this.settings = settings;
    this.list = list;
    const { passwordHash, kind } = settings;
    this.#form = passwordHash === SCRYPT ? undefined : storedForm(passwordHash, settings.name ?? kind);
  }

  protected override get users(): LoginList {
    return this.list;
  }

  async add(name: string, wish: EntryWish, now: number): Promise<Listed> {
    this.#mayAdd(name);
    const listed = await this.#made({ name, superuser: false, changedAt: now }, wish);
    this.#mayAdd(name);
    return this.#kept(listed);
  }

  async change(name: string, wish: EntryWish, now: number): Promise<Listed> {
    const made = await this.#made({ ...this.#known(name), changedAt: now }, wish);
    this.#known(name);
    return this.#kept(made);
  }

  async remove(name: string): Promise<Listed> {
    const removed = this.#known(name);
    this.list.delete(name);
    await this.list.saved();
    return removed;
  }

  /** All of them or none; those that are there already are replaced. */
  async import(entries: readonly ImportedEntry[], now: number): Promise<{ added: number; changed: number }> {
    return this.keep(await this.prepared(entries, now));
  }

  /** As they will be kept, if nothing is wrong with any of them. */
  async prepared(entries: readonly ImportedEntry[], now: number): Promise<readonly Listed[]> {
    const last = new Map(entries.map((entry) => [entry.name, entry]));
    const slow = [...last.values()].filter(({ password }) => password !== undefined).length;
    if (slow > SLOW_IMPORT_MAX && this.#form?.slow !== false) {
      throw new ListProblem("wrong", `at most ${SLOW_IMPORT_MAX} passwords at once: import hashes instead`);
    }
    const made: Listed[] = [];
    for (const entry of last.values()) made.push(await this.#imported(entry, now));
    this.#mayHold(this.#newOf(made));
    return made;
  }

  async keep(made: readonly Listed[]): Promise<{ added: number; changed: number }> {
    const added = this.#newOf(made);
    this.#mayHold(added);
    for (const listed of made) this.list.set(listed);
    await this.list.saved();
    return { added, changed: made.length - added };
  }

  #newOf(entries: readonly Listed[]): number {
    return entries.filter(({ name }) => this.list.get(name) === undefined).length;
  }

  async #imported(entry: ImportedEntry, now: number): Promise<Listed> {
    const { name, password, superuser = false, clientId, scram } = entry;
    const blank: Listed = { name, superuser, changedAt: now, ...(clientId == null ? {} : { clientId }) };
    if (password !== undefined) return this.#made(blank, { password });
    const hash = this.#importedHash(entry);
    if (hash.hash === undefined && scram === undefined && this.list.of === "users")
      throw new ListProblem("wrong", `${name}: has neither password_hash nor password`);
    if (scram !== undefined && verifiersOf(scram).length !== scram.split(" ").length)
      throw new ListProblem("wrong", `${name}: scram is no verifier`);
    return { ...blank, ...hash, ...(scram === undefined ? {} : { scram }) };
  }

  /** A hash that says itself what it is needs no form. */
  #importedHash({ name, hash, salt, form }: ImportedEntry): Pick<Listed, "hash" | "salt" | "form"> {
    if (hash === undefined) return {};
    if (hash.startsWith("$") && hashOf({ hash }) !== undefined) return { hash };
    const meant = form === undefined ? this.#form : storedForm(form, this.name);
    if (meant === undefined) {
      throw new ListProblem(
        "wrong",
        `${name}: password_hash is none that says its form; give form, or set passwordHash of the list`,
      );
    }
    return { hash, form: meant.text, ...(salt === undefined || salt === "" ? {} : { salt }) };
  }

  async #made(before: Listed, { password, superuser, clientId }: EntryWish): Promise<Listed> {
    const { clientId: held, ...rest } = before;
    const keeps = clientId === undefined ? held : (clientId ?? undefined);
    if (password === undefined)
      return whole({ ...rest, superuser: superuser ?? before.superuser, clientId: keeps });
    return whole({
      ...rest,
      ...(await this.#secretsOf(password)),
      superuser: superuser ?? before.superuser,
      clientId: keeps,
    });
  }

  async #secretsOf(password: string): Promise<Pick<Listed, "hash" | "salt" | "form" | "scram">> {
    const scram =
      this.settings.scram === true
        ? `${await makeVerifier(password, "sha256")} ${await makeVerifier(password, "sha512")}`
        : undefined;
    if (this.#form === undefined) {
      return { hash: await hashPassword(password), salt: undefined, form: undefined, scram };
    }
    return { ...(await this.#form.make(Buffer.from(password))), form: this.#form.text, scram };
  }

  #known(name: string): Listed {
    const known = this.list.get(name);
    if (known === undefined) throw new ListProblem("not-found", "the list has no such entry");
    return known;
  }

  #mayAdd(name: string): void {
    if (this.list.get(name) !== undefined)
      throw new ListProblem("conflict", "the list has this entry already");
    this.#mayHold(1);
  }

  #mayHold(more: number): void {
    const { entries } = this.settings;
    if (this.list.size + more > entries)
      throw new ListProblem("conflict", `the list is full: entries allows ${entries}`);
  }

  async #kept(listed: Listed): Promise<Listed> {
    this.list.set(listed);
    await this.list.saved();
    return listed;
  }
}

/** A record holds no `undefined`. */
const whole = (listed: Listed): Listed =>
  Object.fromEntries(Object.entries(listed).filter(([, value]) => value !== undefined)) as unknown as Listed;

const kindOf = <Kind extends typeof UserList | typeof ClientIdList>(
  schema: Kind,
  of: ListOf,
): AuthenticatorKind<ListSettings> => ({
  kind: schema.properties.kind.const,
  schema,
  open(settings, host) {
    const opened = host.listedLogins(of, settings);
    // Chains that share a list share what is said of it.
    const said = ({ name: _, ...rest }: ListSettings): string => JSON.stringify(rest);
    if (said(opened.settings) !== said(settings))
      throw unusable(settings.kind, `the list ${settings.list} is configured otherwise in another chain`);
    return opened;
  },
});

export const userList = kindOf(UserList, "users");
export const clientIdList = kindOf(ClientIdList, "client-ids");
