/**
 * Holds schema, default configuration and documentation together. `npm run config:generate`
 * (`vitest run -u` on this file) writes the files and lists of settings anew after a schema has changed.
 */
import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { annotatedDefaults, SCHEMA_PATH, schemaFile } from "#core/config/annotate.ts";
import { connectorPages, withLists } from "#core/config/connector-pages.ts";
import { loadText } from "#core/config/load.ts";
import { buildSchema } from "#core/config/schema.ts";
import { settingsPage } from "#core/config/settings-page.ts";
import { MODULES } from "#core/modules.ts";
import type { JsonSchema } from "#core/settings/json-schema.ts";

const SCHEMA_FILE = "../../src/config/isthmus.schema.json";
const DEFAULT_FILE = "../../isthmus.yaml";

interface Key {
  readonly path: string;
  readonly schema: JsonSchema;
  readonly required: boolean;
}

/** Every key that the schema knows, list items and named sections included. */
function keysOf(schema: JsonSchema, path = ""): Key[] {
  const keys: Key[] = [];
  for (const [name, of] of Object.entries(schema.properties ?? {})) {
    const required = schema.required?.includes(name) ?? false;
    const inner = path === "" ? name : `${path}.${name}`;
    keys.push({ path: inner, schema: of, required }, ...keysOf(of, inner));
  }
  for (const of of Object.values(schema.patternProperties ?? {})) keys.push(...keysOf(of, `${path}.<name>`));
  for (const of of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) keys.push(...keysOf(of, path));
  if (schema.items) keys.push(...keysOf(schema.items, `${path}[]`));
  return keys;
}

describe("the configuration", () => {
  const schema = buildSchema(MODULES);
  /** What the second test holds `isthmus.yaml` to. */
  const text = annotatedDefaults(schema);

  it("has a committed JSON Schema that is the one in force", async () => {
    await expect(schemaFile(schema)).toMatchFileSnapshot(SCHEMA_FILE);
  });

  it("says in that file once what stands in many places, and nothing else than what is in force", () => {
    const text = schemaFile(schema);
    const { $schema: _, title: __, definitions = {}, ...whole } = JSON.parse(text);
    const inPlace = (part: unknown): unknown => {
      if (Array.isArray(part)) return part.map(inPlace);
      if (typeof part !== "object" || part === null) return part;
      const { $ref } = part as { readonly $ref?: string };
      if ($ref !== undefined) return inPlace(definitions[$ref.slice("#/definitions/".length)]);
      return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, inPlace(value)]));
    };
    expect(inPlace(whole)).toEqual(JSON.parse(JSON.stringify(schema)));
    // Editors read it at each start.
    expect(text.length).toBeLessThan(500_000);
  });

  it("is accepted and refused by that file as it is by the gateway, in every section that is shared", () => {
    const check = new Ajv({ strict: false, validateFormats: false }).compile(JSON.parse(schemaFile(schema)));
    const member = { kind: "redis", concurrent: 4 };
    const chained = (chain: object) => [
      { authentication: chain },
      { gateways: { mqtt: { authentication: chain } } },
      { authentication: { chains: { indoors: chain } } },
    ];
    for (const config of chained({ chain: [member] }))
      expect(check(config), JSON.stringify(config)).toBe(true);
    for (const wrong of [{ ...member, concurrent: "x" }, { kind: "nothing" }, { ...member, misspelt: 1 }])
      for (const config of chained({ chain: [wrong] }))
        expect(check(config), JSON.stringify(config)).toBe(false);
  });

  it("has a committed annotated default file that is the one in force", async () => {
    await expect(text).toMatchFileSnapshot(DEFAULT_FILE);
  });

  it("has a committed page of settings in the guide that is the one in force", async () => {
    const restartOf = (name: string) => MODULES.find((module) => module.name === name)?.restart;
    await expect(settingsPage(schema, restartOf)).toMatchFileSnapshot("../../docs/settings.md");
  });

  it.each([...connectorPages])(
    "has the settings of the guide's page %s as they are in force",
    async (name, lists) => {
      const path = `../../docs/${name}.md`;
      const page = readFileSync(new URL(path, import.meta.url), "utf8");
      await expect(withLists(page, lists())).toMatchFileSnapshot(path);
    },
  );

  it("loads from the annotated file exactly as it loads from nothing", () => {
    expect(loadText(MODULES, text).config).toEqual(loadText(MODULES, "").config);
  });

  it("tells editors where its schema is", () => {
    expect(text.split("\n")[0]).toBe(`# yaml-language-server: $schema=${SCHEMA_PATH}`);
  });

  it("names every key in the annotated file", () => {
    const missing = keysOf(schema).filter(({ path }) => {
      const name = path.split(".").at(-1) ?? "";
      return !new RegExp(`^[ #-]*${name}:`, "m").test(text);
    });
    expect(missing.map((key) => key.path)).toEqual([]);
  });

  it("has a default for every key, or does without it; only items of lists and named sections may insist", () => {
    const demanded = keysOf(schema).filter(({ path, required }) => required && !/\[\]|<name>/.test(path));
    expect(demanded.map((key) => key.path)).toEqual([]);
  });

  it("describes every key", () => {
    const silent = keysOf(schema).filter((key) => (key.schema.description ?? "").length < 4);
    expect(silent.map((key) => key.path)).toEqual([]);
  });
});
