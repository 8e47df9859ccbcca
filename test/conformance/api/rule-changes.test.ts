/** Rules and connectors made and changed over HTTP, with real clients and a real sink. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

let folder: string;
let api: TestApi;
let web: WebSink;
let publisher: MqttClient;

const SOON = { first: "10ms", longest: "50ms" };

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-rules-"));
  web = await new WebSink().start();
  api = await startApi({
    dataFolder: join(folder, "data"),
    store: { engine: "embedded" },
    connectors: {
      hook: { kind: "http", url: web.url, retry: SOON, health: "100ms", headers: { token: "of-the-file" } },
    },
    rules: { old: { sql: 'SELECT payload FROM "old/#"', actions: [{ kind: "http", connector: "hook" }] } },
  });
  publisher = await mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, {
    clientId: "p",
    reconnectPeriod: 0,
  });
});
afterEach(async () => {
  await publisher.endAsync(true);
  await api.stop();
  await web.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (method: string, path: string, body?: object) =>
  api.ask(method, `/api/v1${path}`, body === undefined ? {} : { body });
const kept = () => JSON.parse(readFileSync(join(folder, "data", "api", "configuration.json"), "utf8"));
const RULE = {
  sql: 'SELECT payload FROM "t/#"',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of the rule
  actions: [{ kind: "http", connector: "hook", body: "${payload}" }],
};

describe("a rule over HTTP", () => {
  it("is made, runs, is changed while it counts on, rests, and is ended", async () => {
    expect((await ask("PUT", "/rules/new?dryRun=true", RULE)).status).toBe(200);
    expect((await ask("GET", "/rules/new")).status).toBe(404);
    const made = await ask("PUT", "/rules/new", RULE);
    expect(made.body.changes[0]).toMatchObject({ key: "rules.new", effect: "live" });
    await publisher.publishAsync("t/1", "one", { qos: 1 });
    await until(() => web.bodies.includes("one"), "the first");
    const changed = await ask("PUT", "/rules/new", { ...RULE, sql: 'SELECT payload FROM "u/#"' });
    expect(changed.body.changes).toMatchObject([
      { key: "rules.new.sql", after: 'SELECT payload FROM "u/#"' },
    ]);
    await publisher.publishAsync("t/1", "nobody", { qos: 1 });
    await publisher.publishAsync("u/1", "two", { qos: 1 });
    await until(() => web.bodies.includes("two"), "the second");
    const { body } = await ask("GET", "/rules/new");
    expect(body).toMatchObject({
      matched: 2,
      origin: "api",
      definition: { sql: 'SELECT payload FROM "u/#"', ack: "store", actions: RULE.actions },
    });
    await ask("POST", "/rules/new/disable");
    await publisher.publishAsync("u/1", "asleep", { qos: 1 });
    await ask("POST", "/rules/new/enable");
    await publisher.publishAsync("u/1", "three", { qos: 1 });
    await until(() => web.bodies.includes("three"), "the third");
    expect((await ask("DELETE", "/rules/new")).status).toBe(200);
    expect((await ask("GET", "/rules/new")).status).toBe(404);
    expect(web.bodies).toEqual(["one", "two", "three"]);
    expect(kept()).toEqual({});
    const { body: changes } = await ask("GET", "/changes?object=rule");
    expect(changes.items.map(({ object }: { object: string }) => object)).toContain("rule new");
  });

  it("that is wrong is refused with the place of the mistake, and nothing changes", async () => {
    const wrong = await ask("PUT", "/rules/new", { ...RULE, sql: 'SELECT uper(x) FROM "t"' });
    expect(wrong.status).toBe(400);
    expect(wrong.body.errors[0]).toMatchObject({
      field: "/sql",
      detail: expect.stringContaining("line 1, column 8"),
    });
    const nowhere = await ask("PUT", "/rules/new", {
      ...RULE,
      actions: [{ kind: "http", connector: "none" }],
    });
    expect(nowhere.body.errors[0].detail).toContain("there is no connector none");
    const odd = await ask("PUT", "/rules/new", { ...RULE, actions: [{ kind: "republish", topci: "x" }] });
    expect(odd.status).toBe(400);
    expect((await ask("PUT", "/rules/__proto__", RULE)).status).toBe(400);
    expect((await ask("GET", "/rules/new")).status).toBe(404);
  });

  it("of the file is changed and disabled here, and ended there", async () => {
    const ended = await ask("DELETE", "/rules/old");
    expect([ended.status, ended.body.detail]).toEqual([409, expect.stringContaining("isthmus.yaml:1")]);
    await ask("POST", "/rules/old/disable");
    expect(kept()).toEqual({ "rules.old.enable": false });
    expect((await ask("GET", "/rules/old")).body).toMatchObject({ enable: false, origin: "isthmus.yaml:1" });
    await ask("DELETE", "/config/rules.old");
    expect((await ask("GET", "/rules/old")).body).toMatchObject({ enable: true });
  });
});

describe("a connector over HTTP", () => {
  it("is tried before it is taken, never shows its secrets, and gives them back as they were", async () => {
    const { url } = web;
    const missing = await ask("PUT", "/connectors/mine", {
      kind: "http",
      url,
      headers: { a: "env:ISTHMUS_NO_SUCH" },
    });
    expect(missing.status).toBe(400);
    expect(missing.body.errors[0].detail).toContain("the environment has no variable ISTHMUS_NO_SUCH");
    const plain = await ask("PUT", "/connectors/mine", { kind: "http", url, headers: { a: "plain" } });
    expect(plain.body.errors[0]).toMatchObject({ field: "/headers/a", value: "(hidden)" });
    const secret = join(folder, "secret");
    writeFileSync(secret, "of-a-file\n");
    expect(
      (await ask("PUT", "/connectors/mine", { kind: "http", url, headers: { a: `file:${secret}` } })).status,
    ).toBe(200);
    const { body: shown } = await ask("GET", "/connectors/mine");
    expect(shown).toMatchObject({
      origin: "api",
      definition: { kind: "http", url, headers: { a: "(hidden)" } },
    });
    expect((await ask("PUT", "/connectors/mine", { ...shown.definition, timeout: "7s" })).status).toBe(200);
    expect(kept()["connectors.mine"].headers.a).toBe(`file:${secret}`);
    expect((await ask("GET", "/connectors/hook")).body.definition.headers).toEqual({ token: "(hidden)" });
    expect((await ask("POST", "/connectors/mine/test")).body).toMatchObject({ reached: true });
    await ask("PUT", "/rules/new", { ...RULE, actions: [{ ...RULE.actions[0], connector: "mine" }] });
    await publisher.publishAsync("t/1", "one", { qos: 1 });
    await until(() => web.bodies.includes("one"), "the message");
    expect(web.requests[0]?.headers["a"]).toBe("of-a-file");
    const used = await ask("DELETE", "/connectors/mine");
    expect([used.status, used.body.detail]).toEqual([
      409,
      expect.stringContaining("there is no connector mine"),
    ]);
    await ask("DELETE", "/rules/new");
    expect((await ask("DELETE", "/connectors/mine")).status).toBe(200);
  });

  it("keeps what waits for it while it rests, and while it is changed", async () => {
    await ask("PUT", "/rules/new", RULE);
    await ask("POST", "/connectors/hook/disable");
    for (const text of ["one", "two", "three"]) await publisher.publishAsync("t/1", text, { qos: 1 });
    expect((await ask("GET", "/connectors/hook")).body).toMatchObject({
      state: "stopped",
      enable: false,
      queuing: 3,
    });
    await ask("PUT", "/rules/new", { ...RULE, description: "another" });
    await ask("PATCH", "/config", { connectors: { hook: { timeout: "9s" } } });
    expect(web.requests).toEqual([]);
    await ask("POST", "/connectors/hook/enable");
    await until(() => web.requests.length === 3, "all that waited");
    expect(web.bodies).toEqual(["one", "two", "three"]);
    await until(async () => (await ask("GET", "/connectors/hook")).body.queuing === 0, "an empty queue");
  });

  it("that nobody answers is said to be away, and why", async () => {
    await web.stop();
    // The first may be told by a connection that was kept.
    await expect
      .poll(async () => (await ask("POST", "/connectors/hook/test")).body)
      .toMatchObject({ reached: false, detail: expect.stringMatching(/ECONNREFUSED|refused/) });
  });
});
