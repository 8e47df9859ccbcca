/** Every example of docs/rules.md, and of the pages of connectors. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadText } from "#core/config/load.ts";
import { KINDS } from "#core/connect/kinds.ts";
import { MODULES } from "#core/modules.ts";
import { FUNCTIONS } from "#core/rules/functions/functions.ts";
import { select } from "./run.ts";

const page = (name: string): string =>
  readFileSync(new URL(`../../../docs/${name}.md`, import.meta.url), "utf8");
const RULES = page("rules");
const EXAMPLES = [
  ...RULES.matchAll(/```sql\n([\s\S]*?)```\n```json\n([\s\S]*?)```\n```json\n([\s\S]*?)```/g),
];

describe("the guide to rules", () => {
  it.each(
    EXAMPLES.map(([, sql = "", payload = "", outputs = ""]) => [sql.trim(), payload, outputs] as const),
  )("%s", (sql, payload, outputs) => {
    const given: unknown = JSON.parse(payload);
    const said = { clientId: "c_steve", payload: typeof given === "string" ? given : (given as object) };
    expect(select(sql, said)).toEqual(JSON.parse(outputs));
  });

  it("has a payload and outputs for every statement", () => {
    expect(EXAMPLES.length).toBe([...RULES.matchAll(/^```sql$/gm)].length);
  });

  it("has configurations that can be loaded", () => {
    for (const text of [RULES, ...KINDS.map(({ kind }) => page(`connectors/${kind}`))])
      for (const [, yaml = ""] of text.matchAll(/```yaml.*\n([\s\S]*?)```/g))
        expect(() => loadText(MODULES, JSON.stringify(parse(yaml)))).not.toThrow();
  });

  it("leads to a page of every kind of connector", () => {
    const index = page("connectors");
    const missing = KINDS.filter(({ kind }) => !index.includes(`[\`${kind}\`](connectors/${kind}.md)`));
    expect(missing.map(({ kind }) => kind)).toEqual([]);
  });

  it("names every function", () => {
    const missing = Object.keys(FUNCTIONS).filter((name) => !new RegExp(`\\b${name}\\b`).test(RULES));
    // A spelling of EMQX's manual, and three that are others under another name.
    expect(missing).toEqual(["str_utf8", "sprintf_s", "byteszie"]);
  });
});
