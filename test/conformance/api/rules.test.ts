import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";

describe("rules over HTTP", () => {
  let api: TestApi;

  beforeAll(async () => {
    api = await startApi({
      connectors: {
        hook: { kind: "http", url: "http://127.0.0.1:9", ready: true, headers: { token: "secret-of-hook" } },
      },
      rules: {
        warm: {
          description: "too warm",
          sql: 'SELECT clientid, payload.t AS t FROM "sensors/#" WHERE payload.t > 30',
          actions: [
            { kind: "republish", topic: "alerts/${clientid}", payload: "${t}" },
            { kind: "http", connector: "hook", path: "/${clientid}" },
          ],
        },
      },
    });
  });
  afterAll(() => api.stop());

  const test = (body: object, path = "/api/v1/rules/test") => api.ask("POST", path, { body });

  it("are listed with their numbers", async () => {
    const { body } = await api.ask("GET", "/api/v1/rules");
    expect(body.items).toMatchObject([
      { id: "warm", enable: true, description: "too warm", matched: 0, failed: 0, rate: { current: 0 } },
    ]);
    expect(body.items[0].actions).toMatchObject([
      { kind: "republish", to: "republish" },
      { kind: "http", to: "hook", matched: 0, success: 0 },
    ]);
    expect((await api.ask("GET", "/api/v1/rules/none")).status).toBe(404);
  });

  it("are tried on an event: outputs, and what each action would do", async () => {
    const { status, body } = await test(
      { fields: { topic: "sensors/1", clientid: "c1", payload: { t: 31.5 } } },
      "/api/v1/rules/warm/test",
    );
    expect(status).toBe(200);
    expect(body.outputs).toEqual([{ clientid: "c1", t: 31.5 }]);
    expect(body.actions).toMatchObject([
      { kind: "republish", parameters: [{ topic: "alerts/c1", payload: "31.5" }] },
      {
        kind: "http",
        to: "hook",
        parameters: [{ method: "POST", path: "/c1", body: '{"clientid":"c1","t":31.5}' }],
      },
    ]);
    const { body: rules } = await api.ask("GET", "/api/v1/rules");
    expect(rules.items[0].matched).toBe(0);
  });

  it("say no, or fail, or are wrong, each in its way", async () => {
    const cold = await test({ fields: { payload: { t: 1 } } }, "/api/v1/rules/warm/test");
    expect(cold.body).toEqual({
      outputs: [],
      actions: [
        { kind: "republish", to: "republish", parameters: [] },
        { kind: "http", to: "hook", parameters: [] },
      ],
    });
    const failing = await test({ sql: 'SELECT payload.x AS x FROM "t"', fields: { payload: "no JSON" } });
    expect(failing.body).toMatchObject({ outputs: [], failure: expect.stringContaining("this is no JSON") });
    const wrong = await test({ sql: 'SELECT uper(x) FROM "t"', fields: {} });
    expect(wrong.status).toBe(400);
    expect(wrong.body.errors[0]).toMatchObject({
      field: "/sql",
      detail: "line 1, column 8: there is no function uper: expected perhaps upper",
    });
    const doubling = Array.from(
      { length: 60 },
      (_, place) => `[a${place}, a${place}] AS a${place + 1}`,
    ).join();
    const huge = await test({ sql: `SELECT [1, 1] AS a0, ${doubling} FROM "t"`, fields: {} });
    expect(huge.body).toMatchObject({ outputs: [], failure: expect.stringContaining("too much") });
    const missing = await test({
      sql: 'SELECT qos FROM "t"',
      actions: [{ kind: "republish", topic: "x", payload: "${none}" }],
      fields: {},
    });
    expect(missing.body.actions[0].parameters).toMatchObject([{ topic: "x", payload: "undefined" }]);
    const action = await test({ sql: 'SELECT * FROM "t"', actions: [{ kind: "republish" }], fields: {} });
    expect(action.status).toBe(400);
    expect(action.body.errors[0].field).toBe("/actions/0/topic");
    const event = await test({ sql: 'SELECT * FROM "t"', event: "none", fields: {} });
    expect(event.body.errors[0].field).toBe("/event");
  });

  it("events of clients are tried by their names", async () => {
    const { body } = await test({
      sql: `SELECT peername AS ip_port FROM "client.connected" WHERE client_id = 'c1'`,
      event: "client_connected",
      fields: { clientid: "c1", peername: "127.0.0.1:53412" },
    });
    expect(body.outputs).toEqual([{ ip_port: "127.0.0.1:53412" }]);
  });

  it("have connectors, whose secrets nobody sees, and which /ready waits for where that is wished", async () => {
    const { body } = await api.ask("GET", "/api/v1/connectors");
    expect(body.items).toMatchObject([{ name: "hook", kind: "http", taken: 0, queuing: 0 }]);
    expect(JSON.stringify(body)).not.toContain("secret-of-hook");
    const ready = await api.ask("GET", "/ready");
    expect(ready.status).toBe(503);
    expect(JSON.stringify(ready.body)).toContain("hook");
  });
});
