/** Clients of all gateways in one list, one in detail, and what can be done to it. */

import { Type } from "@sinclair/typebox";
import type { QoS } from "../../bus/message.ts";
import type { ClientDetail, ClientSummary, Clients } from "../../operate/clients.ts";
import type { Done } from "../../operate/done.ts";
import { Pauses } from "../../operate/pauses.ts";
import { qos } from "../../settings/kinds.ts";
import {
  ClientDetail as ClientDetailRow,
  ClientRow,
  Kicked,
  Subscription,
  WaitingMessage,
} from "../answers/clients.ts";
import type { Page } from "../answers/parts.ts";
import { type ClientQuery, clientFilters, filterOf, keysOf, passes, rowOf, SORTS } from "../client-rows.ts";
import {
  decodeCursor,
  encodeCursor,
  LIMIT,
  listQuery,
  narrowed,
  type PageQuery,
  pageOf,
  sortQuery,
} from "../lists.ts";
import { Refused, wrongField } from "../problem.ts";
import { Answer, type Asked, Download, route } from "../route.ts";
import { named, nameIn, payloadOf, timeText } from "../schemas.ts";
import { Snapshots } from "../snapshots.ts";

/** Clients looked at for a page of an unsorted list. */
const LOOKS = 10_000;
/** And for the part of it between which others may have a turn: looks, and rows. */
const SLICE_LOOKS = 500;
const SLICE_ROWS = 50;
const IDS_MAX = 200;
const BULK_MAX = 1_000;
const WAITING_MAX = 1_000;

type ListQuery = ClientQuery & PageQuery & { readonly count?: boolean; readonly ids?: string };

const snapshots = new WeakMap<Clients, Snapshots>();

function snapshotsOf(clients: Clients): Snapshots {
  let known = snapshots.get(clients);
  if (known === undefined) {
    known = new Snapshots();
    snapshots.set(clients, known);
  }
  return known;
}

/** The one of this number, if it is still there. */
function numbered(clients: Clients, number: number): ClientSummary | undefined {
  const [client] = clients.page({}, { after: number - 1, limit: 1, looks: 1 }).items;
  return client?.number === number ? client : undefined;
}

async function list({ query, ports }: Asked<unknown, ListQuery>): Promise<Page<object>> {
  const { clients } = ports.operator;
  const now = ports.now();
  if (query.ids !== undefined) return byIds(clients, query.ids, now, query.columns);
  // One id is looked up and not searched for.
  if (query.clientId !== undefined && query.gateway !== undefined) return exact(clients, query, now);
  const cursor = decodeCursor(query.cursor);
  if (query.sort !== undefined || query.count === true || typeof cursor === "string") {
    return sorted(clients, query, cursor, now);
  }
  return inOrder(clients, query, cursor ?? 0, now);
}

function exact(clients: Clients, query: ListQuery, now: number): Page<object> {
  const client = clients.get(query.gateway!, query.clientId!);
  const fits = client !== undefined && passes(query, now)(client);
  return { items: fits ? narrowed([rowOf(client, now)], query.columns) : [], count: fits ? 1 : 0 };
}

function byIds(clients: Clients, ids: string, now: number, columns: string | undefined): Page<object> {
  const names = ids.split("\n");
  if (names.length > IDS_MAX) {
    throw wrongField({ in: "query", field: "ids", detail: "are too many", fix: `at most ${IDS_MAX}` });
  }
  const rows: object[] = [];
  for (const name of names) {
    const slash = name.indexOf("/");
    const client = clients.get(name.slice(0, slash), name.slice(slash + 1));
    if (client !== undefined) rows.push(rowOf(client, now));
  }
  return { items: narrowed(rows, columns) };
}

/** In the order of coming: the cursor is the number of the last one that was looked at. */
async function inOrder(
  clients: Clients,
  query: ListQuery,
  after: number,
  now: number,
): Promise<Page<object>> {
  const { limit = LIMIT, columns } = query;
  const pass = passes(query, now);
  const pause = new Pauses();
  const rows: object[] = [];
  let from: number | undefined = after;
  for (let looks = LOOKS; from !== undefined && rows.length < limit && looks > 0; looks -= SLICE_LOOKS) {
    const most = Math.min(SLICE_ROWS, limit - rows.length);
    const page = clients.page(filterOf(query), { after: from, limit: most, looks: SLICE_LOOKS });
    for (const client of page.items) if (pass(client)) rows.push(rowOf(client, now));
    from = page.next;
    if (pause.due) await pause.take();
  }
  return { items: narrowed(rows, columns), ...(from === undefined ? {} : { next: encodeCursor(from) }) };
}

async function sorted(
  clients: Clients,
  query: ListQuery,
  cursor: string | number | undefined,
  now: number,
): Promise<Page<object>> {
  const { limit = LIMIT, sort = "clientId", cursor: _cursor, columns, count: _count, ...rest } = query;
  const descending = sort.startsWith("-");
  const field = (descending ? sort.slice(1) : sort) as (typeof SORTS)[number];
  const [id, place = "0"] = typeof cursor === "string" ? cursor.split("@") : [];
  const kept = snapshotsOf(clients);
  // Said before anything is built.
  passes(query, now);
  const snapshot =
    id === undefined
      ? await kept.make(JSON.stringify([sort, rest]), () => keysOf(clients, query, field, now), descending)
      : kept.find(id);
  const from = Number(place);
  const rows: object[] = [];
  const pause = new Pauses();
  let at = from;
  for (; at < snapshot.numbers.length && rows.length < limit; at++) {
    const client = numbered(clients, snapshot.numbers[at]!);
    if (client !== undefined) rows.push(rowOf(client, now));
    if (pause.due) await pause.take();
  }
  return {
    items: narrowed(rows, columns),
    count: snapshot.numbers.length,
    ...(at < snapshot.numbers.length ? { next: encodeCursor(`${snapshot.id}@${at}`) } : {}),
  };
}

// ---- one client

export const client = named("id", "Client id.");
export const whichGateway = {
  gateway: Type.Optional(
    Type.String({
      maxLength: 64,
      description: "Of which gateway; needed where several have a client of this id.",
    }),
  ),
};
const query = Type.Object({ ...client.query, ...whichGateway });

/** Throws `Refused` when there is none, or one in several gateways. */
export function clientIn({ path, query, ports }: Pick<Asked, "path" | "query" | "ports">): ClientDetail {
  const id = nameIn("id", path, query);
  const wanted = (query as { readonly gateway?: string } | undefined)?.gateway;
  const { clients, gateways } = ports.operator;
  const names = wanted === undefined ? [...gateways.list().map(({ name }) => name), "http"] : [wanted];
  const found = names.flatMap((gateway) => clients.get(gateway, id) ?? []);
  if (found.length > 1) {
    const gateways = found.map(({ gateway }) => gateway);
    throw new Refused(
      "conflict",
      `clients of this id are in ${gateways.join(", ")}: say which with ?gateway=`,
      { gateways },
    );
  }
  if (found[0] === undefined) throw new Refused("not-found", "there is no client of this id");
  return found[0];
}

const objectOf = ({ gateway, clientId }: ClientSummary): string => `client ${gateway}/${clientId}`;

/** Throws `Refused` for an order that could not be carried out. */
export function carriedOut(done: Done): void {
  if (done.ok) return;
  const code =
    done.refusal === "unknown" ? "not-found" : done.refusal === "conflict" ? "conflict" : "unavailable";
  throw new Refused(code, done.reason);
}

function detailOf(found: ClientDetail, now: number): ClientDetailRow {
  const { session, mountpoint, proven, identity, superuser, loginEndsAt, detail } = found;
  return {
    ...rowOf(found, now),
    ...(session === undefined
      ? {}
      : {
          session: {
            ...(Number.isFinite(session.expiry) ? { expiry: session.expiry / 1000 } : {}),
            ...(session.endsAt === undefined ? {} : { endsAt: timeText(session.endsAt) }),
            cleanStart: session.cleanStart,
            unreleased: session.inbound,
            ...(session.will === undefined
              ? {}
              : { will: { ...session.will, delay: session.will.delay / 1000 } }),
            ...(session.memo === undefined ? {} : { memo: session.memo }),
          },
        }),
    mountpoint,
    ...(proven === undefined ? {} : { proven }),
    ...(identity === undefined ? {} : { identity }),
    superuser,
    ...(loginEndsAt === undefined ? {} : { loginEndsAt: timeText(loginEndsAt) }),
    detail: detail as Record<string, unknown>,
  } as ClientDetailRow;
}

export const nobody = { path: { id: "nobody" } };

const listRoutes = [
  route({
    method: "GET",
    path: "/clients",
    role: "viewer",
    tag: "clients",
    summary: "Clients of all gateways, connected or away",
    description:
      "Without `sort` in the order of their coming, and a page may be short, even empty, and not the last one. With it the order is that of the moment of the first page, kept for a minute.",
    query: Type.Object({
      ...listQuery,
      ...clientFilters,
      sort: sortQuery(SORTS),
      count: Type.Optional(Type.Boolean({ description: "Say how many there are; they are counted for it." })),
      ids: Type.Optional(
        Type.String({
          maxLength: 65_536,
          description: `Only these: <gateway>/<client id>, with line feeds (%0A) between, at most ${IDS_MAX}.`,
        }),
      ),
    }),
    answer: pageOf(ClientRow),
    example: { query: { state: "overdue", sort: "dueAt" } },
    refusals: [
      { code: "invalid-request", query: { address: "10.0.0" } },
      { code: "invalid-request", query: { sort: "colour" } },
    ],
    handle: (asked) => list(asked as Asked<unknown, ListQuery>),
  }),
  route({
    method: "GET",
    path: "/clients.csv",
    role: "viewer",
    tag: "clients",
    summary: "The same list as a table for spreadsheets, at most 100,000 rows",
    query: Type.Object(clientFilters),
    answerType: "text/csv; charset=utf-8",
    example: { query: { gateway: "mqtt" } },
    handle: ({ query, ports }) => {
      passes(query as ClientQuery, ports.now());
      return new Download(
        "text/csv; charset=utf-8",
        "clients.csv",
        csv(ports.operator.clients, query as ClientQuery, ports.now()),
      );
    },
  }),
  route({
    method: "POST",
    path: "/clients/kick",
    role: "operator",
    tag: "clients",
    summary: "Disconnect several clients; says of each whether it was there",
    body: Type.Array(Type.Object({ gateway: Type.String(), clientId: Type.String() }), {
      minItems: 1,
      maxItems: BULK_MAX,
    }),
    answer: Kicked,
    example: { body: [{ gateway: "mqtt", clientId: "pump-7" }] },
    refusals: [{ code: "invalid-request", body: [] }],
    handle: ({ body, ports, changed }) => {
      const failed: { gateway: string; clientId: string; reason: string }[] = [];
      for (const { gateway, clientId } of body) {
        if (ports.operator.clients.kick(gateway, clientId) > 0) continue;
        failed.push({ gateway, clientId, reason: "no client of this id is connected" });
      }
      const succeed = body.length - failed.length;
      changed({ object: "clients", after: { kicked: succeed } });
      return { succeed, failed };
    },
  }),
];

const CSV_MAX = 100_000;
const CSV_COLUMNS = Object.keys(ClientRow.properties);

/** Cells that a spreadsheet would take for a formula begin with an apostrophe. */
function cell(value: unknown): string {
  let text = value === undefined ? "" : String(value);
  if (/^[=+\-@\t\r]/.test(text) && typeof value === "string") text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function* csv(clients: Clients, query: ClientQuery, now: number): AsyncGenerator<string> {
  yield `${CSV_COLUMNS.join(",")}\r\n`;
  const pass = passes(query, now);
  let rows = 0;
  for (let after: number | undefined = 0; after !== undefined && rows < CSV_MAX; ) {
    const page = clients.page(filterOf(query), { after, limit: 200, looks: 500 });
    let text = "";
    for (const client of page.items) {
      if (!pass(client) || rows++ >= CSV_MAX) continue;
      const row = rowOf(client, now) as Record<string, unknown>;
      text += `${CSV_COLUMNS.map((column) => cell(row[column])).join(",")}\r\n`;
    }
    after = page.next;
    // Everybody else has a turn between two pages.
    await new Promise((resolve) => setImmediate(resolve));
    if (text !== "") yield text;
  }
}

const clientRoute = { tag: "clients", params: client.params, query } as const;

const oneRoutes = [
  route({
    ...clientRoute,
    method: "GET",
    path: "/clients/{id}",
    role: "viewer",
    summary: "All that is known of one client",
    answer: ClientDetailRow,
    refusals: [{ code: "not-found", ...nobody }],
    handle: (asked) => detailOf(clientIn(asked), asked.ports.now()),
  }),
  route({
    ...clientRoute,
    method: "DELETE",
    path: "/clients/{id}",
    role: "operator",
    summary: "Disconnect a client; its session lives on by its expiry",
    refusals: [{ code: "not-found", ...nobody }],
    handle: (asked) => {
      const found = clientIn(asked);
      if (asked.ports.operator.clients.kick(found.gateway, found.clientId) === 0) {
        throw new Refused("conflict", "it is not connected; DELETE /clients/{id}/session ends its session");
      }
      asked.changed({ object: objectOf(found), after: { kicked: true } });
    },
  }),
  route({
    ...clientRoute,
    method: "DELETE",
    path: "/clients/{id}/session",
    role: "operator",
    summary: "Disconnect a client and end its session, with all that waits in it",
    refusals: [{ code: "not-found", ...nobody }],
    handle: (asked) => {
      const found = clientIn(asked);
      carriedOut(asked.ports.operator.clients.endSession(found.gateway, found.clientId));
      asked.changed({
        object: objectOf(found),
        before: { waiting: found.queued, subscriptions: found.subscriptions },
      });
    },
  }),
];

const partRoutes = [
  route({
    method: "GET",
    path: "/clients/{id}/waiting",
    role: "viewer",
    tag: "clients",
    params: client.params,
    summary: "What waits for a client, next first; a look, nothing is taken",
    query: Type.Object({
      ...client.query,
      ...whichGateway,
      limit: Type.Optional(
        Type.Integer({ minimum: 1, maximum: WAITING_MAX, default: LIMIT, description: "How many at most." }),
      ),
      payload: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: 4_096,
          default: 0,
          description: "Bytes of each payload at most.",
        }),
      ),
    }),
    answer: Type.Array(WaitingMessage),
    refusals: [{ code: "not-found", ...nobody }],
    handle: (asked) => {
      const { gateway, clientId } = clientIn(asked);
      const { limit = LIMIT, payload: payloadMax = 0 } = asked.query;
      const waiting = asked.ports.operator.clients.queue(gateway, clientId, limit) ?? [];
      return waiting.map(({ id, topic, from, payload, qos, retain, publishedAt, expiresAt, stage }) => ({
        ...{ id, topic, from, bytes: payload.length, qos, retain, stage },
        publishedAt: timeText(publishedAt),
        ...(expiresAt === undefined ? {} : { expiresAt: timeText(expiresAt) }),
        ...(payloadMax === 0 ? {} : payloadOf(payload.subarray(0, payloadMax))),
      }));
    },
  }),
  route({
    method: "DELETE",
    path: "/clients/{id}/waiting/{message}",
    role: "operator",
    tag: "clients",
    params: Type.Object({
      ...client.params.properties,
      message: Type.String({ description: "Its id, as the list of what waits has it." }),
    }),
    query: Type.Object({
      ...client.query,
      ...whichGateway,
      disconnect: Type.Optional(
        Type.Boolean({
          default: false,
          description:
            "Also where the client is connected and was handed it: it is disconnected first, and gets on without the message when it comes back.",
        }),
      ),
    }),
    summary: "Delete one message that waits for a client",
    description:
      "Of a QoS 2 message that was handed out the release still follows: the client may hold it as received [MQTT-4.3.3].",
    refusals: [{ code: "not-found", path: { id: "nobody", message: "1-0" } }],
    handle: (asked) => {
      const found = clientIn(asked);
      const { message } = asked.path;
      const { clients } = asked.ports.operator;
      carriedOut(clients.deleteWaiting(found.gateway, found.clientId, message, asked.query.disconnect));
      asked.changed({ object: objectOf(found), before: { waiting: message } });
    },
  }),
  route({
    ...clientRoute,
    method: "GET",
    path: "/clients/{id}/subscriptions",
    role: "viewer",
    summary: "What a client is subscribed to",
    answer: Type.Array(Subscription),
    refusals: [{ code: "not-found", ...nobody }],
    handle: (asked) => {
      const { gateway, clientId } = clientIn(asked);
      return (asked.ports.operator.clients.subscriptions(gateway, clientId) ?? []).map(subscriptionRow);
    },
  }),
  route({
    ...clientRoute,
    method: "POST",
    path: "/clients/{id}/subscriptions",
    role: "operator",
    summary: "Subscribe a client, connected or away, past the access rules",
    body: Type.Object({
      filter: Type.String({ minLength: 1, description: "Topic filter, as the client would ask for it." }),
      qos: Type.Optional(qos({ description: "The highest that it gets.", default: 0 })),
    }),
    status: 201,
    answer: Subscription,
    refusals: [{ code: "not-found", ...nobody, body: { filter: "a/#" } }],
    handle: (asked) => {
      const found = clientIn(asked);
      const { filter, qos = 0 } = asked.body;
      carriedOut(
        asked.ports.operator.clients.subscribe(found.gateway, found.clientId, filter, { qos: qos as QoS }),
      );
      asked.changed({ object: objectOf(found), after: { subscribed: filter, qos } });
      return new Answer(201, subscriptionRow({ filter, options: { qos } }));
    },
  }),
  route({
    method: "DELETE",
    path: "/clients/{id}/subscriptions",
    role: "operator",
    tag: "clients",
    params: client.params,
    query: Type.Object({
      ...client.query,
      ...whichGateway,
      filter: Type.String({ minLength: 1, description: "Which one." }),
    }),
    summary: "End a subscription of a client; what waits because of it alone is dropped",
    refusals: [{ code: "not-found", ...nobody, query: { filter: "a/#" } }],
    handle: (asked) => {
      const found = clientIn(asked);
      const { filter } = asked.query;
      carriedOut(asked.ports.operator.clients.unsubscribe(found.gateway, found.clientId, filter));
      asked.changed({ object: objectOf(found), before: { subscribed: filter } });
    },
  }),
];

type Subscribed = NonNullable<ReturnType<Clients["subscriptions"]>>[number];

export const subscriptionRow = ({ filter, options }: Subscribed) => ({
  filter,
  qos: options.qos,
  noLocal: options.noLocal ?? false,
  retainAsPublished: options.retainAsPublished ?? false,
  retainHandling: options.retainHandling ?? 0,
});

export const clientRoutes = [...listRoutes, ...oneRoutes, ...partRoutes];
