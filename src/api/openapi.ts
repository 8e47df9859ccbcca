/** The OpenAPI 3.1 document of the API, from the declarations that also check its requests. */
import type { TSchema } from "@sinclair/typebox";
import { ROLE_MEANINGS } from "./access/principal.ts";
import { jsonSchemaOf } from "./check-request.ts";
import { PROBLEM_JSON, PROBLEMS, type ProblemCode } from "./problem.ts";
import type { ExampleRequest, Route } from "./route.ts";

type Json = Readonly<Record<string, unknown>>;

const PROBLEM_SCHEMA: Json = {
  type: "object",
  description: "A problem detail (RFC 9457).",
  required: ["type", "title", "status", "code"],
  properties: {
    type: { type: "string", description: "Address of the description of this kind of problem." },
    title: { type: "string" },
    status: { type: "integer" },
    code: { type: "string", enum: Object.keys(PROBLEMS) },
    detail: { type: "string", description: "What is wrong, for people." },
    errors: {
      type: "array",
      description: "Each field that is wrong.",
      items: {
        type: "object",
        required: ["in", "field", "detail"],
        properties: {
          in: { type: "string", enum: ["path", "query", "body", "header"] },
          field: { type: "string", description: "JSON pointer into the body, or name of a parameter." },
          value: { description: "As given, shortened." },
          detail: { type: "string" },
          fix: { type: "string", description: "What is allowed." },
        },
      },
    },
  },
};

const exampleValue = (example: ExampleRequest | undefined, part: "path" | "query", name: string): Json => {
  const value = example?.[part]?.[name];
  return value === undefined ? {} : { example: value };
};

function parameters({ params, query, example }: Route): readonly Json[] {
  const of = (schema: TSchema | undefined, part: "path" | "query"): readonly Json[] => {
    if (schema === undefined) return [];
    const { properties = {}, required = [] } = jsonSchemaOf(schema);
    return Object.entries(properties).map(([name, { description, ...inner }]) => ({
      name,
      in: part,
      required: part === "path" || required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: inner,
      ...exampleValue(example, part, name),
    }));
  };
  return [...of(params, "path"), ...of(query, "query")];
}

function requestBody({ body, bodyOptional = false, bodyTypes = [], example }: Route): Json {
  if (body === undefined && bodyTypes.length === 0) return {};
  const json =
    body === undefined
      ? {}
      : {
          "application/json": {
            schema: jsonSchemaOf(body),
            ...(example?.body === undefined ? {} : { example: example.body }),
          },
        };
  const others = Object.fromEntries(bodyTypes.map((type) => [type, { schema: { type: "string" } }]));
  return { requestBody: { required: !bodyOptional, content: { ...json, ...others } } };
}

const problemAnswer = (codes: readonly ProblemCode[]): Json => ({
  description: codes.map((code) => `${code}: ${PROBLEMS[code][1]}`).join(" "),
  content: { [PROBLEM_JSON]: { schema: { $ref: "#/components/schemas/Problem" } } },
});

/** The refusals that a route can give, by status. */
export function refusalsOf(route: Route): ReadonlyMap<number, readonly ProblemCode[]> {
  const codes = new Set<ProblemCode>(["invalid-request", ...(route.refusals ?? []).map(({ code }) => code)]);
  if (route.role !== "anybody") for (const code of ["unauthenticated", "forbidden"] as const) codes.add(code);
  if (route.body !== undefined || route.bodyTypes !== undefined) {
    for (const code of ["malformed-json", "too-large", "unsupported-media-type"] as const) codes.add(code);
  }
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const [status] = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return byStatus;
}

function responses(route: Route): Json {
  const { answer, answerType = "application/json", otherAnswers = {} } = route;
  const hasBody = answer !== undefined || route.answerType !== undefined;
  const status = route.status ?? (hasBody ? 200 : 204);
  const schema = answer === undefined ? { type: "string" } : jsonSchemaOf(answer);
  const described = (text: string, content: Json | undefined): Json => ({
    description: text,
    ...(content === undefined ? {} : { content }),
  });
  const found: Record<string, unknown> = {
    [status]: described(hasBody ? "As asked." : "Done.", hasBody ? { [answerType]: { schema } } : undefined),
  };
  for (const [other, { description, schema }] of Object.entries(otherAnswers)) {
    const content =
      schema === undefined ? undefined : { "application/json": { schema: jsonSchemaOf(schema) } };
    found[other] = described(description, content);
  }
  for (const [refused, codes] of refusalsOf(route)) found[refused] ??= problemAnswer(codes);
  return found;
}

/** `GET /clients/{id}` is `getClientsId`. */
export const operationId = ({ method, path }: Pick<Route, "method" | "path">): string =>
  method.toLowerCase() +
  path
    .split(/[^A-Za-z0-9]+/)
    .filter(Boolean)
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join("");

function operation(route: Route): Json {
  const { role, tag, summary, description } = route;
  const parts = parameters(route);
  const rights =
    role === "anybody" ? "For anybody." : role === "known" ? "Needs any role." : `Needs the role ${role}.`;
  return {
    operationId: operationId(route),
    tags: [tag],
    summary,
    description: description === undefined ? rights : `${description} ${rights}`,
    ...(role === "anybody" ? { security: [] } : {}),
    ...(parts.length === 0 ? {} : { parameters: parts }),
    ...requestBody(route),
    responses: responses(route),
  };
}

export function openApiDocument(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const address = `/api/v1${route.path}`;
    paths[address] = { ...paths[address], [route.method.toLowerCase()]: operation(route) };
  }
  const roles = Object.entries(ROLE_MEANINGS).map(([role, meaning]) => `${role} ${meaning}`);
  return {
    openapi: "3.1.0",
    info: {
      title: "Isthmus",
      version,
      description: `Steering a gateway. Roles: ${roles.join("; ")}.`,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    security: [{ basic: [] }, { bearer: [] }, { session: [] }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: { Problem: PROBLEM_SCHEMA },
      securitySchemes: {
        basic: { type: "http", scheme: "basic", description: "The id of an API key and its secret." },
        bearer: { type: "http", scheme: "bearer", description: "An API key: id.secret." },
        session: {
          type: "apiKey",
          in: "cookie",
          name: "isthmus_session",
          description: "Of who has signed in; changes need the header x-csrf-token as well.",
        },
      },
    },
  };
}
