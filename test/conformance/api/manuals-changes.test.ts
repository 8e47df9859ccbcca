// biome-ignore-all lint/suspicious/noTemplateCurlyInString: templates of actions
/** What the manuals change besides clients: plug-ins, configuration, users, rules and resources (operate sheet O-012 to O-024). */
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askAt, type Reply, startApi, type TestApi } from "../../support/api.ts";
import { until } from "../../support/store-process.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ gateways: { mqtt: {}, stomp: {} }, log: { level: "warn" } });
});
afterAll(() => api.stop());

const ask = (method: string, path: string, body?: unknown, key = api.keys.administrator): Promise<Reply> =>
  askAt(api.base, method, `/api/${path}`, { key, ...(body === undefined ? {} : { body }) });
const OK = { code: 0, result: [] };

describe("plug-ins are gateways (O-012)", () => {
  test("they are listed, stopped and started, with the codes for what is so already", async () => {
    const list = async () => (await ask("GET", "v2/nodes/isthmus/plugins/")).body.result;
    const stomp = { name: "stomp", version: "1.2.3", description: expect.any(String) };
    expect(await list()).toContainEqual({ ...stomp, active: true });
    const set = (active: unknown) => ask("PUT", "v2/nodes/isthmus/plugins/stomp", { active });
    expect((await set(true)).body.code).toBe(110);
    expect((await set(false)).body).toEqual(OK);
    expect(await list()).toContainEqual({ ...stomp, active: false });
    expect((await set(false)).body.code).toBe(111);
    expect((await set("true")).body).toEqual(OK);
    expect((await set("soon")).body.code).toBe(108);
    expect((await ask("PUT", "v2/nodes/isthmus/plugins/stomp", {})).body.code).toBe(107);
    expect((await ask("PUT", "v2/nodes/isthmus/plugins/nothing", { active: true })).body.code).toBe(102);
    expect((await ask("GET", "v2/nodes/elsewhere/plugins")).body.code).toBe(101);
    const changes = await api.ask("GET", "/api/v1/changes?object=gateway%20stomp");
    expect(changes.body.items[0]).toMatchObject({ result: "done", after: { active: true } });
  });
});

describe("configuration while it runs (O-015)", () => {
  const configs = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      (await ask("GET", "v2/nodes/isthmus/configs")).body.result.map(
        (row: { key: string; value: string }) => [row.key, row.value],
      ),
    );

  test("the keys of the manual, with their value, datatype and app; of all nodes by node", async () => {
    const all = (await ask("GET", "v2/configs")).body.result;
    expect(all.isthmus).toContainEqual({
      ...{ key: "log.console.level", value: "warn", datatype: "enum", app: "isthmus" },
    });
    expect(await configs()).toEqual({
      "log.console.level": "warn",
      "mqtt.acl_nomatch": "allow",
      "mqtt.allow_anonymous": "true",
      "mqtt.broker.sys_interval": "1m",
      "mqtt.cache_acl": "true",
    });
  });

  test.each([
    ["log.console.level", "error", "log.level", "error"],
    ["mqtt.acl_nomatch", "deny", "authorization.noMatch", "deny"],
    ["mqtt.cache_acl", "false", "authorization.cache.entries", 0],
    ["mqtt.allow_anonymous", "false", "authentication.anonymous", false],
  ])("%s is set to %s, and back", async (key, value, of, expected) => {
    const before = (await configs())[key]!;
    const path = "v2/nodes/isthmus/configs/isthmus";
    expect((await ask("PUT", path, { key, value })).body).toEqual(OK);
    expect((await configs())[key]).toBe(value);
    const [row] = (await api.ask("GET", `/api/v1/config?key=${of}`)).body.items;
    expect([row.value, row.origin]).toEqual([expected, "api"]);
    expect((await ask("PUT", "v2/configs/isthmus", { key, value: before })).body).toEqual(OK);
    expect((await configs())[key]).toBe(before);
  });

  test("what is no key or no value is 107 or 108, and changes nothing", async () => {
    const set = async (body: object) => (await ask("PUT", "v2/configs/isthmus", body)).body.code;
    expect(await set({ key: "mqtt.acl_file", value: "etc/acl.conf" })).toBe(108);
    expect(await set({ key: "log.console.level", value: "loud" })).toBe(108);
    expect(await set({ key: "log.console.level" })).toBe(107);
    expect(await set({ value: "error" })).toBe(107);
  });

  test("settings of a plug-in: each with its meaning, changed together or not at all", async () => {
    const path = "v2/nodes/isthmus/plugin_configs/stomp";
    const shown = async () => (await ask("GET", path)).body.result;
    const flag = (await shown()).find(
      ({ value }: { value: string }) => value === "true" || value === "false",
    );
    expect(flag).toEqual({
      ...{ key: expect.stringMatching(/^gateways\.stomp\./), value: expect.any(String) },
      ...{ desc: expect.any(String), required: false },
    });
    const other = flag.value === "true" ? "false" : "true";
    const half = { [flag.key]: other, "gateways.stomp.nonsense": "1" };
    expect((await ask("PUT", path, half)).body.code).toBe(108);
    expect(await shown()).toContainEqual(flag);
    expect((await ask("PUT", path, { [flag.key]: other })).body).toEqual(OK);
    expect(await shown()).toContainEqual({ ...flag, value: other });
    expect((await ask("GET", "v2/nodes/isthmus/plugin_configs/nothing")).body.code).toBe(102);
  });
});

describe("users of the dashboard (O-016)", () => {
  const PASSWORD = "a sentence that only ana knows";

  test("are made, shown, changed, signed in and removed, with the manual's codes (O-017)", async () => {
    const post = async (path: string, body: object) => (await ask("POST", `v2/${path}`, body)).body;
    expect(await post("users", { username: "ana", password: PASSWORD, tags: "administrator" })).toEqual(OK);
    expect((await post("users", { username: "ana", password: PASSWORD, tags: "user" })).code).toBe(113);
    expect((await post("users", { username: "", password: PASSWORD })).code).toBe(104);
    expect((await post("users", { username: "bo" })).code).toBe(107);
    expect((await post("users", { username: "bo", password: "short", tags: "user" })).code).toBe(108);
    expect(await post("users", { username: "bo", password: PASSWORD, tags: "user" })).toEqual(OK);
    const users = async () => (await ask("GET", "v2/users")).body.result;
    // A tag that names no role may look, and nothing else.
    expect(await users()).toEqual([
      { username: "ana", tags: "administrator" },
      { username: "bo", tags: "viewer" },
    ]);
    expect((await ask("PUT", "v2/users/bo", { tags: "operator" })).body).toEqual(OK);
    expect((await users())[1]).toEqual({ username: "bo", tags: "operator" });
    expect((await ask("PUT", "v2/users/nobody", { tags: "operator" })).body.code).toBe(105);
    expect(await post("auth", { username: "bo", password: PASSWORD })).toEqual(OK);
    expect((await post("auth", { username: "bo", password: "" })).code).toBe(104);
    expect((await post("auth", { username: "bo", password: "another sentence" })).code).toBe(103);
    api.ports.access.attempts.succeeded("bo", "127.0.0.1");
    const fresh = "and now another sentence";
    const change = async (body: object) => (await ask("PUT", "v2/change_pwd/bo", body)).body;
    expect((await change({ new_pwd: fresh, old_pwd: "not that one" })).code).toBe(114);
    api.ports.access.attempts.succeeded("bo", "127.0.0.1");
    expect(await change({ new_pwd: fresh, old_pwd: PASSWORD })).toEqual(OK);
    expect(await post("auth", { username: "bo", password: fresh })).toEqual(OK);
    expect((await ask("DELETE", "v2/users/ana")).body.code).toBe(106);
    expect((await ask("DELETE", "v2/users/bo")).body).toEqual(OK);
    expect((await ask("DELETE", "v2/users/bo")).body.code).toBe(105);
    const changes = JSON.stringify((await api.ask("GET", "/api/v1/changes?limit=1000")).body.items);
    expect(changes).toContain('"object":"user bo"');
    expect(changes).not.toContain(PASSWORD);
  });

  test("are for administrators alone, and guesses are slowed down as at a sign-in", async () => {
    const operator = await ask("GET", "v2/users", undefined, api.keys.operator);
    expect([operator.status, operator.body.code]).toEqual([403, "forbidden"]);
    const guess = () => ask("POST", "v2/auth", { username: "nobody", password: "guess" });
    expect((await guess()).body.code).toBe(103);
    // Each wait is twice the last: however slowly it is asked, one guess comes before it may be looked at.
    while ((await guess()).body.code !== 102);
    api.ports.access.attempts.succeeded("nobody", "127.0.0.1");
  });
});

describe("rules, actions and resources (O-022 to O-025)", () => {
  test("a rule is made, shown, works, and is removed; there is no update", async () => {
    const made = await ask("POST", "v3/rules", {
      rawsql: 'SELECT payload.t AS t FROM "in/+" WHERE payload.t > 20',
      actions: [
        { name: "republish", params: { target_topic: "out/${t}", payload_tmpl: "hot ${t}", target_qos: 0 } },
        { name: "inspect", params: { a: 1 } },
      ],
      description: "test-rule",
    });
    expect(made.body).toMatchObject({
      code: 0,
      data: {
        id: expect.stringMatching(/^rule:[0-9a-f]{8}$/),
        for: "message.publish",
        rawsql: 'SELECT payload.t AS t FROM "in/+" WHERE payload.t > 20',
        enabled: true,
        description: "test-rule",
        actions: [
          {
            name: "republish",
            params: { target_topic: "out/${t}", payload_tmpl: "hot ${t}", target_qos: 0 },
          },
          { name: "inspect", params: {} },
        ],
      },
    });
    const { id } = made.body.data;
    expect((await ask("GET", `v3/rules/${id}`)).body).toEqual(made.body);
    expect((await ask("GET", "v3/rules")).body.data).toEqual([made.body.data]);
    const heard: string[] = [];
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`);
    client.on("message", (topic, payload) => heard.push(`${topic} ${payload}`));
    await client.subscribeAsync("out/#");
    await client.publishAsync("in/1", '{"t": 21}');
    await until(() => heard.length > 0, "the rule does nothing");
    expect(heard).toEqual(["out/21 hot 21"]);
    await client.endAsync();
    expect((await ask("PUT", `v3/rules/${id}`, {})).status).toBe(404);
    expect((await ask("DELETE", `v3/rules/${id}`)).body).toEqual({ code: 0, data: [] });
    expect((await ask("GET", `v3/rules/${id}`)).body.code).toBe(102);
    expect((await ask("DELETE", `v3/rules/${id}`)).body.code).toBe(102);
  });

  test.each([
    [{ actions: [] }, 107],
    [{ rawsql: "SELECT", actions: [] }, 108],
    [{ rawsql: 'SELECT * FROM "a"' }, 107],
    [{ rawsql: 'SELECT * FROM "a"', actions: {} }, 108],
    [{ rawsql: 'SELECT * FROM "a"', actions: [{ params: {} }] }, 107],
    [{ rawsql: 'SELECT * FROM "a"', actions: [{ name: "dance" }] }, 108],
    [{ rawsql: 'SELECT * FROM "a"', actions: [{ name: "republish", params: { to: "b" } }] }, 108],
    [
      {
        rawsql: 'SELECT * FROM "a"',
        actions: [{ name: "data_to_webserver", params: { $resource: "resource:none" } }],
      },
      108,
    ],
  ])("the rule %j is refused with %d, and not made", async (body, code) => {
    expect((await ask("POST", "v3/rules", body)).body).toMatchObject({ code, message: expect.any(String) });
    expect((await ask("GET", "v3/rules")).body.data).toEqual([]);
  });

  test("an event of the manual is what a rule is for (FROM client.connected)", async () => {
    const body = { rawsql: 'select * from "client.connected"', actions: [{ name: "inspect", params: {} }] };
    const made = (await ask("POST", "v3/rules", body)).body.data;
    expect(made.for).toBe("client.connected");
    expect((await ask("DELETE", `v3/rules/${made.id}`)).body.code).toBe(0);
  });

  test("actions describe themselves, so that a form can be made of them (O-023)", async () => {
    const actions = (await ask("GET", "v3/actions?for=client.connected")).body.data;
    expect(actions.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(["inspect", "republish", "data_to_webserver", "data_to_kafka", "postgres"]),
    );
    const republish = await ask("GET", "v3/actions/republish");
    expect(republish.body.data).toMatchObject({
      ...{ name: "republish", app: "isthmus", for: "$any", types: [] },
      params: { target_topic: { type: "string", title: "target_topic", required: true } },
    });
    const web = (await ask("GET", "v3/actions/data_to_webserver")).body.data;
    expect(web).toMatchObject({ types: ["web_hook"], params: { $resource: { required: true } } });
    expect((await ask("GET", "v3/actions/dance")).body.code).toBe(102);
  });

  test("a resource is made, shown by its type, used, and not removed while it is (O-024)", async () => {
    const types = (await ask("GET", "v3/resource_types")).body.data;
    expect(types.map(({ name }: { name: string }) => name)).toContain("web_hook");
    expect((await ask("GET", "v3/resource_types/web_hook")).body.data).toMatchObject({
      ...{ name: "web_hook", provider: "isthmus", params: { url: { required: true } } },
    });
    const made = await ask("POST", "v3/resources", {
      type: "web_hook",
      config: { url: "http://127.0.0.1:9", method: "POST" },
      description: "web hook resource-1",
    });
    expect(made.body).toMatchObject({
      code: 0,
      data: { id: expect.stringMatching(/^resource:[0-9a-f]{8}$/), type: "web_hook" },
    });
    const { id } = made.body.data;
    expect(made.body.data.config).toMatchObject({ url: "http://127.0.0.1:9" });
    for (const path of ["resources", "resource_types/web_hook/resources"])
      expect((await ask("GET", `v3/${path}`)).body.data).toEqual([made.body.data]);
    expect((await ask("GET", "v3/resource_types/bridge_mqtt/resources")).body.data).toEqual([]);
    expect((await ask("GET", `v3/resources/${id}`)).body).toEqual(made.body);
    const rule = await ask("POST", "v3/rules", {
      rawsql: 'SELECT * FROM "never"',
      actions: [{ name: "data_to_webserver", params: { $resource: id, payload_tmpl: "${payload}" } }],
    });
    expect(rule.body.data.actions[0]).toMatchObject({
      name: "data_to_webserver",
      params: { $resource: id, payload_tmpl: "${payload}" },
    });
    expect((await ask("DELETE", `v3/resources/${id}`)).body).toMatchObject({ code: 102 });
    expect((await ask("DELETE", `v3/rules/${rule.body.data.id}`)).body.code).toBe(0);
    expect((await ask("DELETE", `v3/resources/${id}`)).body).toEqual({ code: 0, data: [] });
    expect((await ask("GET", `v3/resources/${id}`)).body.code).toBe(102);
  });

  test.each([
    [{ config: {} }, 107],
    [{ type: "backend_cassa", config: {} }, 108],
    [{ type: "web_hook", config: { url: "ftp://nowhere" } }, 108],
    [{ type: "web_hook", config: { url: "http://127.0.0.1:9", method: "PUT" } }, 108],
    // A header may be a secret: over HTTP it is named, as env:TOKEN, and not told.
    [{ type: "web_hook", config: { url: "http://127.0.0.1:9", headers: { token: "t0k3n" } } }, 108],
    [{ type: "web_hook", config: [] }, 108],
  ])("the resource %j is refused with %d", async (body, code) => {
    expect((await ask("POST", "v3/resources", body)).body.code).toBe(code);
    expect((await ask("GET", "v3/resources")).body.data).toEqual([]);
  });
});
