/** Metrics of topics and slow subscriptions of a whole gateway, with real clients (O-089, O-090). */
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configurationOf, startApi, type TestApi } from "../../support/api.ts";
import { until } from "../../support/store-process.ts";

let api: TestApi;
let client: mqtt.MqttClient;

beforeAll(async () => {
  api = await startApi();
  client = await mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, {
    clientId: "reader",
  });
});
afterAll(async () => {
  await client.endAsync(true);
  await api.stop();
});

const METRICS = "/api/v1/topic-metrics";
const metric = async (filter: string) =>
  (await api.ask("GET", `${METRICS}/${encodeURIComponent(filter)}`)).body;

describe("metrics of topics (O-089)", () => {
  test("are begun, count what real clients send and get, stand in /metrics, and begin anew", async () => {
    await client.subscribeAsync("room/#", { qos: 1 });
    const begun = await api.ask("PUT", `${METRICS}/room%2F%2B%2Ftemp`);
    expect([begun.status, begun.body.changes]).toEqual([
      200,
      [{ key: "topicMetrics", before: [], after: ["room/+/temp"], effect: "live" }],
    ]);
    for (const qos of [0, 1, 2] as const) await client.publishAsync("room/7/temp", "21", { qos });
    await client.publishAsync("room/7/light", "on", { qos: 1 });
    const counted = { in: [1, 1, 1], out: [1, 2, 0], dropped: [0, 0, 0] };
    expect(await metric("room/+/temp")).toMatchObject({ filter: "room/+/temp", messages: counted });
    const text = await (await fetch(`${api.base}/metrics`)).text();
    expect(text).toContain('isthmus_topic_messages{filter="room/+/temp",way="out",qos="1"} 2');
    // The beat of rates is a second.
    await until(async () => (await metric("room/+/temp")).rates.in[0] > 0, "no rate comes");
    expect((await api.ask("POST", `${METRICS}/room%2F%2B%2Ftemp/reset`)).status).toBe(204);
    expect((await metric("room/+/temp")).messages.in).toEqual([0, 0, 0]);
  });

  test("are part of the configuration, so that they are there after a restart, and end when they are deleted", async () => {
    const { config } = configurationOf(api.gateway).loaded;
    expect(config.topicMetrics).toEqual(["room/+/temp"]);
    expect((await api.ask("DELETE", `${METRICS}/room%2F%2B%2Ftemp`)).body.changes).toMatchObject([
      { after: [] },
    ]);
    expect((await api.ask("GET", METRICS)).body.items).toEqual([]);
  });

  test.each(["..", "/", "a//b", "100%", "\u202egpj", "$SYS/#", "#"])(
    "of the filter %j are reached, by query where no path can carry it (D-031)",
    async (filter) => {
      const at = filter === ".." ? `-?filter=..` : encodeURIComponent(filter);
      expect((await api.ask("PUT", `${METRICS}/${at}`)).status).toBe(200);
      expect((await api.ask("GET", `${METRICS}/${at}`)).body.filter).toBe(filter);
      expect((await api.ask("DELETE", `${METRICS}/${at}`)).status).toBe(200);
    },
  );

  test("are of a hundred filters at most, and the refusal says so", async () => {
    const all = Array.from({ length: 100 }, (_, index) => `t/${index}`);
    expect((await api.ask("PATCH", "/api/v1/config", { body: { topicMetrics: all } })).status).toBe(200);
    const more = await api.ask("PUT", `${METRICS}/one-more`);
    expect([more.status, more.body.code]).toEqual([400, "invalid-request"]);
    expect(more.body.detail).toContain("topicMetrics");
    await api.ask("PATCH", "/api/v1/config", { body: { topicMetrics: [] } });
  });
});

test("slow subscriptions are measured as soon as the configuration says so, listed, and forgotten (O-090)", async () => {
  const slow = "/api/v1/slow-subscriptions";
  const late = mqtt.connect(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, { clientId: "late" });
  let acknowledge: (() => void) | undefined;
  // Its PUBACK goes out when it is told to.
  late.handleMessage = (_packet, done) => {
    acknowledge = () => done();
  };
  await late.subscribeAsync("slow/t", { qos: 1 });
  expect((await api.ask("GET", slow)).body.items).toEqual([]);
  const changed = await api.ask("PATCH", "/api/v1/config", {
    body: { slowSubscriptions: { enable: true, threshold: "100ms" } },
  });
  expect(changed.body.changes.map(({ effect }: { effect: string }) => effect)).toEqual(["live", "live"]);
  const sent = performance.now();
  await client.publishAsync("slow/t", "x", { qos: 1 });
  await until(() => acknowledge !== undefined && performance.now() - sent > 150, "it does not come");
  acknowledge?.();
  await until(async () => (await api.ask("GET", slow)).body.items.length > 0, "it is not noted");
  const [row] = (await api.ask("GET", slow)).body.items;
  expect(row).toMatchObject({ gateway: "mqtt", clientId: "late", topic: "slow/t", times: 1 });
  expect(row.longest).toBeGreaterThanOrEqual(100);
  expect((await api.ask("DELETE", slow)).status).toBe(204);
  expect((await api.ask("GET", slow)).body.items).toEqual([]);
  await late.endAsync(true);
});
