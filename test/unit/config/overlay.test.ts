import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { mergePatch, Overlay } from "#core/config/overlay.ts";
import { buildSchema } from "#core/config/schema.ts";
import { MODULES } from "#core/modules.ts";
import type { Tree } from "#core/settings/defaults.ts";
import { ConfigError } from "#core/settings/problem.ts";
import { fc } from "../../support/property.ts";

const FILE = "data/api/configuration.json";
const read = (text: string): Overlay => Overlay.read(text, FILE);
const schema = buildSchema(MODULES);
const config = loadText(MODULES, "").config as unknown as Tree;
const patched = (patch: Tree, overlay = Overlay.NONE): string =>
  mergePatch(overlay, schema, config, patch).text();
const loaded = (yaml: string, overlay: Overlay) =>
  loadText(MODULES, yaml, "isthmus.yaml", { file: FILE, overlay });

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "";
}

describe("what operators have changed", () => {
  it("is laid over the file key by key, and says that it comes from there", () => {
    const overlay = Overlay.NONE.with(["log", "level"], "debug");
    const { config, originOf } = loaded("log: { level: warn, format: json }", overlay);
    expect(config.log).toMatchObject({ level: "debug", format: "json" });
    expect([originOf(["log", "level"]), originOf(["log", "format"])]).toEqual(["api", "isthmus.yaml:1"]);
  });

  it("names file and key where it is wrong", () => {
    expect(refusal(() => loaded("", Overlay.NONE.with(["log", "level"], "loud")))).toMatch(
      /^data\/api\/configuration\.json: log\.level is "loud"; allowed: one of/,
    );
    expect(refusal(() => read("{"))).toContain(`${FILE}: is no JSON`);
    expect(refusal(() => read("[]"))).toContain(FILE);
    expect(refusal(() => read('{"dataFolder": "x"}'))).toContain(`${FILE}: dataFolder is not changed`);
    expect(refusal(() => read('{"rules.__proto__.sql": "x"}'))).toContain("is not a known key");
  });

  it("reads what it has written, whatever was changed in whatever order", () => {
    const key = fc.constantFrom(
      "log.level",
      "log",
      "bans.list",
      "rules.a",
      "rules.a.sql",
      "rules.b",
      "api.port",
    );
    const edit = fc.tuple(key, fc.option(fc.jsonValue({ maxDepth: 2 })));
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 12 }), (edits) => {
        let overlay = Overlay.NONE;
        for (const [at, value] of edits) {
          const path = at.split(".");
          overlay = value === null ? overlay.without(path) : overlay.with(path, value);
        }
        expect(read(overlay.text()).text()).toBe(overlay.text());
        // Nothing that an outer value has replaced is left behind.
        for (const [at, value] of edits.slice(-1))
          if (value === null) expect(overlay.touches(at.split("."))).toBe(false);
      }),
    );
  });
});

describe("a merge patch (RFC 7396)", () => {
  it("changes keys, not sections; null takes back", () => {
    const once = mergePatch(Overlay.NONE, schema, config, {
      log: { level: "debug" },
      session: { expiryMax: "1d" },
    });
    expect(JSON.parse(once.text())).toEqual({ "log.level": "debug", "session.expiryMax": "1d" });
    expect(JSON.parse(patched({ log: null }, once))).toEqual({ "session.expiryMax": "1d" });
    expect(JSON.parse(patched({ session: { expiryMax: null } }, once))).toEqual({ "log.level": "debug" });
  });

  it("replaces lists, and sections that are another kind of thing, as a whole", () => {
    expect(JSON.parse(patched({ bans: { list: [{ user: "x" }] } }))).toEqual({
      "bans.list": [{ user: "x" }],
    });
    const sink = { kind: "http", url: "http://x", headers: { "X.Y": "env:T" } };
    expect(JSON.parse(patched({ connectors: { hook: sink } }))).toEqual({ "connectors.hook": sink });
  });

  it("lays an unknown key down where it was, for the check to name it", () => {
    expect(JSON.parse(patched({ lgo: { level: 1 } }))).toEqual({ lgo: { level: 1 } });
  });
});
