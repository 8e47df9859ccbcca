/** Rules and connectors: what they do, and what a rule would do. */
import { type Static, Type } from "@sinclair/typebox";
import { choice } from "../../settings/kinds.ts";
import { listQuery, pageOf, pageOfArray } from "../lists.ts";
import type { ConfigPort } from "../ports.ts";
import { Refused, wrongField } from "../problem.ts";
import { Answer, route } from "../route.ts";
import { time } from "../schemas.ts";

/** How it is configured. */
export const configured = {
  definition: Type.Optional(
    Type.Unknown({ description: "As in the configuration, defaults filled in, secrets hidden." }),
  ),
  origin: Type.Optional(
    Type.String({
      description: "api: made here; else where it stands: a line of the file, a variable, a flag.",
    }),
  ),
};

export const count = (description: string) => Type.Integer({ minimum: 0, description });

const ActionRow = Type.Object({
  kind: Type.String(),
  to: Type.String({ description: "The connector, or the kind." }),
  matched: count("Outputs given to it."),
  success: count("Of those, what has arrived."),
  failed: count("What never will."),
  dropped: count("What found no room, or expired."),
});

const Row = Type.Object({
  id: Type.String(),
  enable: Type.Boolean(),
  description: Type.String(),
  sql: Type.String(),
  ack: choice(["store", "after_sink"], { description: "When publishers are answered." }),
  matched: count("Events that it was run for."),
  passed: count("Runs that had an output."),
  noResult: count("Runs whose conditions said no."),
  failed: count("Runs that failed."),
  loops: count("Events that it was not run for, because they came from it."),
  rate: Type.Object(
    {
      current: Type.Number({ description: "In the last ten seconds that are over." }),
      max: Type.Number({ description: "The most so far." }),
      last5m: Type.Number({ description: "In five minutes." }),
    },
    { description: "Runs a second." },
  ),
  actions: Type.Array(ActionRow),
});
const OneRule = Type.Object({ ...Row.properties, ...configured });

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

const Tested = Type.Object({
  outputs: Type.Array(Type.Unknown(), { description: "None: the conditions say no." }),
  actions: Type.Array(
    Type.Object({
      kind: Type.String(),
      to: Type.String(),
      parameters: Type.Array(Type.Unknown(), { description: "What each output would lead to." }),
    }),
  ),
  failure: Type.Optional(Type.String({ description: "Why the run failed." })),
});

const ConnectorRow = Type.Object({
  name: Type.String(),
  kind: Type.String(),
  enable: Type.Boolean({ description: "It is given what waits for it." }),
  state: choice(["connecting", "connected", "disconnected", "stopped"], {
    description: "connecting: nothing is known yet.",
  }),
  reason: Type.Optional(Type.String({ description: "Why it is disconnected." })),
  tookMilliseconds: Type.Optional(count("How long the sink took to acknowledge the last batch.")),
  lastFailure: Type.Optional(
    Type.Object(
      { reason: Type.String(), at: time("When.") },
      { description: "The last that failed, also when all is well again." },
    ),
  ),
  taken: count("Given to it in this life of the gateway."),
  restored: count("Waited in the store when that began."),
  success: count("Acknowledged by the sink."),
  failed: count("Dead-lettered."),
  failedRefused: count("Of failed, what the sink refuses for good."),
  failedTried: count("Of failed, what was tried as often as may be."),
  failedUnexpected: count("Of failed, what had an error that nobody has thought of."),
  failedUnread: count("Of failed, what another version has written."),
  expired: count("Expired before the sink had it."),
  full: count("Dropped because the queue was full."),
  inflight: count("With the sink."),
  queuing: count("Waits."),
  queuedBytes: count("Memory of what waits."),
  retriedSuccess: count("Of success, what needed more than one try."),
  retriedFailed: count("Of failed, what was tried more than once."),
  batches: count("Batches begun."),
  tries: count("Requests to the sink."),
  late: count("Of those, what it did not answer in time."),
  latency: Type.Number({
    minimum: 0,
    description: "Milliseconds from event to acknowledgement, of all in success together.",
  }),
});

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
    answer: pageOf(Row),
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
    answer: pageOf(ConnectorRow),
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
    answer: Type.Object({ ...ConnectorRow.properties, ...configured }),
    refusals: [{ code: "not-found", path: { name: "no-such-connector" } }],
    handle: ({ ports: { rules, config }, path }) => {
      const found = rules.connectors().find(({ name }) => name === path.name);
      if (found === undefined) throw new Refused("not-found", `there is no connector ${path.name}`);
      return withVersion({ ...found, ...config.section(["connectors", path.name]) }, config);
    },
  }),
];
