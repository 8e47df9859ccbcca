import { describe, expect, it } from "vitest";
import { parsePasswordHash } from "#core/authenticate/password-hash.ts";
import { loadText } from "#core/config/load.ts";
import { ConfigError } from "#core/settings/problem.ts";
import { STUB_MODULES } from "../../support/config/stub-modules.ts";
import { fc } from "../../support/property.ts";

/** Loads, or is refused with at least one problem; anything else is a bug of ours. */
function outcome(text: string): "loaded" | "refused" {
  try {
    loadText(STUB_MODULES, text);
    return "loaded";
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.length).toBeGreaterThan(0);
    for (const problem of error.problems) expect(problem.message).not.toContain("\n");
    return "refused";
  }
}

const KEYS = [
  ...["gateways", "mqtt", "listeners", "tcp", "port", "tls", "limits", "authorization", "rules", "who"],
  ...["topics", "bans", "list", "session", "queue", "bytes", "log", "level", "authentication", "chain"],
  ...["kind", "websocket", "paths", "rewrite", "pattern", "__proto__", "constructor", "toString"],
];
const scalar = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    -1,
    0,
    65_536,
    1e300,
    "",
    "auto",
    "30s",
    "64KB",
    "unlimited",
    "all",
    "#",
  ),
  fc.string(),
  fc.double(),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    scalar,
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...KEYS), fc.string()), tie("tree"), { maxKeys: 4 }),
  ),
}));

describe("whatever stands in a configuration file", () => {
  it("loads or is refused in words, when it is any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => void outcome(text)),
      { numRuns: 100 },
    );
  });

  it("loads or is refused in words, when it is any tree", () => {
    fc.assert(
      fc.property(tree, (value) => void outcome(JSON.stringify(value) ?? "")),
      { numRuns: 150 },
    );
  });

  it("loads or is refused in words, when it is nearly right", () => {
    fc.assert(
      fc.property(tree, tree, (a, b) => {
        const text = { authorization: { rules: [a] }, gateways: { mqtt: { listeners: { tcp: b, x: a } } } };
        outcome(JSON.stringify(text));
      }),
      { numRuns: 100 },
    );
  });

  it("changes nothing of what all objects have", () => {
    outcome('{"__proto__": {"polluted": 1}, "log": {"__proto__": {"polluted": 1}}}');
    outcome('{"constructor": {"prototype": {"polluted": 1}}}');
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});

describe("whatever stands in the place of a password hash", () => {
  it("is a hash or is none", () => {
    const part = fc.constantFrom(
      "$",
      "scrypt",
      "sha256",
      "2b",
      "10",
      "ln=4,r=8,p=1",
      "c2FsdA",
      "00",
      "plain:",
      ",",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(part, fc.string()), { maxLength: 8 }), (parts) => {
        const hash = parsePasswordHash(parts.join(""));
        expect(hash === undefined || typeof hash.kind === "string").toBe(true);
      }),
    );
  });
});
