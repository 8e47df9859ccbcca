/** `isthmus users ...` and `isthmus client-ids ...`: who may connect; `isthmus decisions forget`. */
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import type { Login } from "../../api/answers/logins.ts";
import { csvRecords } from "../../lib/csv.ts";
import { ApiError, inPath } from "./api-client.ts";
import { collect } from "./client-commands.ts";
import type { SteeringCommands } from "./steering.ts";
import { ago, type Column } from "./table.ts";

interface Words {
  readonly group: "users" | "client-ids";
  readonly one: string;
  readonly field: "username" | "clientId";
  readonly example: string;
}

const USERS: Words = { group: "users", one: "user", field: "username", example: "meter-8" };
const CLIENT_IDS: Words = { group: "client-ids", one: "client id", field: "clientId", example: "pump-9" };

const yes = (value: boolean | undefined): string => (value === true ? "yes" : "");

const columns = ({ field }: Words, now: number): readonly Column<Login>[] => [
  { title: field === "username" ? "USER" : "CLIENT ID", cell: (row) => row[field] },
  ...(field === "username"
    ? [{ title: "HELD TO CLIENT ID", cell: ({ clientId }: Login) => clientId }]
    : [{ title: "PASSWORD", cell: ({ password }: Login) => yes(password) }]),
  { title: "SUPERUSER", cell: ({ superuser }) => yes(superuser) },
  { title: "CHANGED", cell: ({ changedAt }) => ago(changedAt, now), right: true },
];

interface EntryOptions {
  readonly list?: string;
  readonly superuser?: boolean;
  readonly ordinary?: boolean;
  readonly clientId?: string;
  readonly anyClientId?: boolean;
  readonly withoutPassword?: boolean;
  readonly password?: boolean;
}

/** What the command line says of an entry, as the API wants it. */
const wishOf = ({ superuser, ordinary, clientId, anyClientId }: EntryOptions) => ({
  ...(superuser === true ? { superuser: true } : ordinary === true ? { superuser: false } : {}),
  ...(clientId === undefined ? {} : { clientId }),
  ...(anyClientId === true ? { clientId: null } : {}),
});

const withList = (command: Command): Command =>
  command.option("--list <name>", "name of the list, where the configuration has several");
const withRights = (command: Command, { group }: Words): Command => {
  command.addOption(new Option("--superuser", "skips the access rules"));
  return group === "users"
    ? command.option("--client-id <id>", "the only client id that this user may come with")
    : command;
};

export function addLogins(
  program: Command,
  commands: SteeringCommands,
  readPassword: () => Promise<string>,
): void {
  for (const words of [USERS, CLIENT_IDS]) {
    const group = commands.group(
      program,
      words.group,
      `${words.one}s that may connect: list, add, change, remove, import, export`,
    );
    addLooks(group, commands, words);
    addChanges(group, commands, words, readPassword);
    addImport(group, commands, words);
  }
  addDecisions(program, commands);
}

function addLooks(to: Command, commands: SteeringCommands, words: Words): void {
  const { group, one } = words;
  const path = `/authentication/${group}`;
  commands.add<{ list?: string; search?: string }>(
    to,
    "list",
    `all ${one}s of a list, without their passwords`,
    [`${group} list`, `${group} list --search meter`],
    async ({ api, rows, now, options: { list, search } }) =>
      rows(columns(words, now), await collect(api.pages<Login>(path, { list, search }, 1_000_000))),
    (command) => withList(command).option("--search <text>", "only those that hold this text"),
  );
  commands.add<{ list?: string }>(
    to,
    "export",
    "print all of a list with password hashes, as `import` takes them",
    [`${group} export`],
    async ({ api, io, options: { list } }) => {
      const decoder = new TextDecoder();
      for await (const chunk of await api.download(`${path}/export`, { list }))
        io.out(decoder.decode(chunk, { stream: true }));
    },
    withList,
  );
}

function addChanges(
  to: Command,
  commands: SteeringCommands,
  words: Words,
  readPassword: () => Promise<string>,
): void {
  const { group, one, field, example } = words;
  const path = `/authentication/${group}`;
  const noPassword = group === "client-ids" ? " --without-password" : "";
  commands.add<EntryOptions>(
    to,
    "add <name>",
    `add a ${one}; the password is asked for, or read from a pipe`,
    [`${group} add ${example}${noPassword}`],
    async ({ api, args, options, done }) => {
      const password = options.withoutPassword === true ? undefined : await readPassword();
      const body = { [field]: args[0], ...(password === undefined ? {} : { password }), ...wishOf(options) };
      await api.ask("POST", path, { query: { list: options.list }, body });
      done(`${args[0]} may connect`);
    },
    (command) => {
      withRights(withList(command), words);
      return group === "users"
        ? command
        : command.option("--without-password", "the id is enough: for networks that are trusted");
    },
  );
  commands.add<EntryOptions>(
    to,
    "change <name>",
    `change the rights of a ${one}, or its password`,
    [`${group} change ${example} --superuser`, `${group} change ${example} --password --ordinary`],
    async ({ api, args, options, done }) => {
      const { part, query } = inPath("name", args[0]!);
      const password = options.password === true ? { password: await readPassword() } : {};
      await api.ask("PATCH", `${path}/${part}`, {
        query: { ...query, list: options.list },
        body: { ...password, ...wishOf(options) },
      });
      done("changed");
    },
    (command) => {
      withRights(withList(command), words)
        .option("--password", "ask for a new password, or read it from a pipe")
        .option("--ordinary", "no superuser any more");
      return group === "users" ? command.option("--any-client-id", "held to no client id any more") : command;
    },
  );
  commands.add<EntryOptions>(
    to,
    "remove <name>",
    `remove a ${one}; who is connected as that is disconnected`,
    [`${group} remove ${example}`],
    async ({ api, args, options, done }) => {
      const { part, query } = inPath("name", args[0]!);
      await api.ask("DELETE", `${path}/${part}`, { query: { ...query, list: options.list } });
      done("removed");
    },
    withList,
  );
}

function addImport(to: Command, commands: SteeringCommands, { group, one }: Words): void {
  commands.add<{ list?: string }>(
    to,
    "import <file>",
    `put many ${one}s on a list: CSV or JSON with user_id, password_hash, salt, is_superuser`,
    [`${group} import ${group}.csv`],
    async ({ api, args, options, done }) => {
      const [file = ""] = args;
      const body = recordsOf(file, readFileSync(file, "utf8"));
      const path = `/authentication/${group}/import`;
      const imported = await api.ask<{ added: number; changed: number }>("POST", path, {
        query: { list: options.list },
        body,
      });
      done(`${imported.added} added, ${imported.changed} changed`, imported);
    },
    withList,
  );
}

/** JSON where it is, else CSV. */
function recordsOf(file: string, text: string): unknown {
  if (/^\s*\[/.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      throw new ApiError("api-refused", `${file} is no JSON`);
    }
  }
  const records = csvRecords(text);
  if (typeof records === "string") throw new ApiError("api-refused", `${file}: ${records}`);
  return records;
}

function addDecisions(program: Command, commands: SteeringCommands): void {
  const decisions = commands.group(program, "decisions", "what sources of access rules have said of clients");
  commands.add<{ client?: string; user?: string }>(
    decisions,
    "forget",
    "forget what is remembered, of everybody or of one; sources are asked again",
    ["decisions forget", "decisions forget --client pump-7", "decisions forget --user meter-7"],
    async ({ api, options: { client, user }, done }) => {
      const query = { clientId: client, user };
      const { clients } = await api.ask<{ clients: number }>("DELETE", "/authentication/decisions", {
        query,
      });
      done(`forgotten; ${clients} connected clients are concerned`, { clients });
    },
    (command) => command.option("--client <id>", "of this client id").option("--user <name>", "of this user"),
  );
}
