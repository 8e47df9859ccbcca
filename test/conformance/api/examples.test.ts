/** Every example of the API's document, asked of a gateway, and its answers checked against the declared schemas. */
import type { TSchema } from "@sinclair/typebox";
import { Ajv } from "ajv";
import formats from "ajv-formats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonSchemaOf } from "#core/api/check-request.ts";
import { ROUTES } from "#core/api/routes.ts";
import { addressOf, startApi, type TestApi } from "../../support/api.ts";

let api: TestApi;
const ajv = new Ajv({ strict: false, allErrors: true });
formats.default(ajv, ["date-time"]);

beforeAll(async () => {
  api = await startApi({ authentication: { chain: [{ kind: "user-list" }, { kind: "client-id-list" }] } });
});
afterAll(() => api.stop());

function problemsOf(schema: TSchema, value: unknown): unknown {
  const check = ajv.compile(jsonSchemaOf(schema));
  return check(value) ? [] : check.errors;
}

/** What has to be there for an example to find it. */
const PREPARATION: Readonly<Record<string, () => Promise<unknown>>> = {
  "/retained/{topic}": () =>
    api.ask("POST", "/api/v1/publish", { body: { topic: "room/7/temp", payload: "21.5", retain: true } }),
  "/health/ports/{port}": async () => undefined,
};

const SKIPPED = new Set(["/subscribe", "/health/ports/{port}"]);
const documented = ROUTES.filter(({ example, path }) => example !== undefined && !SKIPPED.has(path));

describe("every example", () => {
  test.each(documented.map((route) => [`${route.method} ${route.path}`, route] as const))(
    "%s",
    async (_name, route) => {
      await PREPARATION[route.path]?.();
      const { example = {}, answer, status } = route;
      const reply = await api.ask(route.method, addressOf(route, example), {
        ...(example.body === undefined ? {} : { body: example.body }),
      });
      expect([reply.status, reply.body]).toEqual([
        status ?? (answer === undefined && route.answerType === undefined ? 204 : 200),
        expect.anything(),
      ]);
      if (answer !== undefined) expect(problemsOf(answer, reply.body)).toEqual([]);
      expect(Number(reply.headers.get("isthmus-time"))).toBeGreaterThan(0);
      expect(reply.headers.get("cache-control")).toBe("no-store");
      expect(reply.headers.get("content-security-policy")).toContain("default-src 'none'");
    },
  );
});
