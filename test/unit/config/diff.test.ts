import { describe, expect, it } from "vitest";
import { diffConfig } from "#core/config/diff.ts";
import { loadText } from "#core/config/load.ts";
import { STUB_MODULES } from "../../support/config/stub-modules.ts";

const changes = (before: string, after: string) =>
  diffConfig(loadText(STUB_MODULES, before).config, loadText(STUB_MODULES, after).config).map(
    ({ key, live }) => `${key} ${live ? "live" : "restart"}`,
  );

describe("two configurations", () => {
  it("that say the same in other words do not differ", () => {
    expect(changes("", "")).toEqual([]);
    expect(changes("session: { expiryMax: 60 }", "session: { expiryMax: 1m }")).toEqual([]);
    expect(changes("", "authentication: { chain: [] }")).toEqual([]);
  });

  it("differ by key, and each key says whether it takes a restart", () => {
    expect(changes("", "log: { level: debug }\napi: { port: 1 }")).toEqual([
      "log.level live",
      "api.port restart",
    ]);
    expect(
      changes(
        "",
        "gateways: { mqtt: { mountpoint: a/, listeners: { tcp: { port: 1, limits: { messageRate: 5 } } } } }",
      ),
    ).toEqual([
      "gateways.mqtt.mountpoint live",
      "gateways.mqtt.listeners.tcp.port restart",
      "gateways.mqtt.listeners.tcp.limits.messageRate live",
    ]);
  });

  it("differ in lists as a whole, and in what only one of them has", () => {
    expect(changes("", "authorization: { rules: [{ permission: allow }] }")).toEqual([
      "authorization.rules live",
    ]);
    expect(changes("", "tls: { cert: a, key: b }")).toEqual(["tls.cert restart", "tls.key restart"]);
  });
});
