/**
 * Holds schema, default configuration and documentation together. `npm run config:generate`
 * (`vitest run -u` on this file) writes both files anew after a schema has changed.
 */
import { describe, expect, it } from "vitest";
import { annotatedDefaults, SCHEMA_PATH, schemaFile } from "#core/config/annotate.ts";
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

  it("has a committed annotated default file that is the one in force", async () => {
    await expect(text).toMatchFileSnapshot(DEFAULT_FILE);
  });

  it("has a committed page of settings in the guide that is the one in force", async () => {
    const restartOf = (name: string) => MODULES.find((module) => module.name === name)?.restart;
    await expect(settingsPage(schema, restartOf)).toMatchFileSnapshot("../../docs/settings.md");
  });

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
