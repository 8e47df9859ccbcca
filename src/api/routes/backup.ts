/** What operators have made at this node, as one document: to be kept, and put back, here or at another node. */

import { type Static, Type } from "@sinclair/typebox";
import type { ListedLogins } from "../../authenticate/listed-logins.ts";
import type { Listed } from "../../authenticate/login-list.ts";
import { type Instant, NEVER } from "../../lib/time.ts";
import { AccountsError, KeyAccount, UserAccount } from "../access/accounts.ts";
import { time } from "../answers/parts.ts";
import type { ApiPorts } from "../ports.ts";
import { Refused, wrongField } from "../problem.ts";
import { route } from "../route.ts";
import { timeText } from "../schemas.ts";
import { BanWish, targetOf } from "./bans.ts";
import { exported, importedOf, importRow, refusing } from "./login-rows.ts";
import { SavedRoute, type Wish, wishOf } from "./upstream.ts";

const FORMAT = 1;
const BODY_MAX = 64 * 1024 * 1024;
const BANS_MAX = 100_000;
const ENTRIES_MAX = 200_000;

const SavedList = Type.Object({
  of: Type.Union([Type.Literal("users"), Type.Literal("client-ids")], { description: "What it lists." }),
  list: Type.String({ maxLength: 64, description: "Its name." }),
  entries: Type.Array(importRow, { maxItems: ENTRIES_MAX, description: "With their password hashes." }),
});
type SavedList = Static<typeof SavedList>;

const Backup = Type.Object({
  format: Type.Literal(FORMAT, { description: "Of this document." }),
  node: Type.Optional(Type.String({ description: "Where it was made." })),
  madeAt: Type.Optional(time("When.")),
  users: Type.Array(UserAccount, { description: "With their password hashes." }),
  keys: Type.Array(KeyAccount, {
    description: "With digests of their secrets; those of the configuration are left out.",
  }),
  bans: Type.Array(BanWish, { maxItems: BANS_MAX, description: "Without those of the configuration." }),
  routes: Type.Optional(
    Type.Array(SavedRoute, { description: "To servers of a cluster; without those of the configuration." }),
  ),
  lists: Type.Optional(
    Type.Array(SavedList, { maxItems: 64, description: "Of users and client ids that may connect." }),
  ),
});
type Backup = Static<typeof Backup>;

const Restored = Type.Object({
  users: Type.Integer({ description: "Users that were put back." }),
  keys: Type.Integer({ description: "Keys that were put back." }),
  routes: Type.Integer({ description: "Routes to servers that were put back." }),
  bans: Type.Integer({ description: "Bans that were put back; those that are over are left out." }),
  logins: Type.Integer({ description: "Entries of lists of users and client ids that were put back." }),
});

const savedLists = ({ logins }: ApiPorts): SavedList[] =>
  logins.lists().map(({ list }) => ({ of: list.of, list: list.name, entries: list.all().map(exported) }));

/** Lists with what they will hold, when nothing is wrong with it. */
async function preparedLists(
  ports: ApiPorts,
  saved: readonly SavedList[],
): Promise<readonly (readonly [logins: ListedLogins, entries: readonly Listed[]])[]> {
  const prepared: (readonly [ListedLogins, readonly Listed[]])[] = [];
  for (const [at, { of, list: name, entries }] of saved.entries()) {
    const logins = ports.logins.lists().find(({ list }) => list.of === of && list.name === name);
    if (logins === undefined) {
      if (entries.length === 0) continue;
      throw new Refused(
        "conflict",
        `the backup has entries of the list "${name}" of ${of}, which no authentication chain here names`,
      );
    }
    const field = `/lists/${at}/entries`;
    const rows = entries.map((row, index) => importedOf(row, `${field}/${index}`, of));
    prepared.push([logins, await refusing(logins.prepared(rows, ports.now()), field)]);
  }
  return prepared;
}

export const backupRoutes = [
  route({
    method: "GET",
    path: "/backup",
    role: "administrator",
    tag: "backup",
    summary: "Users, keys, bans, routes and lists of logins that were made at this node, as one document",
    description:
      "Keep it as you keep passwords. Sessions and messages are not in it: they are in the store (isthmus store export).",
    audited: true,
    answer: Backup,
    example: {},
    handle: ({ ports, changed }) => {
      const { accounts } = ports.access.credentials;
      changed({ object: "backup" });
      return {
        ...{ format: FORMAT, node: ports.node.name, madeAt: timeText(ports.now()), users: accounts.users },
        keys: accounts.keys.filter(({ id }) => !accounts.isGiven(id)),
        ...(ports.upstream === undefined
          ? {}
          : {
              routes: ports.upstream
                .routes()
                .filter(({ configured }) => !configured)
                .map(({ configured: _, ...saved }) => saved),
            }),
        bans: ports.bans
          .list()
          .filter(({ configured }) => !configured)
          .map(({ clientId, user, address, reason, until }) => ({
            ...(clientId === undefined ? {} : { clientId }),
            ...(user === undefined ? {} : { user }),
            ...(address === undefined ? {} : { address }),
            ...{ reason, ...(until === NEVER ? {} : { until: timeText(until) }) },
          })),
        lists: savedLists(ports),
      };
    },
  }),
  route({
    method: "POST",
    path: "/restore",
    role: "administrator",
    tag: "backup",
    summary: "Put a backup back: what has the same name is replaced, everything else stays",
    body: Backup,
    bodyMax: BODY_MAX,
    answer: Restored,
    example: { body: { format: FORMAT, users: [], keys: [], bans: [{ clientId: "pump-9" }] } },
    refusals: [
      { code: "invalid-request", body: { format: 2, users: [], keys: [], bans: [] } },
      { code: "invalid-request", body: { format: FORMAT, users: [], keys: [], bans: [{ address: "10.0" }] } },
    ],
    handle: async ({ ports, body, changed }) => {
      const { users, keys, bans, routes = [], lists = [] } = body as Backup;
      const wishes = routes.map(({ id, group, servers, ...rest }) => {
        // A route with servers of its own has a group of that name, which comes and goes with it.
        const wish = wishOf({ ...rest, ...(servers === undefined ? { group } : { servers }) } as Wish);
        return { id, wish };
      });
      if (wishes.length > 0 && ports.upstream === undefined)
        throw new Refused(
          "conflict",
          "the backup has routes to servers, and here sessions are in this process",
        );
      for (const [index, { wish }] of wishes.entries()) {
        const groups = ports.upstream?.groups() ?? [];
        if (wish.group === undefined || groups.includes(wish.group)) continue;
        const fix = `one of ${groups.join(", ")}`;
        throw wrongField({ in: "body", field: `/routes/${index}/group`, detail: "is no group here", fix });
      }
      // All of it is looked at before any of it is put back.
      const targets = bans.map((ban, index) => targetOf(ban, "body", `/bans/${index}`));
      const prepared = await preparedLists(ports, lists);
      try {
        await ports.access.credentials.accounts.restore({ users, keys });
      } catch (error) {
        if (error instanceof AccountsError) throw new Refused("conflict", error.message);
        throw error;
      }
      let banned = 0;
      for (const [index, { reason = "banned", until }] of bans.entries()) {
        const end = until === undefined ? NEVER : (Date.parse(until) as Instant);
        if (end > ports.now() && ports.bans.add({ ...targets[index], reason, until: end })) banned++;
      }
      for (const { id, wish } of wishes) ports.upstream?.put(id, wish);
      for (const [logins, entries] of prepared) await refusing(logins.keep(entries));
      if (prepared.length > 0) ports.logins.judge();
      const restored = {
        ...{ users: users.length, keys: keys.length, bans: banned, routes: wishes.length },
        logins: prepared.reduce((sum, [, entries]) => sum + entries.length, 0),
      };
      changed({ object: "backup", after: restored });
      return restored;
    },
  }),
];
