/** Clients of all gateways through the API: other people's MQTT clients, and an MQTT-SN device that sleeps. */
import mqtt from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";

let api: TestApi;
const clients: mqtt.MqttClient[] = [];

async function connect(clientId: string, options: mqtt.IClientOptions = {}): Promise<mqtt.MqttClient> {
  const port = api.gateway.port("mqtt", "tcp");
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
    clientId,
    reconnectPeriod: 0,
    ...options,
  });
  clients.push(client);
  return client;
}

beforeAll(async () => {
  api = await startApi();
});
afterAll(async () => {
  for (const client of clients) client.end(true);
  await api.stop();
});

const HOSTILE = ["..", ".", "a/b", "a%2Fb", "a b?c#d&e=f", "‮gnp.exe", "%FF", "-", "é☃", "'\"<script>"];

test("a client of any id is found, by path where one can carry it and by query where none can", async () => {
  for (const id of HOSTILE) await connect(id);
  for (const id of HOSTILE) {
    const dots = id === "." || id === "..";
    const address = dots
      ? `/api/v1/clients/-?id=${encodeURIComponent(id)}`
      : `/api/v1/clients/${encodeURIComponent(id)}`;
    const reply = await api.ask("GET", address);
    expect([id, reply.status, reply.body.clientId]).toEqual([id, 200, id]);
    const byQuery = await api.ask("GET", `/api/v1/clients/-?id=${encodeURIComponent(id)}`);
    expect([id, byQuery.status, byQuery.body.clientId]).toEqual([id, 200, id]);
  }
  const listed = await api.ask("GET", "/api/v1/clients?limit=1000");
  expect(listed.body.items.map((row: { clientId: string }) => row.clientId)).toEqual(
    expect.arrayContaining(HOSTILE),
  );
});

test("a broken escape in a path is a problem and no exception, and so is an id that is too long", async () => {
  const broken = await api.ask("GET", "/api/v1/clients/%FF");
  expect([broken.status, broken.body.code]).toEqual([400, "malformed-address"]);
  const both = await api.ask("GET", "/api/v1/clients/x?id=y");
  expect([both.status, both.body.code]).toEqual([400, "invalid-request"]);
  const long = await api.ask("GET", `/api/v1/clients/${"x".repeat(13_000)}`);
  expect(long.status).toBeGreaterThanOrEqual(400);
  expect(long.status).toBeLessThan(500);
});

test("a list is filtered, sorted and paged; its pages repeat nobody and leave out nobody (O-033, O-035, O-040)", async () => {
  for (let number = 0; number < 30; number++) await connect(`page-${String(number).padStart(2, "0")}`);
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const reply = await api.ask(
      "GET",
      `/api/v1/clients?prefix=page-&sort=-clientId&limit=7&columns=clientId${cursor === undefined ? "" : `&cursor=${cursor}`}`,
    );
    expect(reply.status).toBe(200);
    expect(reply.body.count).toBe(30);
    for (const row of reply.body.items) {
      expect(Object.keys(row)).toEqual(["clientId"]);
      seen.push(row.clientId);
    }
    cursor = reply.body.next;
  } while (cursor !== undefined);
  expect(seen).toEqual(
    Array.from({ length: 30 }, (_, number) => `page-${String(29 - number).padStart(2, "0")}`),
  );
  const foreign = await api.ask("GET", "/api/v1/clients?sort=clientId&cursor=Inp6QDEi");
  expect([foreign.status, foreign.body.code]).toEqual([410, "gone"]);
  const nonsense = await api.ask("GET", "/api/v1/clients?cursor=%21%21");
  expect([nonsense.status, nonsense.body.code]).toEqual([400, "invalid-request"]);
  const none = await api.ask("GET", "/api/v1/clients?address=192.0.2.0/24");
  expect(none.body.items).toEqual([]);
  const ids = await api.ask(
    "GET",
    `/api/v1/clients?ids=${encodeURIComponent("mqtt/page-03\nmqtt/nobody\nmqtt/a/b")}`,
  );
  expect(ids.body.items.map((row: { clientId: string }) => row.clientId)).toEqual(["page-03", "a/b"]);
});

test("clients are told apart by when they came and whether they began anew (O-035)", async () => {
  await connect("older");
  const { body } = await api.ask("GET", "/api/v1/clients/older");
  const later = new Date(Date.parse(body.since) + 1).toISOString();
  // The clock goes on in steps of a millisecond.
  while (Date.now() <= Date.parse(later)) await new Promise((resolve) => setImmediate(resolve));
  await connect("younger", { clean: false });
  const found = async (query: string) =>
    (await api.ask("GET", `/api/v1/clients?limit=1000&${query}`)).body.items
      .map((row: { clientId: string }) => row.clientId)
      .filter((id: string) => /^(older|younger)$/.test(id));
  expect(await found(`sinceBefore=${later}`)).toEqual(["older"]);
  expect(await found(`sinceAfter=${later}`)).toEqual(["younger"]);
  expect(await found(`sinceAfter=${later}&sinceBefore=${later}`)).toEqual([]);
  expect(await found("cleanStart=false")).toEqual(["younger"]);
  expect(await found("cleanStart=true&sort=clientId")).toEqual(["older"]);
  const wrong = await api.ask("GET", "/api/v1/clients?sinceAfter=yesterday");
  expect([wrong.status, wrong.body.errors[0].field]).toEqual([400, "sinceAfter"]);
});

test("one client: session, subscriptions and what waits; subscribed, kicked and its session ended by an operator (O-034, O-036)", async () => {
  const client = await connect("pump-7", {
    protocolVersion: 5,
    clean: false,
    properties: { sessionExpiryInterval: 600 },
  });
  await client.subscribeAsync("cmd/pump-7/#", { qos: 1 });
  client.end(true);
  await expect
    .poll(
      async () =>
        (await api.ask("GET", "/api/v1/clients/pump-7")).body.presence ??
        (await api.ask("GET", "/api/v1/clients/pump-7")).body.protocol,
    )
    .toBe(undefined);
  const published = await api.ask("POST", "/api/v1/publish", {
    body: { topic: "cmd/pump-7/set", payload: "AQL/", encoding: "base64", qos: 1 },
  });
  expect(published.body).toMatchObject({ accepted: true, matched: 1, waits: 1 });
  const detail = await api.ask("GET", "/api/v1/clients/pump-7?gateway=mqtt");
  expect(detail.body).toMatchObject({ clientId: "pump-7", gateway: "mqtt", waiting: 1, subscriptions: 1 });
  expect(detail.body.session).toMatchObject({ expiry: 600 });
  const waiting = await api.ask("GET", "/api/v1/clients/pump-7/waiting?payload=100");
  expect(waiting.body).toMatchObject([
    { topic: "cmd/pump-7/set", qos: 1, bytes: 3, stage: "queued", payload: "AQL/", encoding: "base64" },
  ]);
  const added = await api.ask("POST", "/api/v1/clients/pump-7/subscriptions", {
    body: { filter: "all/#", qos: 1 },
  });
  expect(added.status).toBe(201);
  const subscriptions = await api.ask("GET", "/api/v1/clients/pump-7/subscriptions");
  expect(subscriptions.body.map((one: { filter: string }) => one.filter).sort()).toEqual([
    "all/#",
    "cmd/pump-7/#",
  ]);
  const all = await api.ask("GET", "/api/v1/subscriptions?filter=all/%23");
  expect(all.body.items).toMatchObject([{ clientId: "pump-7", gateway: "mqtt", filter: "all/#", qos: 1 }]);
  const topics = await api.ask("GET", "/api/v1/topics?topic=all/x");
  expect(topics.body.items).toEqual([{ filter: "all/#", subscribers: 1, groups: [] }]);
  const removed = await api.ask("DELETE", "/api/v1/clients/pump-7/subscriptions?filter=all/%23");
  expect(removed.status).toBe(204);
  const away = await api.ask("DELETE", "/api/v1/clients/pump-7");
  expect([away.status, away.body.code]).toEqual([409, "conflict"]);
  expect((await api.ask("DELETE", "/api/v1/clients/pump-7/session")).status).toBe(204);
  expect((await api.ask("GET", "/api/v1/clients/pump-7")).status).toBe(404);
  const changes = await api.ask("GET", "/api/v1/changes?object=client%20mqtt/pump-7");
  expect(changes.body.items[0]).toMatchObject({
    who: "administrator",
    kind: "key",
    result: "done",
    before: { waiting: 1 },
  });
});

test("one message that waits is deleted, and a client gets past one that it never acknowledges, which the audit log has", async () => {
  const options = { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;
  // It takes one at a time, and this one it never acknowledges: as a device that fails at it.
  const stuck = await connect("stuck", {
    ...options,
    properties: { sessionExpiryInterval: 600, receiveMaximum: 1 },
  });
  stuck.handleMessage = () => {};
  await stuck.subscribeAsync("stuck/#", { qos: 1 });
  for (const payload of ["poison", "second", "third"])
    await api.ask("POST", "/api/v1/publish", { body: { topic: "stuck/x", payload, qos: 1 } });
  const waiting = async () =>
    (await api.ask("GET", "/api/v1/clients/stuck/waiting?payload=20")).body as {
      readonly id: string;
      readonly payload: string;
      readonly stage: string;
    }[];
  const [poison, second] = await waiting();
  expect([poison?.payload, poison?.stage, second?.stage]).toEqual(["poison", "handed-out", "queued"]);
  const at = (id: string, query = "") => `/api/v1/clients/stuck/waiting/${id}${query}`;
  expect((await api.ask("DELETE", at(second!.id))).status).toBe(204);
  expect((await api.ask("DELETE", at(second!.id))).body.code).toBe("not-found");
  const held = await api.ask("DELETE", at(poison!.id));
  expect([held.status, held.body.code]).toEqual([409, "conflict"]);
  expect(held.body.detail).toContain("disconnect=true");
  expect((await api.ask("DELETE", at(poison!.id, "?disconnect=true"))).status).toBe(204);
  expect((await waiting()).map(({ payload }) => payload)).toEqual(["third"]);
  const changes = await api.ask("GET", "/api/v1/changes?object=client%20mqtt/stuck");
  expect(changes.body.items.map(({ before }: { readonly before: object }) => before)).toEqual([
    { waiting: poison!.id },
    { waiting: second!.id },
  ]);
  const back = mqtt.connect(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, {
    clientId: "stuck",
    reconnectPeriod: 0,
    ...options,
  });
  clients.push(back);
  const [, payload] = await new Promise<[string, Buffer]>((heard) =>
    back.once("message", (topic, bytes) => heard([topic, bytes])),
  );
  expect(payload.toString()).toBe("third");
  // Acknowledged, and nothing is left of it.
  await expect.poll(waiting).toEqual([]);
});

test("a client that went without a word before its time is overdue, one that said goodbye is away", async () => {
  const options = { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const;
  const silent = await connect("silent", { ...options, keepalive: 1 });
  const polite = await connect("polite", { ...options, keepalive: 1 });
  silent.stream.destroy();
  await polite.endAsync();
  await expect
    .poll(
      async () =>
        (await api.ask("GET", "/api/v1/clients?state=overdue")).body.items.map(
          (row: { clientId: string }) => row.clientId,
        ),
      {
        timeout: 60_000,
      },
    )
    .toEqual(["silent"]);
  const row = (await api.ask("GET", "/api/v1/clients/polite")).body;
  expect(row.state).toBe("away");
  expect(row.dueAt).toBe(undefined);
});

test("a kicked client is disconnected, and a listener that is closed takes nobody until it is opened", async () => {
  const client = await connect("kicked");
  const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
  const kicked = await api.ask("POST", "/api/v1/clients/kick", {
    body: [
      { gateway: "mqtt", clientId: "kicked" },
      { gateway: "mqtt", clientId: "nobody" },
    ],
  });
  expect(kicked.body).toMatchObject({ succeed: 1, failed: [{ clientId: "nobody" }] });
  await closed;
  const shut = await api.ask("POST", "/api/v1/gateways/mqtt/listeners/ws/close");
  expect([shut.status, shut.body.open]).toEqual([200, false]);
  const again = await api.ask("POST", "/api/v1/gateways/mqtt/listeners/ws/close");
  expect([again.status, again.body.code]).toEqual([409, "conflict"]);
  const open = await api.ask("POST", "/api/v1/gateways/mqtt/listeners/ws/open");
  expect([open.status, open.body.open]).toEqual([200, true]);
});

test("the list as CSV keeps formulas out of spreadsheets", async () => {
  await connect("=cmd|' /C calc'!A0");
  const reply = await api.ask("GET", "/api/v1/clients.csv?gateway=mqtt");
  expect(reply.headers.get("content-type")).toContain("text/csv");
  expect(reply.body).toContain("'=cmd|' /C calc'!A0,mqtt");
  expect(reply.body.split("\r\n")[0]).toContain("clientId,gateway");
});
