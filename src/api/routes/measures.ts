/** What is measured of single topics and subscriptions. */

import { Type } from "@sinclair/typebox";
import { RATE_SECONDS, type TopicMetric, WAYS } from "../../operate/topic-metrics.ts";
import { Changed } from "../answers/config.ts";
import { time } from "../answers/parts.ts";
import { changeConfig } from "../change-config.ts";
import { listQuery, pageOf, pageOfArray, sortQuery } from "../lists.ts";
import { Refused } from "../problem.ts";
import { type Asked, route } from "../route.ts";
import { named, nameIn, timeText } from "../schemas.ts";

const KEY = "topicMetrics";

const byQos = (of: typeof Type.Integer | typeof Type.Number, description: string) =>
  Type.Object(Object.fromEntries(WAYS.map((way) => [way, Type.Array(of(), { minItems: 3, maxItems: 3 })])), {
    description: `${description}, each at QoS 0, 1 and 2.`,
  });

const Metric = Type.Object({
  filter: Type.String(),
  since: time("Since when it is counted."),
  messages: byQos(
    Type.Integer,
    "Messages that came to the bus (in), were handed to a client (out), or were dropped by a client's queue (dropped)",
  ),
  rates: byQos(Type.Number, `Messages a second in the last ${RATE_SECONDS} s`),
});

const Slow = Type.Object({
  gateway: Type.String(),
  clientId: Type.String(),
  topic: Type.String({ description: "As on the bus." }),
  longest: Type.Integer({ description: "Milliseconds of the longest delay since it is in this list." }),
  last: Type.Integer({ description: "Milliseconds of the last one over the threshold." }),
  times: Type.Integer({ description: "Deliveries over the threshold." }),
  at: time("When the last of them was."),
});

const filter = named("filter", "The topic filter.");
const of = { params: filter.params, query: Type.Object(filter.query), tag: "topics" } as const;
const room = { path: { filter: "room/+/temp" } };
const none = { code: "not-found", path: { filter: "no/such" } } as const;

const rowOf = ({ since, ...metric }: TopicMetric) => ({ ...metric, since: timeText(since) });

/** Throws `Refused` where it is not counted. */
function found({ ports, path, query }: Pick<Asked, "ports" | "path" | "query">): TopicMetric {
  const metric = ports.measures.topics.get(nameIn("filter", path, query));
  if (metric === undefined) throw new Refused("not-found", "messages of this filter are not counted");
  return metric;
}

const filtersOf = ({ ports }: Pick<Asked, "ports">): string[] =>
  ports.measures.topics.all.map((one) => one.filter);

export const measureRoutes = [
  route({
    ...of,
    method: "PUT",
    path: "/topic-metrics/{filter}",
    role: "operator",
    summary: "Count the messages of a topic filter from now on",
    description: `Changes \`${KEY}\` of the configuration, which keeps it over a restart; 100 filters at most.`,
    answer: Changed,
    example: room,
    refusals: [{ code: "invalid-request", path: { filter: "a/#/b" } }],
    handle: (asked) => {
      const name = nameIn("filter", asked.path, asked.query);
      const value = [...new Set([...filtersOf(asked), name])];
      return changeConfig(asked, { set: [KEY], value }, { object: `topic metric ${name}` });
    },
  }),
  route({
    method: "GET",
    path: "/topic-metrics",
    role: "viewer",
    tag: "topics",
    summary: "Messages of the topic filters that are counted",
    query: Type.Object({ ...listQuery, sort: sortQuery(["filter", "since"]) }),
    answer: pageOf(Metric),
    example: {},
    handle: ({ ports, query }) => pageOfArray(ports.measures.topics.all.map(rowOf), query),
  }),
  route({
    ...of,
    method: "GET",
    path: "/topic-metrics/{filter}",
    role: "viewer",
    summary: "Messages of one topic filter",
    answer: Metric,
    example: room,
    refusals: [none],
    handle: (asked) => rowOf(found(asked)),
  }),
  route({
    ...of,
    method: "POST",
    path: "/topic-metrics/{filter}/reset",
    role: "operator",
    summary: "Count the messages of a topic filter anew",
    example: room,
    refusals: [none],
    handle: (asked) => {
      const { filter } = found(asked);
      asked.ports.measures.topics.reset(filter, asked.ports.now());
      asked.changed({ object: `topic metric ${filter}` });
    },
  }),
  route({
    ...of,
    method: "DELETE",
    path: "/topic-metrics/{filter}",
    role: "operator",
    summary: "Count the messages of a topic filter no more",
    answer: Changed,
    example: room,
    refusals: [none],
    handle: (asked) => {
      const { filter } = found(asked);
      const value = filtersOf(asked).filter((one) => one !== filter);
      return changeConfig(asked, { set: [KEY], value }, { object: `topic metric ${filter}` });
    },
  }),
  route({
    method: "GET",
    path: "/slow-subscriptions",
    role: "viewer",
    tag: "topics",
    summary: "Clients that get messages of a topic late, the slowest first",
    description: "Empty unless `slowSubscriptions.enable` is true, which may be changed while it runs.",
    query: Type.Object({
      ...listQuery,
      sort: sortQuery(["clientId", "topic", "longest", "last", "times", "at"]),
    }),
    answer: pageOf(Slow),
    example: { query: { limit: 10 } },
    handle: ({ ports, query }) =>
      pageOfArray(
        ports.measures.slow.rows.map((row) => ({ ...row, at: timeText(row.at) })),
        query,
      ),
  }),
  route({
    method: "DELETE",
    path: "/slow-subscriptions",
    role: "operator",
    tag: "topics",
    summary: "Forget the list of slow subscriptions",
    example: {},
    handle: ({ ports }) => ports.measures.slow.clear(),
  }),
];
