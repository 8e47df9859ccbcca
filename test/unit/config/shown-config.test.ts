import { expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { buildSchema } from "#core/config/schema.ts";
import { shownConfig } from "#core/config/shown-config.ts";
import { MODULES } from "#core/modules.ts";

const shown = (text: string) => {
  const { config, originOf } = loadText(MODULES, text, "my.yaml");
  return [...shownConfig(buildSchema(MODULES), config, { originOf, restartOf: () => undefined })];
};

it("says of each key what it is, and in which line it was set", () => {
  const rows = shown("log:\n  level: debug\n");
  expect(rows.find(({ key }) => key === "log.level")).toMatchObject({
    value: "debug",
    default: "info",
    origin: "my.yaml:2",
    live: true,
  });
  expect(rows.find(({ key }) => key === "api.sessionLength")).toMatchObject({
    value: "12h",
    origin: "default",
  });
});

it("shows no secret, wherever it is", () => {
  const rows = shown(`
api:
  tls: { cert: a.pem, key: b.pem, keyPassphrase: "swordfish" }
authentication:
  anonymous: false
  chain:
    - { kind: jwt, secret: "swordfish" }
    - { kind: http, url: "http://127.0.0.1/", headers: { authorization: "swordfish" } }
`);
  expect(rows.find(({ key }) => key === "api.tls.keyPassphrase")?.value).toBe("(hidden)");
  expect(JSON.stringify(rows)).not.toContain("swordfish");
});
