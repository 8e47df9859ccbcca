import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { policySettings } from "#core/config/policy-settings.ts";
import { Plans } from "#core/plans.ts";
import { ConfiguredPolicy } from "#core/policy/configured-policy.ts";
import { Reload } from "#core/reload.ts";
import { STUB_MODULES } from "../../support/config/stub-modules.ts";
import { HandClock, peerAt, requestOf } from "../../support/policy.ts";
import { World } from "../../support/world.ts";

const configOf = (text: string) => loadText(STUB_MODULES, text).config;

class Lines {
  readonly lines: [level: string, event: string, detail: object][] = [];
  level = "info";
  readonly #add = (level: string) => (event: string, detail: object) =>
    void this.lines.push([level, event, detail]);
  readonly debug = this.#add("debug");
  readonly info = this.#add("info");
  readonly warn = this.#add("warn");
  readonly error = this.#add("error");
  readonly setLevel = (level: string) => {
    this.level = level;
  };
}

let stop: (() => void) | undefined;
afterEach(() => stop?.());

function running(text: string) {
  const config = configOf(text);
  const log = new Lines();
  const prepared = policySettings(config);
  const policy = new ConfiguredPolicy(prepared.settings, new HandClock());
  const world = new World();
  const plans = new Plans(config, [], world.gateways);
  const judged = { times: 0 };
  const judge = () => void judged.times++;
  const reload = new Reload({ log, policy, plans, core: world.core, judge }, config, prepared);
  stop = () => reload.stop();
  return { reload, log, policy, world, judged };
}

it("takes what may change at run time, and names what waits for a restart until it has had one", () => {
  const { reload, log, policy } = running("");
  const next = "log: { level: debug }\napi: { port: 1 }\nauthentication: { anonymous: false }";
  reload.run(() => configOf(next));
  expect(log.level).toBe("debug");
  const listener = policy.listener("mqtt", "tcp");
  const now = new HandClock().now();
  const strangers = listener.authenticate(requestOf({ clientId: "c" }), peerAt("192.0.2.1"), now);
  expect(strangers).toMatchObject({ ok: false, refusal: "unauthenticated" });
  expect(reload.tellPending()).toEqual(["api.port"]);
  reload.run(() => configOf(next));
  reload.tellPending();
  expect(log.lines).toEqual([
    ["info", "configuration-reloaded", { changed: ["log.level", "authentication.anonymous"] }],
    ["warn", "restart-needed", { restart: ["api.port"] }],
    ["info", "configuration-reloaded", { changed: [] }],
    ["warn", "restart-needed", { restart: ["api.port"] }],
  ]);
});

it("has all that was allowed before judged by the new rules, and by none that cannot be used", () => {
  const { reload, judged } = running("");
  reload.run(() => configOf("authentication: { anonymous: false }"));
  expect(judged.times).toBe(1);
  reload.run(() => configOf("no: such key"));
  expect(judged.times).toBe(1);
});

it("changes limits of a listener under those who use it", () => {
  const { reload, policy } = running("");
  const listener = policy.listener("mqtt", "tcp");
  reload.run(() => configOf("gateways: { mqtt: { listeners: { tcp: { limits: { packetSize: 1KB } } } } }"));
  expect(listener.limits.packetSize).toBe(1024);
});

it("keeps what is in force when the new configuration cannot be used", () => {
  const { reload, log, policy } = running("authentication: { anonymous: false }");
  const generation = policy.generation;
  reload.run(() => configOf("authentication: { anonymous: maybe }"));
  expect(policy.generation).toBe(generation);
  expect(log.lines[0]).toEqual([
    "warn",
    "configuration-reload-failed",
    { problem: expect.stringContaining("authentication.anonymous") },
  ]);
});

it("reads the users files again, and keeps the former users when one is broken", () => {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-"));
  const file = join(folder, "users.yaml");
  const user = (name: string) => writeFileSync(file, `users: [{ username: ${name}, password: "plain:x" }]`);
  user("ann");
  const text = JSON.stringify({
    authentication: { anonymous: false, chain: [{ kind: "users-file", file }] },
  });
  const { reload, policy } = running(text);
  const now = new HandClock().now();
  const may = (username: string) =>
    policy
      .listener("mqtt", "tcp")
      .authenticate(requestOf({ username, password: Buffer.from("x") }), peerAt("192.0.2.1"), now);
  user("bob");
  reload.run(() => configOf(text));
  expect([may("ann"), may("bob")]).toMatchObject([{ ok: false }, { ok: true }]);
  writeFileSync(file, "users: 7");
  reload.run(() => configOf(text));
  expect(may("bob")).toMatchObject({ ok: true });
  rmSync(folder, { recursive: true });
});

it("reaches every gateway, also when one of them fails", () => {
  const { reload, world } = running("");
  const reached: string[] = [];
  const endpoint = () => {
    throw new Error("opens nothing");
  };
  const runs = (name: string, reload: () => void) =>
    world.open({ name, schema: {} as never, open: () => ({ endpoint, reload }) }, {});
  runs("mqtt", () => {
    throw new Error("no");
  });
  runs("stomp", () => void reached.push("stomp"));
  reload.run(() => configOf(""));
  expect(reached).toEqual(["stomp"]);
  expect(world.notes).toMatchObject([{ gateway: "mqtt", note: { event: "reload-failed" } }]);
});
