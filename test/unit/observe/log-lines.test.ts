import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { LOG_LINES, sentenceOf } from "#core/observe/log-lines.ts";

const top = new URL("../../../", import.meta.url).pathname;
const read = (path: string) => readFileSync(join(top, path), "utf8");

/** Every string of kebab-case in what the gateway runs. */
const sources = ["src", "gateways"]
  .flatMap((folder) =>
    readdirSync(join(top, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  )
  .filter(
    (name) =>
      name.endsWith(".ts") &&
      !/^src\/(dashboard|sim|testing|cli)\//.test(name) &&
      name !== "src/observe/log-lines.ts",
  )
  .map(read);

/** What is logged by its name, and what is noted by it. */
const SAID = [
  /\blog\??\.(?:info|warn|error)\(\s*"([^"]+)"/g,
  /\bevent: "([a-z0-9-]+)"/g,
  /\bnote\(\s*"([a-z0-9]+-[a-z0-9-]+)"/g,
  /\.fail\(\s*"([a-z0-9]+-[a-z0-9-]+)", [a-z]/g,
];
/** Words of ports, events of the API and of libraries. */
const TOLD_TO_OTHERS = new Set([
  ...["error", "close", "test", "address-not-available", "tls-failed", "raised", "cleared"],
]);

describe("events of the log", () => {
  it("are each in the table, wherever they are said", () => {
    const said = sources.flatMap((text) =>
      SAID.flatMap((pattern) => [...text.matchAll(pattern)].map(([, event]) => event!)),
    );
    const unknown = new Set(said.filter((event) => !(event in LOG_LINES) && !TOLD_TO_OTHERS.has(event)));
    expect(said.length).toBeGreaterThan(80);
    expect([...unknown]).toEqual([]);
  });

  it("are each said somewhere: the table has no others", () => {
    const all = sources.join("\n");
    expect(Object.keys(LOG_LINES).filter((event) => !all.includes(`"${event}"`))).toEqual([]);
  });

  it("have a row of the guide each, with the same sentence and what to do", () => {
    const rows = [...read("docs/log-lines.md").matchAll(/^\| `([^`]+)` \| (.+?) \| (.+) \|$/gm)];
    expect(Object.fromEntries(rows.map(([, event, sentence]) => [event, sentence]))).toEqual(LOG_LINES);
    for (const [, , , todo] of rows) expect(todo).toMatch(/.{3,}\.$/);
  });

  it("of a plug-in are its own words", () => {
    expect(sentenceOf("valve-stuck")).toBe("valve-stuck");
    expect(sentenceOf("toString")).toBe("toString");
    expect(sentenceOf("malformed")).toBe(LOG_LINES.malformed);
  });
});
