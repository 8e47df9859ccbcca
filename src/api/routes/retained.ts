import { Type } from "@sinclair/typebox";
import type { Message } from "../../bus/message.ts";
import { topicFilterProblem } from "../../bus/topic.ts";
import { Cleared, Retained } from "../answers/messages.ts";
import type { Page } from "../answers/parts.ts";
import { decodeCursor, LIMIT, listQuery, pageOf, pageOfWalk } from "../lists.ts";
import { Refused, wrongField } from "../problem.ts";
import { type Asked, route } from "../route.ts";
import { named, nameIn, payloadOf, timeText } from "../schemas.ts";

/** Topics that are passed over to find the place of a cursor, and to find matches, in one request. */
const WALK_MAX = 1_000_000;
const CLEAR_MAX = 10_000;

const rowOf = (message: Message, payloadMax: number): object => {
  const { topic, payload, qos, publishedAt, expiresAt, publisher, properties } = message;
  return {
    topic,
    bytes: payload.length,
    qos,
    publishedAt: timeText(publishedAt),
    ...(Number.isFinite(expiresAt) ? { expiresAt: timeText(expiresAt) } : {}),
    from: publisher,
    ...(payloadMax > 0 ? payloadOf(payload.subarray(0, payloadMax)) : {}),
    ...(properties?.contentType === undefined ? {} : { contentType: properties.contentType }),
  };
};

const topic = named("topic", "The topic.");

function checkFilter(filter: string): void {
  const problem = topicFilterProblem(filter);
  if (problem === undefined) return;
  throw wrongField({
    in: "query",
    field: "filter",
    value: filter.slice(0, 200),
    detail: problem,
    fix: "a topic filter such as room/+/temp or room/#",
  });
}

interface ListQuery {
  readonly filter?: string;
  readonly limit?: number;
  readonly cursor?: string;
  readonly columns?: string;
  readonly payload?: number;
}

/** The cursor is a place in the walk: what is added or removed meanwhile may move rows over the edge of a page. */
function list({ query, ports }: Asked<unknown, ListQuery>): Page<object> {
  const { filter = "#", cursor, limit = LIMIT, payload = 0 } = query;
  checkFilter(filter);
  const from = decodeCursor(cursor) ?? 0;
  if (typeof from !== "number" || from > WALK_MAX) {
    throw wrongField({ in: "query", field: "cursor", value: cursor, detail: "is no cursor of this list" });
  }
  const walk = ports.retained.walk(filter);
  for (let passed = 0; passed < from; passed++) if (walk.next().done === true) break;
  return pageOfWalk(
    mapped(walk, (message) => rowOf(message, payload)),
    query,
    () => from + limit,
  );
}

function* mapped<From, To>(walk: Iterator<From>, map: (from: From) => To): Generator<To> {
  for (let next = walk.next(); next.done !== true; next = walk.next()) yield map(next.value);
}

function found(asked: Asked): Message {
  const name = nameIn("topic", asked.path, asked.query);
  const message = asked.ports.retained.get(name);
  if (message === undefined) throw new Refused("not-found", "nothing is retained for this topic");
  return message;
}

export const retainedRoutes = [
  route({
    method: "GET",
    path: "/retained",
    role: "viewer",
    tag: "retained",
    summary: "Retained messages, by topic filter",
    query: Type.Object({
      ...listQuery,
      filter: Type.Optional(
        Type.String({ description: "Only topics that match; absent: all.", default: "#" }),
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
    answer: pageOf(Retained),
    example: { query: { filter: "room/#", limit: 10 } },
    refusals: [{ code: "invalid-request", query: { filter: "a/#/b" } }],
    handle: (asked) => list(asked as Asked<unknown, ListQuery>),
  }),
  route({
    method: "GET",
    path: "/retained/{topic}",
    role: "viewer",
    tag: "retained",
    summary: "The retained message of a topic",
    params: topic.params,
    query: Type.Object(topic.query),
    answer: Retained,
    example: { path: { topic: "room/7/temp" } },
    refusals: [{ code: "not-found", path: { topic: "no/such" } }],
    handle: (asked) => rowOf(found(asked), Number.POSITIVE_INFINITY),
  }),
  route({
    method: "DELETE",
    path: "/retained/{topic}",
    role: "operator",
    tag: "retained",
    summary: "Clear the retained message of a topic",
    params: topic.params,
    query: Type.Object(topic.query),
    example: { path: { topic: "room/7/temp" } },
    refusals: [{ code: "not-found", path: { topic: "no/such" } }],
    handle: (asked) => {
      const message = found(asked);
      asked.ports.retained.clear(message.topic);
      asked.changed({
        object: `retained ${message.topic}`,
        before: payloadOf(message.payload.subarray(0, 1_024)),
      });
    },
  }),
  route({
    method: "DELETE",
    path: "/retained",
    role: "operator",
    tag: "retained",
    summary: "Clear the retained messages that match a filter, some at a time",
    description: `Clears ${CLEAR_MAX} at most and says whether any are left: ask again until none are.`,
    query: Type.Object({
      filter: Type.String({ minLength: 1, description: "Which topics." }),
      limit: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: CLEAR_MAX,
          default: CLEAR_MAX,
          description: "How many at most.",
        }),
      ),
    }),
    answer: Cleared,
    example: { query: { filter: "room/9/#" } },
    refusals: [{ code: "invalid-request", query: { filter: "a/#/b" } }],
    handle: ({ query: { filter, limit = CLEAR_MAX }, ports, changed }) => {
      checkFilter(filter);
      const topics: string[] = [];
      const walk = ports.retained.walk(filter);
      let next = walk.next();
      for (; next.done !== true && topics.length < limit; next = walk.next()) topics.push(next.value.topic);
      for (const name of topics) ports.retained.clear(name);
      changed({ object: `retained ${filter}`, after: { cleared: topics.length } });
      return { cleared: topics.length, more: next.done !== true };
    },
  }),
];
