/** Lists of users and of client ids that may connect. */

import { type TProperties, Type } from "@sinclair/typebox";
import type { EntryWish, ListedLogins } from "../../authenticate/listed-logins.ts";
import type { Listed } from "../../authenticate/login-list.ts";
import { type Login, LoginList } from "../answers/logins.ts";
import { time } from "../answers/parts.ts";
import { listQuery, narrowed, pageOf, pageOfArray, sortQuery } from "../lists.ts";
import { Answer, Download, type Route, route } from "../route.ts";
import { named, nameIn, timeText } from "../schemas.ts";
import {
  CLIENT_IDS,
  exported,
  type ImportRow,
  importedOf,
  importRow,
  listOf,
  nameText,
  refusing,
  USERS,
  type Words,
} from "./login-rows.ts";

const IMPORT_BODY_MAX = 32 * 1024 * 1024;
const IMPORT_MAX = 100_000;

const password = Type.String({
  minLength: 1,
  maxLength: 1_024,
  description: "It is kept as a hash and never shown.",
});
const superuser = Type.Boolean({ description: "Skips the access control list." });
const heldTo = nameText("The only client id that this user may come with.");
const inList = {
  list: Type.Optional(
    Type.String({
      maxLength: 64,
      description: "Name of the list, where the configuration has more than one.",
    }),
  ),
};

const rowOf = ({ of }: Words, { name, hash, scram, superuser, clientId, changedAt }: Listed): Login => ({
  ...(of === "client-ids" ? { clientId: name } : { username: name }),
  superuser,
  ...(of === "users" && clientId !== undefined ? { clientId } : {}),
  password: hash !== undefined,
  ...(scram === undefined ? {} : { scram: true }),
  changedAt: timeText(changedAt),
});

/** A JSON array, an entry a line. */
function* exportOf(entries: readonly Listed[]): Generator<string> {
  let before = "[\n";
  for (const listed of entries) {
    yield before + JSON.stringify(exported(listed));
    before = ",\n";
  }
  yield entries.length === 0 ? "[]\n" : "\n]\n";
}

/** What the routes of a kind of lists have in common. */
function partsOf({ of, field, one }: Words) {
  const mine: TProperties = of === "users" ? { clientId: Type.Optional(heldTo) } : {};
  const key = named("name", `The ${one}.`);
  return {
    mine,
    meant: { query: Type.Object({ ...key.query, ...inList }), params: key.params },
    Row: Type.Object({
      [field]: Type.String(),
      superuser,
      ...mine,
      password: Type.Boolean({ description: "It has one." }),
      scram: Type.Optional(Type.Boolean({ description: "It can log in by SCRAM." })),
      changedAt: time("When it was made or changed."),
    }),
    object: (list: ListedLogins, name: string): string => `${one} ${name} of ${list.list.name}`,
  };
}

const place = (query: unknown): string | undefined => (query as { readonly list?: string }).list;

function listAndAdd(words: Words): readonly Route[] {
  const { of, path, field, one, many, example } = words;
  const { mine, Row, object } = partsOf(words);
  const body = {
    password: of === "users" ? password : Type.Optional(password),
    superuser: Type.Optional(superuser),
  };
  return [
    route({
      method: "GET",
      path,
      role: "viewer",
      tag: "authentication",
      summary: `The ${many} of a list that may connect`,
      query: Type.Object({
        ...listQuery,
        ...inList,
        search: Type.Optional(
          Type.String({ maxLength: 1_024, description: "Only those that hold this text." }),
        ),
        sort: sortQuery(["name", "changedAt"]),
      }),
      answer: pageOf(Row),
      example: { query: { sort: "name", limit: 50 } },
      refusals: [{ code: "invalid-request", query: { list: "nothing" } }],
      handle: ({ ports, query }) => {
        const { columns, search, list, ...rest } = query;
        const all = listOf(ports, words, list).list.all();
        const wanted = search === undefined ? all : all.filter(({ name }) => name.includes(search));
        const page = pageOfArray(wanted, rest);
        return {
          ...page,
          items: narrowed(
            page.items.map((listed) => rowOf(words, listed)),
            columns,
          ),
        };
      },
    }),
    route({
      method: "POST",
      path,
      role: "administrator",
      tag: "authentication",
      summary: `Add a ${one} to a list`,
      query: Type.Object(inList),
      body: Type.Object({ [field]: nameText(`The ${one}.`), ...body, ...mine }),
      status: 201,
      answer: Row,
      example: { body: { [field]: example, password: "correct horse" } },
      refusals: [
        { code: "invalid-request", body: { [field]: "", password: "x" } },
        { code: "invalid-request", body: { [field]: "nul\0", password: "x" } },
      ],
      handle: async ({ ports, query, body, changed }) => {
        const { [field]: name = "", ...wish } = body as EntryWish & Record<typeof field, string>;
        const list = listOf(ports, words, place(query));
        const listed = await refusing(list.add(name, wish as EntryWish, ports.now()));
        ports.logins.judge();
        changed({ object: object(list, name), after: rowOf(words, listed) });
        return new Answer(201, rowOf(words, listed));
      },
    }),
  ];
}

function changeAndRemove(words: Words): readonly Route[] {
  const { of, path, one, example } = words;
  const { meant, Row, object } = partsOf(words);
  return [
    route({
      method: "PATCH",
      path: `${path}/{name}`,
      role: "administrator",
      tag: "authentication",
      summary: `Change password or rights of a ${one}; who is connected with rights that changed is disconnected`,
      ...meant,
      body: Type.Object({
        password: Type.Optional(password),
        superuser: Type.Optional(superuser),
        ...(of === "users"
          ? { clientId: Type.Optional(Type.Union([heldTo, Type.Null()], { description: "Null: any." })) }
          : {}),
      }),
      answer: Row,
      example: { path: { name: example }, body: { superuser: false } },
      refusals: [{ code: "not-found", path: { name: "nobody" }, body: { superuser: true } }],
      handle: async ({ path, query, ports, body, changed }) => {
        const list = listOf(ports, words, place(query));
        const name = nameIn("name", path, query);
        const before = list.list.get(name);
        const listed = await refusing(list.change(name, body as EntryWish, ports.now()));
        ports.logins.judge();
        const rows = { before: before && rowOf(words, before), after: rowOf(words, listed) };
        changed({ object: object(list, name), ...rows });
        return rows.after;
      },
    }),
    route({
      method: "DELETE",
      path: `${path}/{name}`,
      role: "administrator",
      tag: "authentication",
      summary: `Remove a ${one} from a list; who is connected as that is disconnected`,
      ...meant,
      example: { path: { name: example } },
      refusals: [{ code: "not-found", path: { name: "nobody" } }],
      handle: async ({ path, query, ports, changed }) => {
        const list = listOf(ports, words, place(query));
        const name = nameIn("name", path, query);
        const before = await refusing(list.remove(name));
        ports.logins.judge();
        changed({ object: object(list, name), before: rowOf(words, before) });
      },
    }),
  ];
}

function importAndExport(words: Words): readonly Route[] {
  const { path, many, example } = words;
  return [
    route({
      method: "POST",
      path: `${path}/import`,
      role: "administrator",
      tag: "authentication",
      summary: `Put many ${many} on a list at once, with hashes or passwords; those that are there are replaced`,
      description:
        "An array, or CSV (text/csv) with a first row of names, as the manuals of EMQX have it: user_id, password_hash, salt, is_superuser. All of it or nothing.",
      query: Type.Object(inList),
      body: Type.Array(importRow, { maxItems: IMPORT_MAX }),
      bodyTypes: ["text/csv"],
      bodyMax: IMPORT_BODY_MAX,
      answer: Type.Object({
        added: Type.Integer({ description: "Entries that are new." }),
        changed: Type.Integer({ description: "Entries that were there." }),
      }),
      example: { body: [{ user_id: example, password: "correct horse", is_superuser: false }] },
      refusals: [
        { code: "invalid-request", body: [{ password_hash: "x" }] },
        { code: "invalid-request", body: [{ user_id: "a", password_hash: "no hash of any form" }] },
      ],
      handle: async ({ ports, query, body, changed }) => {
        const list = listOf(ports, words, place(query));
        const entries = (body as readonly ImportRow[]).map((row, index) =>
          importedOf(row, `/${index}`, words.of),
        );
        const imported = await refusing(list.import(entries, ports.now()));
        ports.logins.judge();
        changed({ object: `${many} of ${list.list.name}`, after: imported });
        return imported;
      },
    }),
    route({
      method: "GET",
      path: `${path}/export`,
      role: "administrator",
      tag: "authentication",
      summary: `All ${many} of a list with their password hashes, as import takes them`,
      audited: true,
      query: Type.Object(inList),
      answerType: "application/json",
      example: {},
      refusals: [{ code: "invalid-request", query: { list: "nothing" } }],
      handle: ({ ports, query, changed }) => {
        const list = listOf(ports, words, place(query));
        changed({ object: `${many} of ${list.list.name}` });
        return new Download("application/json", `${list.list.name}.json`, exportOf(list.list.all()));
      },
    }),
  ];
}

export const loginRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/authentication/lists",
    role: "viewer",
    tag: "authentication",
    summary: "Lists of users and client ids that chains of the configuration name",
    answer: Type.Object({ items: Type.Array(LoginList) }),
    example: {},
    handle: ({ ports }) => ({
      items: ports.logins.lists().map(({ list, settings }) => ({
        ...{ list: list.name, of: list.of, entries: list.size, max: settings.entries },
        passwordHash: settings.passwordHash,
      })),
    }),
  }),
  route({
    method: "DELETE",
    path: "/authentication/decisions",
    role: "operator",
    tag: "authentication",
    summary: "Forget what is remembered of logins and rights: every source is asked again",
    description:
      "Of everybody; or of one client id, or of one user name, whose connected clients are then judged again.",
    query: Type.Object({
      clientId: Type.Optional(nameText("Of the clients that have this id.")),
      user: Type.Optional(nameText("Of the clients of this user.")),
    }),
    answer: Type.Object({ clients: Type.Integer({ description: "Connected clients that it concerned." }) }),
    example: { query: { user: "meter-7" } },
    refusals: [{ code: "invalid-request", query: { clientId: "" } }],
    handle: ({ ports, query, changed }) => {
      const clients = ports.logins.forget(query);
      const whose = query.clientId ?? query.user;
      changed({ object: whose === undefined ? "decisions" : `decisions about ${whose}`, after: { clients } });
      return { clients };
    },
  }),
  ...[USERS, CLIENT_IDS].flatMap((words) => [
    ...listAndAdd(words),
    ...changeAndRemove(words),
    ...importAndExport(words),
  ]),
];
