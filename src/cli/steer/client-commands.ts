/** `isthmus clients ...` and `isthmus subscriptions ...`. */

import type { Command } from "commander";
import type { ClientRow, WaitingMessage } from "../../api/answers/clients.ts";
import { inPath } from "./api-client.ts";
import type { SteeringCommands } from "./steering.ts";
import { ago, type Column } from "./table.ts";

interface ListOptions {
  readonly gateway?: string;
  readonly state?: string;
  readonly prefix?: string;
  readonly text?: string;
  readonly address?: string;
  readonly user?: string;
  readonly sort?: string;
  readonly limit: string;
}

const columns = (now: number): readonly Column<ClientRow>[] => [
  { title: "STATE", cell: ({ state }) => state },
  { title: "CLIENT", cell: ({ clientId }) => clientId },
  { title: "GATEWAY", cell: ({ gateway }) => gateway },
  { title: "PROTOCOL", cell: ({ protocol }) => protocol },
  {
    title: "ADDRESS",
    cell: ({ address, port }) => (address === undefined ? undefined : `${address}:${port}`),
  },
  { title: "HEARD", cell: ({ heardAt }) => ago(heardAt, now), right: true },
  { title: "DUE", cell: ({ dueAt }) => ago(dueAt, now), right: true },
  { title: "WAITING", cell: ({ waiting }) => waiting, right: true },
];

interface OneOptions {
  readonly gateway?: string;
}

/** `/clients/<id>` and the query that belongs to it. */
function clientPath(id: string, { gateway }: OneOptions): { path: string; query: Record<string, string> } {
  const { part, query } = inPath("id", id);
  return { path: `/clients/${part}`, query: { ...query, ...(gateway === undefined ? {} : { gateway }) } };
}

const withGateway = (command: Command): Command =>
  command.option("-g, --gateway <name>", "of this gateway, where several have such a client");

export async function collect<Found>(found: AsyncIterable<Found>): Promise<Found[]> {
  const all: Found[] = [];
  for await (const one of found) all.push(one);
  return all;
}

export function addClients(program: Command, commands: SteeringCommands): void {
  const clients = commands.group(program, "clients", "who is connected, asleep, away or overdue");
  commands.add<ListOptions>(
    clients,
    "list",
    "list clients of all gateways",
    [
      "clients list",
      "clients list --state overdue --sort dueAt",
      "clients list --gateway mqtt --limit 1000 --json",
    ],
    async ({ api, options, rows, now }) => {
      const { gateway, state, prefix, text, address, user, sort, limit } = options;
      const query = { gateway, state, prefix, text, address, user, sort };
      rows(columns(now), await collect(api.pages<ClientRow>("/clients", query, Number(limit))));
    },
    (command) =>
      withGateway(command)
        .option("-s, --state <state>", "overdue, asleep, awake or away")
        .option("-p, --prefix <text>", "ids, endpoint names and user names that begin so")
        .option("-t, --text <text>", "with this text in id, endpoint name, user name or address")
        .option("-a, --address <range>", "from this address or range")
        .option("-u, --user <name>", "of this user")
        .option(
          "--sort <field>",
          "clientId, heardAt, dueAt, since, waiting, subscriptions; -field turns it round",
        )
        .option("-n, --limit <rows>", "rows at most", "100"),
  );
  commands.add<OneOptions>(
    clients,
    "show <id>",
    "all that is known of one client",
    ["clients show pump-7"],
    async ({ api, args, options, thing }) => {
      const { path, query } = clientPath(args[0]!, options);
      thing(await api.ask<object>("GET", path, { query }));
    },
    withGateway,
  );
  commands.add<OneOptions>(
    clients,
    "kick <id>",
    "disconnect a client; its session lives on by its expiry",
    ["clients kick pump-7"],
    async ({ api, args, options, done }) => {
      const { path, query } = clientPath(args[0]!, options);
      await api.ask("DELETE", path, { query });
      done("disconnected");
    },
    withGateway,
  );
  commands.add<OneOptions>(
    clients,
    "clear <id>",
    "disconnect a client and end its session, with all that waits in it",
    ["clients clear pump-8"],
    async ({ api, args, options, done }) => {
      const { path, query } = clientPath(args[0]!, options);
      await api.ask("DELETE", `${path}/session`, { query });
      done("the session has ended");
    },
    withGateway,
  );
  addWaiting(clients, commands);
}

const waitingColumns = (now: number): readonly Column<WaitingMessage>[] => [
  { title: "MESSAGE", cell: ({ id }) => id, whole: true },
  { title: "SINCE", cell: ({ publishedAt }) => ago(publishedAt, now), right: true },
  { title: "STAGE", cell: ({ stage }) => stage },
  { title: "TOPIC", cell: ({ topic }) => topic },
  { title: "QOS", cell: ({ qos }) => qos, right: true },
  { title: "BYTES", cell: ({ bytes }) => bytes, right: true },
  { title: "PAYLOAD", cell: ({ payload }) => payload },
];

/** `isthmus clients waiting`, and what an operator takes away of that. */
function addWaiting(clients: Command, commands: SteeringCommands): void {
  commands.add<OneOptions>(
    clients,
    "waiting <id>",
    "what waits for a client, next first",
    ["clients waiting pump-7"],
    async ({ api, args, options, rows, now }) => {
      const { path, query } = clientPath(args[0]!, options);
      const found = await api.ask<WaitingMessage[]>("GET", `${path}/waiting`, {
        query: { ...query, payload: 64, limit: 1_000 },
      });
      rows(waitingColumns(now), found);
    },
    withGateway,
  );
  commands.add<OneOptions & { disconnect?: boolean }>(
    clients,
    "delete-message <id> <message>",
    "delete one message that waits for a client",
    [
      "clients delete-message pump-7 17-1763000000000",
      "clients delete-message pump-7 17-1763000000000 --disconnect",
    ],
    async ({ api, args, options, done }) => {
      const { path, query } = clientPath(args[0]!, options);
      const disconnect = options.disconnect === true ? { disconnect: "true" } : {};
      await api.ask("DELETE", `${path}/waiting/${inPath("message", args[1]!).part}`, {
        query: { ...query, ...disconnect },
      });
      done("deleted");
    },
    (command) =>
      withGateway(command).option(
        "--disconnect",
        "also where the client has it and does not acknowledge it: disconnects the client first",
      ),
  );
}

interface Subscribed {
  readonly clientId: string;
  readonly gateway: string;
  readonly filter: string;
  readonly qos: number;
}

const subscriptionColumns: readonly Column<Subscribed>[] = [
  { title: "CLIENT", cell: ({ clientId }) => clientId },
  { title: "GATEWAY", cell: ({ gateway }) => gateway },
  { title: "FILTER", cell: ({ filter }) => filter, whole: true },
  { title: "QOS", cell: ({ qos }) => qos, right: true },
];

export function addSubscriptions(program: Command, commands: SteeringCommands): Command {
  const group = commands.group(program, "subscriptions", "who is subscribed to what");
  commands.add<{ gateway?: string; client?: string; filter?: string; limit: string }>(
    group,
    "list",
    "list subscriptions of all clients",
    ["subscriptions list", "subscriptions list --client pump-7"],
    async ({ api, options, rows }) => {
      const { gateway, client, filter, limit } = options;
      const query = { gateway, clientId: client, filter };
      rows(subscriptionColumns, await collect(api.pages<Subscribed>("/subscriptions", query, Number(limit))));
    },
    (command) =>
      withGateway(command)
        .option("--client <id>", "of this client")
        .option("--filter <filter>", "of exactly this filter")
        .option("-n, --limit <rows>", "rows at most", "100"),
  );
  commands.add<OneOptions & { qos: string }>(
    group,
    "add <client> <filter>",
    "subscribe a client, past the access rules",
    ["subscriptions add pump-7 'all/#' --qos 1"],
    async ({ api, args, options, done }) => {
      const { path, query } = clientPath(args[0]!, options);
      await api.ask("POST", `${path}/subscriptions`, {
        query,
        body: { filter: args[1], qos: Number(options.qos) },
      });
      done("subscribed");
    },
    (command) => withGateway(command).option("-q, --qos <qos>", "the highest that it gets", "0"),
  );
  commands.add<OneOptions>(
    group,
    "remove <client> <filter>",
    "end a subscription of a client",
    ["subscriptions remove pump-7 'all/#'"],
    async ({ api, args, options, done }) => {
      const { path, query } = clientPath(args[0]!, options);
      await api.ask("DELETE", `${path}/subscriptions`, { query: { ...query, filter: args[1] } });
      done("ended");
    },
    withGateway,
  );
  return group;
}
