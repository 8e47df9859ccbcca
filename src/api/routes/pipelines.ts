/** Pipelines: what they have done, and what they would make of a packet. */

import { Type } from "@sinclair/typebox";
import { PACKET_TYPES } from "../../config/pipelines-schema.ts";
import { choice } from "../../settings/kinds.ts";
import { count } from "../answers/parts.ts";
import { configured } from "../answers/rules.ts";
import { listQuery, pageOf, pageOfArray } from "../lists.ts";
import type { PipelineWish } from "../ports.ts";
import { Refused } from "../problem.ts";
import { route } from "../route.ts";
import { tested, withVersion } from "./rules.ts";

const Row = Type.Object({
  name: Type.String(),
  enable: Type.Boolean({ description: "Packets go through it." }),
  description: Type.String(),
  packetType: choice(PACKET_TYPES, { description: "Packets that it is for." }),
  gateways: Type.Optional(Type.Array(Type.String(), { description: "Absent: all." })),
  brokerMode: Type.Boolean({ description: "Subscribers here are given what passes." }),
  filters: Type.Array(
    Type.Object({
      name: Type.String(),
      kind: Type.String(),
      passed: count("Packets that it let pass."),
      results: Type.Record(Type.String(), count("How often."), { description: "What else it came to." }),
    }),
  ),
});

const Test = Type.Object({
  pipeline: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), { description: "As in the configuration." }),
  ),
  packet: Type.Object(
    {
      topic: Type.Optional(Type.String({ description: "Topic, or topic filter of a SUBSCRIBE." })),
      payload: Type.Optional(Type.Unknown({ description: "A text, or JSON." })),
      qos: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 })),
      retain: Type.Optional(Type.Boolean()),
      gateway: Type.Optional(Type.String({ description: "mqtt where nothing is said." })),
      clientid: Type.Optional(Type.String({ description: "test where nothing is said." })),
      username: Type.Optional(Type.String()),
      password: Type.Optional(Type.String()),
      peerhost: Type.Optional(Type.String({ description: "Its address." })),
      reason: Type.Optional(Type.String({ description: "Of a DISCONNECT." })),
    },
    { description: "What comes, of the type that the pipeline is for." },
  ),
});

const Tested = Type.Object({
  outcome: choice(["passed", "refused"], { description: "What the client would be told." }),
  refusal: Type.Optional(Type.String({ description: "How: forbidden, quota." })),
  reason: Type.Optional(Type.String({ description: "Why." })),
  delivered: Type.Boolean({ description: "Subscribers here would be given it." }),
  filters: Type.Array(Type.Object({ filter: Type.String(), result: Type.String() }), {
    description: "Those that were asked, in their order, and what each came to.",
  }),
  keys: Type.Record(Type.String(), Type.Unknown(), { description: "What filters made for those behind." }),
  sends: Type.Array(Type.Object({ connector: Type.String(), parameters: Type.Unknown() }), {
    description: "What connectors would be given. Nothing is.",
  }),
});

const pipelineName = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 64, description: "Of the pipeline." }),
});

const MAPPING = {
  packetType: "Publish",
  filters: [
    {
      ...{ name: "map", kind: "TopicMapper", matchIndex: 0, route: [{ name: "all", matchExpr: ".*" }] },
      policies: [
        { name: "all", topicIndex: 1, route: [{ topic: "readings", exprs: [".*"] }], headers: { 0: "site" } },
      ],
    },
  ],
};

const unknown = (name: string): Refused => new Refused("not-found", `there is no pipeline ${name}`);

export const pipelineRoutes = [
  route({
    method: "GET",
    path: "/pipelines",
    role: "viewer",
    tag: "rules",
    summary: "All pipelines in their order, and what their filters came to",
    query: Type.Object(listQuery),
    answer: pageOf(Row),
    example: {},
    handle: ({ ports: { pipelines }, query }) => pageOfArray(pipelines.pipelines(), query),
  }),
  route({
    method: "GET",
    path: "/pipelines/{name}",
    role: "viewer",
    tag: "rules",
    summary: "One pipeline, and how it is configured",
    params: pipelineName,
    answer: Type.Object({ ...Row.properties, ...configured }),
    refusals: [{ code: "not-found", path: { name: "no-such-pipeline" } }],
    handle: ({ ports: { pipelines, config }, path }) => {
      const found = pipelines.pipelines().find(({ name }) => name === path.name);
      if (found === undefined) throw unknown(path.name);
      return withVersion({ ...found, ...config.section(["pipelines", path.name]) }, config);
    },
  }),
  route({
    method: "POST",
    path: "/pipelines/test",
    role: "operator",
    tag: "rules",
    summary: "What a pipeline would make of a packet; nothing is sent",
    audited: false,
    body: Test,
    answer: Tested,
    example: { body: { pipeline: MAPPING, packet: { topic: "hall/7", payload: { t: 21 } } } },
    refusals: [{ code: "invalid-request", body: { pipeline: { packetType: "Ping" }, packet: {} } }],
    handle: ({ ports: { pipelines }, body }) => tested(pipelines.test(undefined, body as PipelineWish)),
  }),
  route({
    method: "POST",
    path: "/pipelines/{name}/test",
    role: "operator",
    tag: "rules",
    summary: "What a pipeline that is there would make of a packet; nothing is sent",
    description: "Its limits are asked as if this were the first packet.",
    audited: false,
    params: pipelineName,
    body: Type.Object({ packet: Test.properties.packet }),
    answer: Tested,
    refusals: [{ code: "not-found", path: { name: "no-such-pipeline" }, body: { packet: {} } }],
    handle: ({ ports: { pipelines }, path, body }) => {
      const answer = pipelines.test(path.name, body as PipelineWish);
      if (answer === undefined) throw unknown(path.name);
      return tested(answer);
    },
  }),
];
