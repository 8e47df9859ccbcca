/** Rules and connectors: what they do, and what a rule would do. */

import { type Static, Type } from "@sinclair/typebox";
import { Connector, OneConnector, OneRule, Rule, Tested } from "../answers/rules.ts";
import { listQuery, pageOf, pageOfArray } from "../lists.ts";
import type { ConfigPort } from "../ports.ts";
import { Refused, wrongField } from "../problem.ts";
import { Answer, route } from "../route.ts";

const Test = Type.Object({
  sql: Type.Optional(
    Type.String({ minLength: 1, maxLength: 65_536, description: "The statement; absent: the rule's own." }),
  ),
  actions: Type.Optional(
    Type.Array(Type.Record(Type.String(), Type.Unknown()), {
      maxItems: 100,
      description: "As in the configuration; absent: none, or the rule's own. Nothing is done.",
    }),
  ),
  event: Type.Optional(
    Type.String({
      maxLength: 64,
      description: "Which event, as client_connected.",
      default: "message_publish",
    }),
  ),
  fields: Type.Record(Type.String(), Type.Unknown(), {
    description: "What the event has: topic, payload (a text, or JSON), clientid, username, qos.",
  }),
});
type Test = Static<typeof Test>;

const ruleId = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64, description: "Of the rule." }) });

const connectorName = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 64, description: "Of the connector." }),
});

/** For whoever changes it and wants nobody to be faster. */
export const withVersion = (found: object, { version }: ConfigPort): Answer =>
  new Answer(200, found, { etag: version });

/** What came of a try; throws where the wish was wrong. */
export function tested(test: object): unknown {
  if (!("field" in test)) return test;
  const { field, refusal } = test as { readonly field: string; readonly refusal: string };
  throw wrongField({ in: "body", field, detail: refusal });
}

export const ruleRoutes = [
  route({
    method: "GET",
    path: "/rules",
    role: "viewer",
    tag: "rules",
    summary: "All rules, and what they have done",
    query: Type.Object(listQuery),
    answer: pageOf(Rule),
    example: {},
    handle: ({ ports: { rules }, query }) => pageOfArray(rules.rules(), query),
  }),
  route({
    method: "GET",
    path: "/rules/{id}",
    role: "viewer",
    tag: "rules",
    summary: "One rule, and how it is configured",
    params: ruleId,
    answer: OneRule,
    refusals: [{ code: "not-found", path: { id: "no-such-rule" } }],
    handle: ({ ports: { rules, config }, path }) => {
      const found = rules.rules().find(({ id }) => id === path.id);
      if (found === undefined) throw new Refused("not-found", `there is no rule ${path.id}`);
      return withVersion({ ...found, ...config.section(["rules", path.id]) }, config);
    },
  }),
  route({
    method: "POST",
    path: "/rules/test",
    role: "operator",
    tag: "rules",
    summary: "What a statement and actions would make of an event; nothing is done",
    audited: false,
    body: Test,
    answer: Tested,
    example: {
      body: {
        sql: 'SELECT payload.t AS t FROM "sensors/#" WHERE payload.t > 30',
        fields: { topic: "sensors/1", payload: { t: 31.5 } },
      },
    },
    refusals: [{ code: "invalid-request", body: { sql: "SELECT", fields: {} } }],
    handle: ({ ports: { rules }, body }) => tested(rules.test(undefined, body as Test)),
  }),
  route({
    method: "POST",
    path: "/rules/{id}/test",
    role: "operator",
    tag: "rules",
    summary: "What a rule would make of an event; nothing is done",
    audited: false,
    params: ruleId,
    body: Test,
    answer: Tested,
    refusals: [{ code: "not-found", path: { id: "no-such-rule" }, body: { fields: {} } }],
    handle: ({ ports: { rules }, path, body }) => {
      const answer = rules.test(path.id, body as Test);
      if (answer === undefined) throw new Refused("not-found", `there is no rule ${path.id}`);
      return tested(answer);
    },
  }),
  route({
    method: "GET",
    path: "/connectors",
    role: "viewer",
    tag: "rules",
    summary: "All connectors: whether their sinks are there, what waits and what has become of all",
    query: Type.Object(listQuery),
    answer: pageOf(Connector),
    example: {},
    handle: ({ ports: { rules }, query }) => pageOfArray(rules.connectors(), query),
  }),
  route({
    method: "GET",
    path: "/connectors/{name}",
    role: "viewer",
    tag: "rules",
    summary: "One connector, and how it is configured",
    params: connectorName,
    answer: OneConnector,
    refusals: [{ code: "not-found", path: { name: "no-such-connector" } }],
    handle: ({ ports: { rules, config }, path }) => {
      const found = rules.connectors().find(({ name }) => name === path.name);
      if (found === undefined) throw new Refused("not-found", `there is no connector ${path.name}`);
      return withVersion({ ...found, ...config.section(["connectors", path.name]) }, config);
    },
  }),
];
