/** In which states clients were, over HTTP (D-054). */
import mqtt from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ClientHistories } from "#core/operate/client-histories.ts";
import { startApi, type TestApi } from "../../support/api.ts";

let api: TestApi;
let client: mqtt.MqttClient;
beforeAll(async () => {
  api = await startApi();
  client = await mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, {
    clientId: "pump-7",
  });
});
afterAll(async () => {
  await client.endAsync(true);
  await api.stop();
});

const history = (query: string) => api.ask("GET", `/api/v1/clients/pump-7/history${query}`);

test("a client that has just come is followed within a second or two, from now on", async () => {
  await expect.poll(async () => (await history("?step=60")).body.kept, { timeout: 30_000 }).toBe(true);
  const { body } = await history("?step=60");
  expect([body.step, body.states.length, body.heard.length]).toEqual([60, 60, 60]);
  expect(body.states.filter((state: string | null) => state !== null)).toContain("awake");
  expect(body.heard).toContain(true);
  expect(Date.parse(body.from) % 60_000).toBe(0);
});

test("without a step it is a day by the quarter of an hour; since leaves out what was before", async () => {
  const { body } = await history("");
  expect([body.step, body.states.length]).toEqual([900, 96]);
  const since = new Date(Date.parse(body.from) + 90 * 900_000).toISOString();
  expect((await history(`?since=${since}`)).body.from).toBe(since);
});

test.each([
  ["step=10", "step", "one of 60, 900, 3600"],
  ["step=day", "step", "one of 60, 900, 3600"],
  ["since=yesterday", "since", "date-time"],
])("%s is refused, and what is allowed is said", async (query, field, fix) => {
  const { status, body } = await history(`?${query}`);
  expect([status, body.code, body.errors[0].in, body.errors[0].field]).toEqual([
    ...[400, "invalid-request"],
    ...["query", field],
  ]);
  expect(JSON.stringify(body.errors[0])).toContain(fix);
});

test("of a client for whom there is no room it is said that nothing is kept, and its bytes are in the metrics", async () => {
  (api.ports as { histories: Pick<ClientHistories, "of"> }).histories = new ClientHistories(0);
  const { status, body } = await history("");
  expect([status, body.kept, body.states, body.heard]).toEqual([200, false, [], []]);
  const metrics = (await api.ask("GET", "/metrics")).body as string;
  expect(Number(/^isthmus_history_bytes (\d+)/m.exec(metrics)?.[1])).toBeGreaterThan(20_000);
  expect(metrics).toMatch(/^isthmus_history_refused 0$/m);
});
