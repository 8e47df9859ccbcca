/** Every route that is declared, asked by everybody and with what it must refuse; and every example, which must work. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { allows } from "#core/api/access/principal.ts";
import { PROBLEMS } from "#core/api/problem.ts";
import type { Route } from "#core/api/route.ts";
import { ROUTES } from "#core/api/routes.ts";
import { API_DEFAULTS, addressOf, askAt, ROLE_NAMES, startApi, type TestApi } from "../../support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ authentication: { chain: [{ kind: "user-list" }, { kind: "client-id-list" }] } });
});
afterAll(() => api.stop());
beforeEach(() => api.ports.access.attempts.succeeded(undefined, "127.0.0.1"));

/** As it is declared, with a body where one is taken: who may not ask is refused before anything of it is looked at. */
const askFor = (route: Route, key: string | undefined) =>
  askAt(api.base, route.method, addressOf(route, route.example ?? {}), {
    key,
    ...(route.body === undefined ? {} : { body: {} }),
  });

const nameOf = ({ method, path }: Route): string => `${method} ${path}`;

describe.each(
  ROUTES.filter(({ role }) => role !== "anybody").map((route) => [nameOf(route), route] as const),
)("%s", (_name, route) => {
  test("without credentials is 401 and says which are taken (RFC 9110 §11.6.1)", async () => {
    const reply = await askFor(route, undefined);
    expect(reply.status).toBe(401);
    expect(reply.body.code).toBe("unauthenticated");
    expect(reply.headers.get("www-authenticate")).toContain("Basic");
  });

  test("with every role that may not is 403, and says which is needed", async () => {
    for (const role of ROLE_NAMES) {
      if (allows(role, route.role)) continue;
      const reply = await askFor(route, api.keys[role]);
      expect([role, reply.status]).toEqual([role, 403]);
      expect(reply.body).toMatchObject({ code: "forbidden", needs: route.role, has: role });
    }
  });
});

describe.each(ROUTES.map((route) => [nameOf(route), route] as const))("%s", (_name, route) => {
  test("with a query that it does not know is 400, and names it", async () => {
    const address = addressOf(route, route.example ?? {});
    const reply = await api.ask(route.method, `${address}${address.includes("?") ? "&" : "?"}nonsense=1`, {
      ...(route.body === undefined ? {} : { body: route.example?.body ?? {} }),
    });
    expect(reply.status).toBe(400);
    expect(reply.headers.get("content-type")).toBe("application/problem+json");
    expect(reply.body.errors).toContainEqual(expect.objectContaining({ in: "query", field: "nonsense" }));
  });

  for (const refusal of route.refusals ?? []) {
    test(`is ${refusal.code} for ${JSON.stringify({ ...refusal, code: undefined })}`, async () => {
      const reply = await api.ask(route.method, addressOf(route, refusal), {
        ...(refusal.body === undefined ? {} : { body: refusal.body }),
      });
      expect([reply.status, reply.body.code]).toEqual([PROBLEMS[refusal.code][0], refusal.code]);
      expect(reply.body.detail).not.toBe("");
    });
  }
});

describe.each(
  ROUTES.filter(({ body }) => body !== undefined).map((route) => [nameOf(route), route] as const),
)("%s", (_name, route) => {
  test("with a body of the wrong type, or none, is 400", async () => {
    const address = addressOf(route, route.example ?? {});
    const wrong = await api.ask(route.method, address, { body: '"a text"' });
    expect([wrong.status, wrong.body.code]).toEqual([400, "invalid-request"]);
    const broken = await api.ask(route.method, address, { body: "{" });
    expect([broken.status, broken.body.code]).toEqual([400, "malformed-json"]);
    const other = await api.ask(route.method, address, {
      body: "<x/>",
      headers: { "content-type": "text/xml" },
    });
    expect([other.status, other.body.code]).toEqual([415, "unsupported-media-type"]);
  });

  test("with a body over the limit is 413", async () => {
    const large = await api.ask(route.method, addressOf(route, route.example ?? {}), {
      body: `"${"x".repeat(Math.max(route.bodyMax ?? 0, 2 * 1024 * 1024) + API_DEFAULTS.bodyMax)}"`,
    });
    expect([large.status, large.body.code]).toEqual([413, "too-large"]);
  });
});

interface Field {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly minLength?: number;
  readonly minimum?: number;
}

const WORDS = ["string", "integer", "number", "boolean"];

/** Something that a field takes. */
function valueFor({ type, enum: words, minLength = 1, minimum = 1 }: Field): unknown {
  if (words !== undefined) return words[0];
  if (type === "string") return "x".repeat(minLength);
  if (type === "array") return [];
  return type === "object" ? {} : minimum;
}

/** The example, and whatever else a body must have: what is missing is said before what is wrong. */
function bodyOf({ body, example }: Route): object {
  const fields = body!["properties"] as Readonly<Record<string, Field>>;
  const required = (body!["required"] ?? []) as readonly string[];
  const least = Object.fromEntries(required.map((name) => [name, valueFor(fields[name]!)]));
  return { ...least, ...(example?.body as object | undefined) };
}

describe.each(
  ROUTES.filter(
    ({ body }) => body?.["properties"] !== undefined && body["additionalProperties"] !== true,
  ).map((route) => [nameOf(route), route] as const),
)("%s", (_name, route) => {
  const send = (fields: object) =>
    api.ask(route.method, addressOf(route, route.example ?? {}), { body: { ...bodyOf(route), ...fields } });

  test("with a field that it does not know is 400, and names it", async () => {
    const { status, body } = await send({ nonsense: 1 });
    expect([status, body.code]).toEqual([400, "invalid-request"]);
    expect(body.errors).toContainEqual(expect.objectContaining({ in: "body", field: "/nonsense" }));
  });

  test("with a field of the wrong type is 400, and names it", async () => {
    const fields = Object.entries(route.body!["properties"] as Readonly<Record<string, Field>>);
    for (const [field] of fields.filter(([, { type = "" }]) => WORDS.includes(type))) {
      const { status, body } = await send({ [field]: [["x"]] });
      expect([field, status, body.code]).toEqual([field, 400, "invalid-request"]);
      expect(body.errors).toContainEqual(expect.objectContaining({ in: "body", field: `/${field}` }));
    }
  });
});

test("each route that answers `not-found` names a request that leads there", () => {
  const careless = ROUTES.filter(
    ({ path, refusals = [] }) =>
      path.includes("{") && !refusals.some(({ code }) => code === "not-found" || code === "unavailable"),
  );
  // A port is open or not: there is none that is unknown. And a PUT may make what is not there.
  expect(careless.map(nameOf).sort()).toEqual([
    "GET /health/ports/{port}",
    "PUT /connectors/{name}",
    "PUT /pipelines/{name}",
    "PUT /rules/{id}",
    "PUT /topic-metrics/{filter}",
    "PUT /upstream/routes/{id}",
  ]);
});
