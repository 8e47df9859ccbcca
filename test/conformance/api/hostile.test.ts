/** Names and addresses that are made to lead elsewhere (D-031): topics as paths have them, and requests that no client would send. */
import { connect } from "node:net";
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_DEFAULTS, askAt, startApi, type TestApi } from "../../support/api.ts";

let api: TestApi;
let client: mqtt.MqttClient;

const TOPICS = [
  "..",
  ".",
  "-",
  "a/../b",
  "/../../etc/passwd",
  "%2e%2e",
  "%FF",
  "a%2Fb",
  "a b?c&d=e;f",
  "\u202egnp.exe",
  "é☃",
  "'\"<script>",
  "__proto__",
  "constructor",
  "/",
  "a//b",
  "\\..\\b",
];

beforeAll(async () => {
  api = await startApi();
  client = await mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`, {
    clientId: "reader",
  });
  for (const topic of TOPICS) await client.subscribeAsync(topic, { qos: 1 });
});
afterAll(async () => {
  await client.endAsync(true);
  await api.stop();
});

/** Those that no path can carry are named by the query. */
const addressOf = (topic: string): string =>
  topic === ".." || topic === "." || topic === "-"
    ? `/api/v1/retained/-?topic=${encodeURIComponent(topic)}`
    : `/api/v1/retained/${encodeURIComponent(topic)}`;

describe.each(TOPICS)("the topic %j", (topic) => {
  test("is retained, read, found in the list, and cleared, and no other is", async () => {
    const published = await api.ask("POST", "/api/v1/publish", {
      body: { topic, payload: `of ${topic}`, retain: true },
    });
    expect(published.body).toMatchObject({ accepted: true });
    const read = await api.ask("GET", addressOf(topic));
    expect([read.status, read.body.topic, read.body.payload]).toEqual([200, topic, `of ${topic}`]);
    const listed = await api.ask("GET", "/api/v1/retained?filter=%23");
    expect(listed.body.items.map((row: { topic: string }) => row.topic)).toEqual([topic]);
    expect((await api.ask("DELETE", addressOf(topic))).status).toBe(204);
    expect((await api.ask("GET", addressOf(topic))).status).toBe(404);
  });
});

// Whoever sends a path with one of the others has left it already: the manuals have no other form.
test.each(TOPICS.filter((topic) => topic !== ".." && topic !== "."))(
  "the topic %j is a route of the manuals, encoded once (O-120)",
  async (topic) => {
    const { body } = await api.ask("GET", `/api/v2/routes/${encodeURIComponent(topic)}`);
    expect(body).toEqual({ code: 0, result: { objects: [{ topic, node: "isthmus" }] } });
  },
);

/** As it stands, without what a library would mend. */
const raw = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(api.base).port), "127.0.0.1");
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.once("error", reject);
    socket.once("close", () => resolve(answer));
    socket.end(text);
  });

test.each([
  "/../../../../../../etc/passwd",
  "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
  "/..%2f..%2f..%2f..%2fetc%2fpasswd",
  "/..%5c..%5c..%5cetc%5cpasswd",
  "/api/v1/../../../../etc/passwd",
  "//etc/passwd",
  "/api/v1/clients/%00",
  "/api/v1/retained/%c0%ae%c0%ae",
  "/status/../../../etc/passwd",
])("the address %s leads to no file, and to no failure inside", async (path) => {
  const answer = await raw(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${api.keys.administrator}\r\nConnection: close\r\n\r\n`,
  );
  expect(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])).toBeGreaterThanOrEqual(400);
  expect(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])).toBeLessThan(500);
  expect(answer).not.toContain("root:");
  expect((await api.ask("GET", "/api/v1/node")).status).toBe(200);
});

test.each(["/api/v2/mqtt/publish", "/api/v3/rules", "/mqtt/publish", "/apis/v1/mqttproxy/x/topics/publish"])(
  "a body over the limit at %s is 413, and who may not ask is not listened to",
  async (path) => {
    const body = `"${"x".repeat(API_DEFAULTS.bodyMax + 2 * 1024 * 1024)}"`;
    expect((await api.ask("POST", path, { body })).status).toBe(413);
    expect((await askAt(api.base, "POST", path, { body: "{}" })).status).toBe(401);
  },
);

test("an object whose keys are those of every object is looked at as what it is", async () => {
  for (const [body, field] of [
    ['{"__proto__": {"topic": "a"}}', "/__proto__"],
    ['{"\\u005f_proto__": {"topic": "a"}}', "/__proto__"],
    ['{"topic": "a", "userProperties": {"__proto__": "x"}}', "/userProperties/__proto__"],
    ['{"constructor": {"prototype": {}}}', "/constructor"],
    ['{"topic": "a", "payload": "", "constructor": 1}', "/constructor"],
    ['{"topic": "a", "payload": "", "prototype": 1}', "/prototype"],
  ] as const) {
    const reply = await api.ask("POST", "/api/v1/publish", { body });
    expect([body, reply.status, reply.body.errors?.[0]?.field]).toEqual([body, 400, field]);
  }
  expect(Object.hasOwn({}, "topic")).toBe(false);
});

const published = (topic: string): Buffer => Buffer.from(`{"topic":"${topic}","payload":"x"}`, "latin1");
test.each([
  ["octets that are not UTF-8", published("a\xff"), "the body is not UTF-8"],
  ["half a character", published("a\\ud800"), "a text in the body holds half a surrogate pair"],
  ["the other half", published("a\\\\\\uDC00b"), "a text in the body holds half a surrogate pair"],
  [
    "halves in the wrong order",
    published("\\udc00\\ud800"),
    "a text in the body holds half a surrogate pair",
  ],
])("a body with %s is refused, and does not become another topic (RFC 8259 §8)", async (_, body, detail) => {
  for (const path of ["/api/v1/publish", "/api/v2/mqtt/publish"]) {
    const reply = await api.ask("POST", path, { body });
    expect([path, reply.status]).toEqual([path, 400]);
    if (path.startsWith("/api/v1")) expect(reply.body).toMatchObject({ code: "malformed-json", detail });
  }
});

test("a body with whole characters in escapes, and backslashes before a u, is read as it stands", async () => {
  for (const [written, topic] of [
    ["\\ud83d\\ude00", "😀"],
    ["\\\\ud800", "\\ud800"],
  ]) {
    const body = `{"topic":"${written}","payload":"x"}`;
    expect((await api.ask("POST", "/api/v1/publish", { body })).body).toMatchObject({ topic });
  }
});

test("a request with two Host headers is 400 (RFC 9112 §3.2)", async () => {
  const answer = await raw(
    "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nhost: evil.example\r\nConnection: close\r\n\r\n",
  );
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).toContain("more than one Host header");
});
