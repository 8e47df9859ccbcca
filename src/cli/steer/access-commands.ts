/** `isthmus admin ...`, `keys ...`, `bans ...`. */

import { type Command, Option } from "commander";
import type { Key, User } from "../../api/answers/accounts.ts";
import type { Ban } from "../../api/answers/bans.ts";
import type { ConfigRequest } from "../cli.ts";
import { collect } from "./client-commands.ts";
import type { SteeringCommands } from "./steering.ts";
import { ago, type Column } from "./table.ts";

const ROLES = ["administrator", "operator", "viewer", "publisher"] as const;

/** Accounts in the file of a data folder, whether a node runs on it or not: who may write there is trusted. */
export interface AccountsPorts {
  addUser(request: ConfigRequest, name: string, password: string, role: string): Promise<void>;
  readPassword(): Promise<string>;
}

const userColumns = (now: number): readonly Column<User>[] => [
  { title: "NAME", cell: ({ name }) => name },
  { title: "ROLE", cell: ({ role }) => role },
  { title: "SEEN", cell: ({ seenAt }) => ago(seenAt, now), right: true },
];

const keyColumns = (now: number): readonly Column<Key>[] => [
  { title: "ID", cell: ({ id }) => id, whole: true },
  { title: "NAME", cell: ({ name }) => name },
  { title: "ROLE", cell: ({ role }) => role },
  { title: "EXPIRES", cell: ({ expiresAt }) => ago(expiresAt, now), right: true },
  { title: "USED", cell: ({ usedAt }) => ago(usedAt, now), right: true },
];

const roleOption = (fallback: string): Option =>
  new Option("--role <role>", "what it may do").choices(ROLES).default(fallback);

export function addAccess(program: Command, commands: SteeringCommands, accounts: AccountsPorts): void {
  const admin = commands.group(program, "admin", "who may sign in: add, list, passwd, remove");
  commands.add<{ role: string }>(
    admin,
    "add <name>",
    "make a user; the password is asked for, or read from a pipe. Works on the machine of the node, whether it runs or not",
    ["admin add ana", "admin add bo --role viewer --data /var/lib/isthmus"],
    async ({ args, options, done }) => {
      const password = await accounts.readPassword();
      const { config, data, role } = options;
      const request = { file: config, set: data === undefined ? [] : [`dataFolder=${data}`] };
      await accounts.addUser(request, args[0]!, password, role);
      done(`${args[0]} may sign in as ${role}`);
    },
    (command) => command.addOption(roleOption("administrator")),
  );
  commands.add(admin, "list", "all users", ["admin list"], async ({ api, rows, now }) =>
    rows(userColumns(now), await collect(api.pages<User>("/users", {}, 1_000))),
  );
  commands.add(
    admin,
    "passwd <name>",
    "set a user's password; its sessions end",
    [],
    async ({ api, args, done }) => {
      await api.ask("PATCH", `/users/${encodeURIComponent(args[0]!)}`, {
        body: { password: await accounts.readPassword() },
      });
      done("the password is set");
    },
  );
  commands.add(
    admin,
    "remove <name>",
    "remove a user; its sessions end",
    ["admin remove bo"],
    async ({ api, args, done }) => {
      await api.ask("DELETE", `/users/${encodeURIComponent(args[0]!)}`);
      done("removed");
    },
  );
  addKeys(program, commands);
  addBans(program, commands);
}

function addKeys(program: Command, commands: SteeringCommands): void {
  const keys = commands.group(program, "keys", "API keys: list, add, remove");
  commands.add(
    keys,
    "list",
    "all API keys, without their secrets",
    ["keys list"],
    async ({ api, rows, now }) => rows(keyColumns(now), await collect(api.pages<Key>("/keys", {}, 10_000))),
  );
  commands.add<{ role: string; expires?: string }>(
    keys,
    "add <name>",
    "make an API key; its secret is shown this once",
    ["keys add backend --role publisher", "keys add grafana --role viewer --expires 2030-01-31T12:00:00Z"],
    async ({ api, args, options: { role, expires }, json, thing, io }) => {
      const made = await api.ask<Key & { key: string }>("POST", "/keys", {
        body: { name: args[0], role, ...(expires === undefined ? {} : { expiresAt: expires }) },
      });
      if (json) return thing(made);
      io.out(`${made.key}\n`);
      io.error("isthmus: the secret is not shown again\n");
    },
    (command) =>
      command
        .addOption(roleOption("viewer"))
        .option("--expires <time>", "when it ends: 2030-01-31T12:00:00Z"),
  );
  commands.add(keys, "remove <id>", "remove an API key", [], async ({ api, args, done }) => {
    await api.ask("DELETE", `/keys/${encodeURIComponent(args[0]!)}`);
    done("removed");
  });
}

const banColumns = (now: number): readonly Column<Ban>[] => [
  { title: "CLIENT", cell: ({ clientId }) => clientId },
  { title: "USER", cell: ({ user }) => user },
  { title: "ADDRESS", cell: ({ address }) => address },
  { title: "UNTIL", cell: ({ until }) => ago(until, now), right: true },
  { title: "REASON", cell: ({ reason }) => reason },
];

interface TargetOptions {
  readonly client?: string;
  readonly user?: string;
  readonly address?: string;
}

const withTarget = (command: Command): Command =>
  command
    .option("--client <id>", "this client id")
    .option("--user <name>", "this user")
    .option("--address <range>", "this address or range");

const targetOf = ({ client, user, address }: TargetOptions) => ({
  ...(client === undefined ? {} : { clientId: client }),
  ...(user === undefined ? {} : { user }),
  ...(address === undefined ? {} : { address }),
});

function addBans(program: Command, commands: SteeringCommands): void {
  const bans = commands.group(program, "bans", "who may not connect: list, add, lift");
  commands.add(bans, "list", "all bans", ["bans list"], async ({ api, rows, now }) =>
    rows(banColumns(now), await collect(api.pages<Ban>("/bans", {}, 10_000))),
  );
  commands.add<TargetOptions & { until?: string; reason?: string }>(
    bans,
    "add",
    "ban a client, a user or an address; who is connected is disconnected",
    [
      "bans add --client pump-9 --reason 'firmware 1.0 floods'",
      "bans add --address 203.0.113.0/24 --until 2030-01-31T12:00:00Z",
    ],
    async ({ api, options, done }) => {
      const { until, reason } = options;
      const more = { ...(until === undefined ? {} : { until }), ...(reason === undefined ? {} : { reason }) };
      const ban = await api.ask<Ban>("POST", "/bans", { body: { ...targetOf(options), ...more } });
      done("banned", { ban });
    },
    (command) =>
      withTarget(command)
        .option("--until <time>", "until then; absent: until it is lifted")
        .option("--reason <text>", "why"),
  );
  commands.add<TargetOptions>(
    bans,
    "lift",
    "lift the ban with exactly these conditions",
    ["bans lift --client pump-9"],
    async ({ api, options, done }) => {
      await api.ask("DELETE", "/bans", { query: targetOf(options) });
      done("lifted");
    },
    withTarget,
  );
}
