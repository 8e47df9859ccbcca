/** One address for each question that a load balancer, a monitor or an operator asks: 200 for yes, 503 for no. */

import { Type } from "@sinclair/typebox";
import { DURATION_PATTERN, parseDuration } from "../../lib/units.ts";
import { Check } from "../answers/node.ts";
import type { HealthPort, ReadyCheck } from "../ports.ts";
import { Refused } from "../problem.ts";
import { type Asked, route } from "../route.ts";

const WITHIN = "14d";
const within = Type.Optional(
  Type.String({
    pattern: DURATION_PATTERN,
    maxLength: 20,
    description: "How long certificates must still be good for: 14d, 12h.",
    default: WITHIN,
  }),
);

const answered = (check: ReadyCheck): ReadyCheck => {
  if (check.ok) return check;
  throw new Refused("unavailable", check.detail ?? `${check.name} is not well`, { check: check.name });
};

const lengthOf = ({ query }: Pick<Asked, "query">): number =>
  parseDuration((query as { readonly within?: string }).within ?? WITHIN) ?? 0;

async function all(health: HealthPort, length: number): Promise<readonly ReadyCheck[]> {
  return Promise.all(health.questions().map((question) => health.answer(question, length)));
}

export const healthRoutes = [
  route({
    method: "GET",
    path: "/health",
    role: "viewer",
    tag: "health",
    summary: "Every health question with its answer",
    query: Type.Object({ within }),
    answer: Type.Array(Check),
    example: { query: { within: "30d" } },
    handle: (asked) => all(asked.ports.health, lengthOf(asked)),
  }),
  route({
    method: "GET",
    path: "/health/{question}",
    role: "viewer",
    tag: "health",
    summary: "One health question: 200 for yes, 503 for no",
    description:
      "Questions: listeners, store, file-descriptors, disk, event-loop, certificates (of which `within` says how long they must still be good for).",
    params: Type.Object({ question: Type.String({ description: "Name of the question." }) }),
    query: Type.Object({ within }),
    answer: Check,
    example: { path: { question: "store" } },
    refusals: [{ code: "not-found", path: { question: "weather" } }],
    handle: async (asked) => {
      const { ports, path } = asked;
      if (!ports.health.questions().includes(path.question)) {
        throw new Refused("not-found", `questions are: ${ports.health.questions().join(", ")}`);
      }
      return answered(await ports.health.answer(path.question, lengthOf(asked)));
    },
  }),
  route({
    method: "GET",
    path: "/health/ports/{port}",
    role: "viewer",
    tag: "health",
    summary: "Whether a listener is open on a port",
    params: Type.Object({ port: Type.Integer({ minimum: 1, maximum: 65_535, description: "The port." }) }),
    answer: Check,
    example: { path: { port: "1883" } },
    handle: ({ ports, path: { port } }) =>
      answered({
        name: `port ${port}`,
        ok: ports.health.listensOn(port),
        detail: `port ${port} is not open`,
      }),
  }),
  route({
    method: "GET",
    path: "/health/protocols/{protocol}",
    role: "viewer",
    tag: "health",
    summary: "Whether a listener is open for a gateway",
    params: Type.Object({ protocol: Type.String({ description: "Name of the gateway: mqtt, coap." }) }),
    answer: Check,
    example: { path: { protocol: "mqtt" } },
    refusals: [{ code: "unavailable", path: { protocol: "none" } }],
    handle: ({ ports, path: { protocol } }) =>
      answered({
        name: `protocol ${protocol}`,
        ok: ports.health.speaks(protocol),
        detail: "no listener of this gateway is open",
      }),
  }),
];
