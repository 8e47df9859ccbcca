/** Subscriptions of all clients, and the filters that they make. */

import { Type } from "@sinclair/typebox";
import { topicNameProblem } from "../../bus/topic.ts";
import type { TopicRow } from "../../operate/topic-directory.ts";
import { allows } from "../access/principal.ts";
import type { Page } from "../answers/parts.ts";
import { Filter, Level, Levels } from "../answers/topics.ts";
import {
  decodeCursor,
  encodeCursor,
  LIMIT,
  listQuery,
  narrowed,
  type PageQuery,
  pageOf,
  pageOfWalk,
} from "../lists.ts";
import type { Subscribed } from "../ports.ts";
import { Refused, wrongField } from "../problem.ts";
import { type Asked, route } from "../route.ts";
import { named, nameIn, payloadOf, timeText } from "../schemas.ts";
import { subscriptionRow } from "./clients.ts";

const Row = Type.Object({
  clientId: Type.String(),
  gateway: Type.String(),
  filter: Type.String(),
  qos: Type.Integer(),
  noLocal: Type.Boolean(),
  retainAsPublished: Type.Boolean(),
  retainHandling: Type.Integer(),
});

/** Clients looked at for one page. */
const LOOKS = 10_000;

interface SubscriptionQuery extends PageQuery {
  readonly gateway?: string;
  readonly clientId?: string;
  readonly filter?: string;
}

/** The cursor is the client of the last row and how many of its rows were on earlier pages. */
function subscriptions({ query, ports }: Asked<unknown, SubscriptionQuery>): Page<object> {
  const { gateway, clientId, filter, limit = LIMIT, columns } = query;
  const { clients } = ports.operator;
  const cursor = decodeCursor(query.cursor);
  const [number = "0", skipped = "0"] = typeof cursor === "string" ? cursor.split("@") : [];
  const rows: object[] = [];
  let after = Number(number);
  let skip = Number(skipped);
  const wanted = {
    ...(gateway === undefined ? {} : { gateway }),
    ...(clientId === undefined ? {} : { clientId }),
  };
  for (let looks = 0; looks < LOOKS; ) {
    const page = clients.page(wanted, { after, limit: 100, looks: 1_000 });
    looks += 1_000;
    for (const client of page.items) {
      const own = clients.subscriptions(client.gateway, client.clientId) ?? [];
      const matching = filter === undefined ? own : own.filter((one) => one.filter === filter);
      for (const one of matching.slice(skip)) {
        if (rows.length === limit)
          return { items: narrowed(rows, columns), next: encodeCursor(`${client.number - 1}@${skip}`) };
        rows.push({ clientId: client.clientId, gateway: client.gateway, ...subscriptionRow(one) });
        skip++;
      }
      skip = 0;
      after = client.number;
    }
    if (page.next === undefined) return { items: narrowed(rows, columns) };
    after = page.next;
  }
  return { items: narrowed(rows, columns), next: encodeCursor(`${after}@0`) };
}

const topicName = named("topic", "The topic.");

const WALK_MAX = 1_000_000;

function topics({ query, ports }: Asked<unknown, PageQuery & { readonly topic?: string }>): Page<object> {
  const { topic, cursor } = query;
  const problem = topic === undefined ? undefined : topicNameProblem(topic);
  if (problem !== undefined)
    throw wrongField({
      in: "query",
      field: "topic",
      value: topic,
      detail: problem,
      fix: "a topic without wildcards",
    });
  const from = decodeCursor(cursor) ?? 0;
  if (typeof from !== "number" || from > WALK_MAX) {
    throw wrongField({ in: "query", field: "cursor", value: cursor, detail: "is no cursor of this list" });
  }
  const walk: Iterator<Subscribed> = ports.topics.walk(topic);
  for (let passed = 0; passed < from; passed++) if (walk.next().done === true) break;
  return pageOfWalk(walk, query, () => from + (query.limit ?? LIMIT));
}

/** Payloads are for operators. */
const levelOf = ({ last, ...row }: TopicRow, { ports, who }: Pick<Asked, "ports" | "who">) => ({
  ...row,
  retained: ports.retained.get(row.topic) !== undefined,
  ...(last === undefined
    ? {}
    : {
        last: {
          at: timeText(last.at),
          qos: last.qos,
          retain: last.retain,
          bytes: last.bytes,
          from: last.publisher,
          ...(allows(who.role, "operator") ? payloadOf(last.payload) : {}),
        },
      }),
});

const LEVELS = 200;

export const topicRoutes = [
  route({
    method: "GET",
    path: "/topics/tree",
    role: "viewer",
    tag: "topics",
    summary:
      "Topics by levels, with their last messages: those that are retained, and what came since somebody looks",
    description:
      "The node looks at topics from the first such request on, until nobody has asked for ten minutes; `since` says from when. It keeps api.topics of them, and `left` counts messages of others.",
    query: Type.Object({
      at: Type.Optional(Type.String({ description: "Levels below this topic; absent: the first ones." })),
      prefix: Type.Optional(Type.String({ maxLength: 256, description: "Only levels that begin so." })),
      after: Type.Optional(Type.String({ description: "Behind this level: `next` of the page before." })),
      limit: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 1_000, default: LEVELS, description: "Levels at most." }),
      ),
    }),
    answer: Levels,
    example: { query: { at: "room/7" } },
    handle: (asked) => {
      const { query, ports } = asked;
      const { directory } = ports.topics;
      const { at, after, prefix = "", limit = LEVELS } = query;
      const { items, next } = directory.children(at, { now: ports.now(), after, prefix, limit });
      return {
        items: items.map((row) => levelOf(row, asked as unknown as Asked)),
        ...(next === undefined ? {} : { next }),
        ...(directory.since === undefined ? {} : { since: timeText(directory.since) }),
        count: directory.count,
        left: directory.left,
      };
    },
  }),
  route({
    method: "GET",
    path: "/topics/tree/{topic}",
    role: "viewer",
    tag: "topics",
    summary: "One topic with its last message, as in the tree",
    params: topicName.params,
    query: Type.Object(topicName.query),
    answer: Level,
    refusals: [{ code: "not-found", path: { topic: "no/such" } }],
    handle: (asked) => {
      const { ports, path, query } = asked;
      const row = ports.topics.directory.at(nameIn("topic", path, query), ports.now());
      if (row === undefined) throw new Refused("not-found", "nothing was seen of this topic");
      return levelOf(row, asked as unknown as Asked);
    },
  }),
  route({
    method: "GET",
    path: "/subscriptions",
    role: "viewer",
    tag: "topics",
    summary: "Subscriptions of all clients",
    query: Type.Object({
      ...listQuery,
      gateway: Type.Optional(Type.String({ maxLength: 64, description: "Only of clients of this gateway." })),
      clientId: Type.Optional(Type.String({ maxLength: 1_024, description: "Only of this client." })),
      filter: Type.Optional(Type.String({ description: "Only of exactly this filter." })),
    }),
    answer: pageOf(Row),
    example: { query: { gateway: "mqtt" } },
    handle: (asked) => subscriptions(asked as Asked<unknown, SubscriptionQuery>),
  }),
  route({
    method: "GET",
    path: "/topics",
    role: "viewer",
    tag: "topics",
    summary: "Filters that somebody is subscribed to; with `topic` those that match it",
    query: Type.Object({
      ...listQuery,
      topic: Type.Optional(Type.String({ minLength: 1, description: "Only filters that match this topic." })),
    }),
    answer: pageOf(Filter),
    example: { query: { topic: "room/7/temp" } },
    refusals: [{ code: "invalid-request", query: { topic: "a/#" } }],
    handle: (asked) => topics(asked as Asked<unknown, PageQuery & { readonly topic?: string }>),
  }),
];
