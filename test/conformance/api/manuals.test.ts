/** The requests of the manuals of EMQ 2, EMQ X 3 and 4 and Easegress, as they print them (operate sheet O-001 to O-025, O-053). */
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askAt, startApi, type TestApi } from "../../support/api.ts";
import { until } from "../../support/store-process.ts";

let api: TestApi;
let device: mqtt.MqttClient;
const heard: string[] = [];
let arrived = (): void => {};

const basic = (): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(api.keys.administrator.replace(".", ":")).toString("base64")}`,
});
const ask = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  askAt(api.base, method, path, {
    ...(body === undefined ? {} : { body }),
    headers: { ...basic(), ...headers },
  });

async function next(text: string): Promise<void> {
  while (!heard.includes(text)) {
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
  }
}

beforeAll(async () => {
  api = await startApi({
    authorization: { rules: [{ permission: "deny", who: { clientId: "outsider" }, action: "publish" }] },
  });
  device = await mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, {
    clientId: "C_1492145414740",
    username: "test",
    keepalive: 60,
  });
  device.on("message", (topic, payload, { qos }) => {
    heard.push(`${topic} ${payload} ${qos}`);
    arrived();
  });
  await device.subscribeAsync("/World", { qos: 1 });
});
afterAll(async () => {
  device.end(true);
  await api.stop();
});

describe.each([
  ["v2", "result"],
  ["v3", "data"],
] as const)("/api/%s answers {code: 0, %s}", (version, member) => {
  const base = `/api/${version}`;

  test("nodes: management and monitoring, and only this one", async () => {
    const nodes = await ask("GET", `${base}/management/nodes`);
    expect(nodes.body).toMatchObject({
      code: 0,
      [member]: [{ name: "isthmus", node_status: "Running", version: "1.2.3" }],
    });
    expect(nodes.body[member][0].datetime).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const node = await ask("GET", `${base}/monitoring/nodes/isthmus`);
    expect(node.body[member]).toMatchObject({
      memory_total: expect.stringMatching(/M$/),
      load1: expect.any(String),
      clients: 1,
    });
    expect((await ask("GET", `${base}/management/nodes/emq@127.0.0.1`)).body.code).toBe(101);
  });

  test("clients and sessions, in pages and alone", async () => {
    const page = await ask("GET", `${base}/nodes/isthmus/clients/?curr_page=1&page_size=20`);
    expect(page.body[member]).toMatchObject({ current_page: 1, page_size: 20, total_num: 1, total_page: 1 });
    expect(page.body[member].objects[0]).toMatchObject({
      client_id: "C_1492145414740",
      username: "test",
      ipaddress: "127.0.0.1",
      clean_sess: true,
      proto_ver: 4,
      keepalive: 60,
    });
    const one = await ask("GET", `${base}/clients/C_1492145414740`);
    expect(one.body).toMatchObject({ code: 0, [member]: { objects: [{ client_id: "C_1492145414740" }] } });
    const session = await ask("GET", `${base}/nodes/isthmus/sessions/C_1492145414740`);
    expect(session.body[member].objects[0]).toMatchObject({
      client_id: "C_1492145414740",
      clean_sess: true,
      mqueue_len: 0,
    });
    expect((await ask("GET", `${base}/clients/nobody`)).body).toMatchObject({ code: 112 });
    expect((await ask("GET", `${base}/nodes/isthmus/clients?curr_page=x`)).body.code).toBe(108);
  });

  test("subscriptions, and routes of a topic that begins with a slash, unencoded", async () => {
    const subscriptions = await ask("GET", `${base}/subscriptions/C_1492145414740`);
    expect(subscriptions.body[member].objects).toContainEqual({
      client_id: "C_1492145414740",
      topic: "/World",
      qos: 1,
    });
    const routes = await ask("GET", `${base}/routes//World`);
    expect(routes.body).toEqual({ code: 0, [member]: { objects: [{ topic: "/World", node: "isthmus" }] } });
    const all = await ask("GET", `${base}/routes?curr_page=1&page_size=20`);
    expect(all.body[member].objects).toContainEqual({ topic: "/World", node: "isthmus" });
  });

  test("publish, subscribe and unsubscribe, with the codes for what is wrong (O-010, O-011, O-017)", async () => {
    const published = await ask("POST", `${base}/mqtt/publish`, {
      topic: "/World",
      payload: `hello ${version}`,
      qos: 1,
      retain: false,
      client_id: "C_1492145414740",
    });
    expect(published.body).toEqual({ code: 0, [member]: [] });
    await next(`/World hello ${version} 1`);
    expect(
      (
        await ask("POST", `${base}/mqtt/subscribe`, {
          topic: `added/${version}`,
          qos: 1,
          client_id: "C_1492145414740",
        })
      ).body,
    ).toEqual({ code: 0, [member]: [] });
    expect(
      (await ask("POST", `${base}/mqtt/publish`, { topic: `added/${version}`, payload: "x" })).body.code,
    ).toBe(0);
    await next(`added/${version} x 0`);
    expect(
      (
        await ask("POST", `${base}/mqtt/unsubscribe`, {
          topic: `added/${version}`,
          client_id: "C_1492145414740",
        })
      ).body.code,
    ).toBe(0);
    expect((await ask("POST", `${base}/mqtt/subscribe`, { topic: "a", client_id: "nobody" })).body.code).toBe(
      112,
    );
    expect((await ask("POST", `${base}/mqtt/publish`, { payload: "x" })).body.code).toBe(107);
    expect((await ask("POST", `${base}/mqtt/publish`, { topic: "a", qos: "many" })).body.code).toBe(108);
    for (const body of ["{", "[]", '"a"'])
      expect([body, (await ask("POST", `${base}/mqtt/publish`, body)).body.code]).toEqual([body, 109]);
    // As the client that it names, by that client's rights (O-010).
    expect(
      (await ask("POST", `${base}/mqtt/publish`, { topic: "/World", client_id: "outsider" })).body.code,
    ).toBe(102);
  });

  test("listeners, metrics and stats, of the node and by node", async () => {
    const listeners = await ask("GET", `${base}/monitoring/listeners/isthmus`);
    expect(listeners.body[member]).toContainEqual(
      expect.objectContaining({ protocol: "mqtt:tcp", current_clients: 1 }),
    );
    const metrics = await ask("GET", `${base}/monitoring/metrics/isthmus`);
    expect(metrics.body[member]["packets/connect"]).toBe(1);
    const stats = await ask("GET", `${base}/monitoring/stats/`);
    expect(stats.body[member].isthmus).toMatchObject({
      "clients/count": expect.any(Number),
      "subscriptions/max": expect.any(Number),
    });
  });

  test("without credentials is 401, and a role that may not is 403", async () => {
    expect((await askAt(api.base, "GET", `${base}/routes`)).status).toBe(401);
    expect((await askAt(api.base, "DELETE", `${base}/clients/x`, { key: api.keys.viewer })).status).toBe(403);
    expect(
      (
        await askAt(api.base, "POST", `${base}/mqtt/publish`, {
          key: api.keys.publisher,
          body: { topic: "a" },
        })
      ).body.code,
    ).toBe(0);
  });
});

test("the oldest form publishes from a URL-encoded body, and answers ok (O-018)", async () => {
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const ok = await ask(
    "POST",
    "/mqtt/publish",
    "qos=1&retain=0&topic=%2FWorld&message=hello%20form&client=someone",
    form,
  );
  expect([ok.status, ok.body]).toEqual([200, "ok"]);
  await next("/World hello form 1");
  const json = await ask("POST", "/mqtt/publish", { topic: "/World", message: "as json", qos: 0 });
  expect([json.status, json.body]).toEqual([200, "ok"]);
  await next("/World as json 0");
  const wrong = await ask("POST", "/mqtt/publish", "message=x", form);
  expect([wrong.status, wrong.body]).toEqual([400, "topic is missing"]);
});

test("Easegress's publish grants the lower of its QoS and the subscription's, also at 2, and reads base64 (O-053)", async () => {
  const done = await ask("POST", "/apis/v1/mqttproxy/any/topics/publish", {
    topic: "/World",
    qos: 2,
    payload: "aGVsbG8gZWFzZQ==",
    base64: true,
  });
  expect(done.status).toBe(200);
  await next("/World hello ease 1");
  const v2 = await ask("POST", "/apis/v2/mqttproxy/any/topics/publish", {
    topic: "/World",
    qos: 0,
    payload: "plain",
    base64: false,
  });
  expect(v2.status).toBe(200);
  const wrong = await ask("POST", "/apis/v1/mqttproxy/any/topics/publish", { qos: 0 });
  expect(wrong.status).toBe(400);
});

test("Easegress's publish reaches whoever subscribed to the topic, with wildcards or without (R-109)", async () => {
  const filters = [
    "Beijing/Phone/Update",
    "Beijing/+/Update",
    "Beijing/Phone/+",
    "+/Phone/Update",
    "Beijing/#",
    "#",
  ];
  const got: string[] = [];
  const port = api.gateway.port("mqtt", "tcp");
  const clients = await Promise.all(
    [...filters, "Beijing/+"].map(async (filter) => {
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`);
      client.on("message", (topic, payload) => got.push(`${filter}: ${topic} ${payload}`));
      await client.subscribeAsync(filter, { qos: 1 });
      return client;
    }),
  );
  const body = { topic: "Beijing/Phone/Update", qos: 1, payload: "time to update", base64: false };
  expect((await ask("POST", "/apis/v1/mqttproxy/any/topics/publish", body)).status).toBe(200);
  await until(() => got.length >= filters.length, "one message for each");
  expect(got.sort()).toEqual(
    filters.map((filter) => `${filter}: Beijing/Phone/Update time to update`).sort(),
  );
  await Promise.all(clients.map((client) => client.endAsync(true)));
});

test("GET /status tells a load balancer without credentials (O-019)", async () => {
  const status = await askAt(api.base, "GET", "/status");
  expect([status.status, status.body]).toEqual([200, "Node isthmus is running\n"]);
});

test("all of it can be switched off", async () => {
  const plain = await startApi({}, { manuals: false });
  for (const path of ["/api/v2/routes", "/api/v3/routes", "/status"]) {
    expect((await plain.ask("GET", path)).status).toBe(404);
  }
  expect((await plain.ask("POST", "/mqtt/publish", { body: { topic: "a" } })).status).toBe(404);
  await plain.stop();
});
