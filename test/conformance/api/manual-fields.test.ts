/** Every object of the manuals of EMQ 2 and EMQ X 3 and 4 with all its fields (operate sheet O-001 to O-014). */
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askAt, startApi, type TestApi } from "../../support/api.ts";
import { until } from "../../support/store-process.ts";

let api: TestApi;
let device: mqtt.MqttClient;

const ask = (method: string, path: string, body?: unknown) =>
  askAt(api.base, method, path, { key: api.keys.administrator, ...(body === undefined ? {} : { body }) });
const url = (): string => `mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`;

beforeAll(async () => {
  api = await startApi();
  device = await mqtt.connectAsync(url(), { clientId: "c1", reconnectPeriod: 0 });
  await device.subscribeAsync("/World", { qos: 1 });
});
afterAll(async () => {
  device.end(true);
  await api.stop();
});

const MANAGEMENT = ["name", "version", "sysdescr", "uptime", "datetime", "otp_release", "node_status"];
const MONITORING = [
  ...["name", "otp_release", "memory_total", "memory_used", "process_available", "process_used"],
  ...["max_fds", "clients", "node_status", "load1", "load5", "load15"],
];
const CLIENT = [
  ...["client_id", "username", "ipaddress", "port", "clean_sess", "proto_ver", "keepalive", "connected_at"],
];
/** Those of E4, then those that only E2 has. */
const SESSION = [
  ...["client_id", "clean_sess", "max_inflight", "inflight_queue", "message_queue", "message_dropped"],
  ...["awaiting_rel", "awaiting_ack", "awaiting_comp", "created_at"],
  ...["subscriptions", "inflight_len", "mqueue_len", "mqueue_dropped", "awaiting_rel_len"],
  ...["deliver_msg", "enqueue_msg"],
];
const SUBSCRIPTION = ["client_id", "topic", "qos"];
const LISTENER = ["protocol", "listen", "acceptors", "max_clients", "current_clients", "shutdown_count"];
const PLUGIN = ["name", "version", "description", "active"];
const STATS = ["clients", "retained", "routes", "sessions", "subscribers", "subscriptions", "topics"].flatMap(
  (name) => [`${name}/count`, `${name}/max`],
);

type Found = Readonly<Record<string, never>>;
const whole = (found: Found) => found;
const first = (found: Found) => (found as never)[0];
const row = (found: Found) => (found["objects"] as never)[0];
const ofNode = (found: Found) => found["isthmus"]!;

/** Where an object is, and in the answer where. */
const OBJECTS: readonly [
  line: string,
  path: string,
  in_: (found: Found) => object,
  fields: readonly string[],
][] = [
  ["O-003", "management/nodes", first, MANAGEMENT],
  ["O-003", "management/nodes/isthmus", whole, MANAGEMENT],
  ["O-004", "monitoring/nodes", first, MONITORING],
  ["O-004", "monitoring/nodes/isthmus", whole, MONITORING],
  ["O-005", "nodes/isthmus/clients", row, CLIENT],
  ["O-005", "nodes/isthmus/clients/c1", row, CLIENT],
  ["O-005", "clients/c1", row, CLIENT],
  ["O-007", "nodes/isthmus/sessions", row, SESSION],
  ["O-007", "node/isthmus/sessions", row, SESSION],
  ["O-007", "nodes/isthmus/sessions/c1", row, SESSION],
  ["O-007", "sessions/c1", row, SESSION],
  ["O-008", "nodes/isthmus/subscriptions", row, SUBSCRIPTION],
  ["O-008", "nodes/isthmus/subscriptions/c1", row, SUBSCRIPTION],
  ["O-008", "subscriptions/c1", row, SUBSCRIPTION],
  ["O-009", "routes", row, ["topic", "node"]],
  ["O-009", "routes//World", row, ["topic", "node"]],
  ["O-012", "nodes/isthmus/plugins/", first, PLUGIN],
  ["O-013", "monitoring/listeners", (found) => (ofNode(found) as never)[0], LISTENER],
  ["O-013", "monitoring/listeners/isthmus", first, LISTENER],
  ["O-014", "monitoring/stats", ofNode, STATS],
  ["O-014", "monitoring/stats/isthmus", whole, STATS],
  ["O-014", "monitoring/metrics", ofNode, ["packets/received", "messages/qos0/sent", "bytes/sent"]],
  ["O-014", "monitoring/metrics/isthmus", whole, ["packets/received", "messages/qos0/sent", "bytes/sent"]],
];

describe.each([
  ["v2", "result"],
  ["v3", "data"],
] as const)("/api/%s, whose answers are 200 with a code and %s (O-001, O-025)", (version, member) => {
  const base = `/api/${version}`;

  test.each(OBJECTS)("%s: GET %s has each field of the manuals", async (_line, path, in_, fields) => {
    const { status, body } = await ask("GET", `${base}/${path}`);
    expect([status, body.code, Object.keys(body).sort()]).toEqual([200, 0, ["code", member].sort()]);
    expect(Object.keys(in_(body[member]))).toEqual(expect.arrayContaining([...fields]));
  });

  test("pages say where they are, have 20 rows unless asked, and 10,000 at most (O-002)", async () => {
    const page = async (query: string) =>
      (await ask("GET", `${base}/nodes/isthmus/clients${query}`)).body[member];
    expect(await page("")).toMatchObject({ current_page: 1, page_size: 20, total_num: 1, total_page: 1 });
    expect(await page("?curr_page=2&page_size=1")).toMatchObject({
      current_page: 2,
      total_page: 1,
      objects: [],
    });
    expect((await page("?page_size=20000")).page_size).toBe(10_000);
  });

  test("what is cheap to write is what the manuals print: a sentence, local time, megabytes, undefined (O-003 to O-005)", async () => {
    const { uptime, datetime } = (await ask("GET", `${base}/management/nodes/isthmus`)).body[member];
    expect(uptime).toMatch(/^(\d+ (days|hours|minutes), )*\d+ seconds$/);
    expect(datetime).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const { memory_total, memory_used, load1 } = (await ask("GET", `${base}/monitoring/nodes/isthmus`)).body[
      member
    ];
    for (const text of [memory_total, memory_used]) expect(text).toMatch(/^\d+\.\d\dM$/);
    expect(load1).toMatch(/^\d+\.\d\d$/);
    expect((await ask("GET", `${base}/clients/c1`)).body[member].objects[0].username).toBe("undefined");
  });

  test("a publish needs a topic alone: all else has the manuals' defaults (O-010, O-020)", async () => {
    const came: [string, string, number, boolean][] = [];
    const reader = await mqtt.connectAsync(url(), { reconnectPeriod: 0 });
    reader.on("message", (topic, payload, { qos, retain }) => came.push([topic, `${payload}`, qos, retain]));
    await reader.subscribeAsync(`bare/${version}`, { qos: 2 });
    const sent = await ask("POST", `${base}/mqtt/publish`, { topic: `bare/${version}` });
    expect(sent.body).toEqual({ code: 0, [member]: [] });
    await until(() => came.length > 0, "nothing comes");
    expect(came).toEqual([[`bare/${version}`, "", 0, false]]);
    expect((await api.ask("GET", "/api/v1/retained")).body.items).toEqual([]);
    await reader.endAsync(true);
  });

  test("DELETE disconnects, and clean_acl_cache forgets what was remembered of a client's rights (O-006)", async () => {
    const other = await mqtt.connectAsync(url(), { clientId: `gone-${version}`, reconnectPeriod: 0 });
    const closed = new Promise<void>((resolve) => other.once("close", () => resolve()));
    const forgotten = await ask("PUT", `${base}/clients/gone-${version}/clean_acl_cache`, { topic: "a" });
    expect(forgotten.body).toEqual({ code: 0, [member]: [] });
    const deleted = await ask("DELETE", `${base}/clients/gone-${version}`);
    expect(deleted.body).toEqual({ code: 0, [member]: [] });
    await closed;
    expect((await ask("DELETE", `${base}/clients/gone-${version}`)).body.code).toBe(112);
  });
});
