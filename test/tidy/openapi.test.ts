import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { openApiDocument, operationId } from "#core/api/openapi.ts";
import { ROUTES } from "#core/api/routes.ts";

const document = openApiDocument(ROUTES, "0");

test("src/api/openapi.json is what the declarations say; `npm run config:generate` writes it", async () => {
  await expect(`${JSON.stringify(document, undefined, 2)}\n`).toMatchFileSnapshot(
    "../../src/api/openapi.json",
  );
});

test("no two routes have one name or one address, and every parameter of a path is declared", () => {
  const ids = ROUTES.map(operationId);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  for (const { path, params } of ROUTES) {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect([path, Object.keys(params?.properties ?? {})]).toEqual([path, names]);
  }
});

test("every schema of the document is JSON Schema 2020-12, as OpenAPI 3.1 asks (§4.8.24)", () => {
  const ajv = new Ajv2020({ strict: false });
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key === "schema" && !("$ref" in inner)) expect(ajv.validateSchema(inner)).toBe(true);
      walk(inner);
    }
  };
  walk(document);
});

test("every field of a query and of a body is described", () => {
  const bare: string[] = [];
  for (const { path, query, params } of ROUTES) {
    for (const [name, schema] of Object.entries({ ...query?.properties, ...params?.properties })) {
      if (schema["description"] === undefined) bare.push(`${path} ${name}`);
    }
  }
  expect(bare).toEqual([]);
});
