/** Webhooks: the events and bodies of the manuals, posted to a real HTTP service. */
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { until } from "../support/store-process.ts";
import { WebSink } from "../support/web-sink.ts";

const GUIDE = readFileSync(new URL("../../docs/webhooks.md", import.meta.url), "utf8");
const [, EXAMPLE = "", BODY = ""] =
  /<!-- example: [^>]*-->\n```yaml\n([\s\S]*?)```[\s\S]*?```json\n([\s\S]*?)\n```/.exec(GUIDE) ?? [];

let web: WebSink;
let gateway: TestGateway | undefined;
const clients: MqttClient[] = [];

beforeAll(async () => {
  web = await new WebSink().start();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await gateway?.stop();
  gateway = undefined;
  web.requests.length = 0;
});
afterAll(() => web.stop());

async function connect(options: IClientOptions = {}): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway!.port("mqtt", "tcp")}`, {
    ...{ clientId: "c1", username: "Steven", protocolVersion: 5, keepalive: 60, reconnectPeriod: 0 },
    ...options,
  });
  clients.push(client);
  return client;
}

/** What one client does that is told of in each event. */
async function live(): Promise<void> {
  const client = await connect();
  await client.subscribeAsync("t/#", { qos: 1 });
  await client.subscribeAsync("other", { qos: 0 });
  const heard = new Promise((resolve) => client.once("message", resolve));
  await client.publishAsync("t/1", "hello", { qos: 1, retain: true });
  await heard;
  await client.unsubscribeAsync("t/#");
  await client.unsubscribeAsync("other");
  await client.endAsync();
}

const WHOLE = expect.toSatisfy(Number.isInteger, "a whole number");
const WHO = { clientid: "c1", username: "Steven" };
const FROM = { from_clientid: "c1", from_username: "Steven" };
const SAID = { topic: "t/1", qos: 1, retain: true, payload: "hello", ts: WHOLE };
const CAME = {
  ...{ ipaddress: "127.0.0.1", keepalive: 60, proto_ver: 5, connected_at: WHOLE },
};

/** Each event of R-030, by its action, and its whole body. */
const BODIES: readonly (readonly [event: string, action: string, body: object])[] = [
  ["client.connected", "client_connected", { ...WHO, ...CAME }],
  ["client.disconnected", "client_disconnected", { ...WHO, reason: "normal" }],
  ["client.subscribe", "client_subscribe", { ...WHO, topic: "t/#", qos: 1 }],
  ["client.unsubscribe", "client_unsubscribe", { ...WHO, topic: "t/#" }],
  ["session.created", "session_created", WHO],
  ["session.subscribed", "session_subscribed", { ...WHO, topic: "t/#", qos: 1 }],
  ["session.unsubscribed", "session_unsubscribed", { ...WHO, topic: "t/#" }],
  ["session.terminated", "session_terminated", { ...WHO, reason: "normal" }],
  ["message.publish", "message_publish", { ...FROM, ...SAID }],
  ["message.deliver", "message_delivered", { ...WHO, ...FROM, ...SAID }],
  ["message.acked", "message_acked", { ...WHO, ...FROM, ...SAID }],
];

/** As it was called before EMQ X 4. */
const older = (body: object): object =>
  Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name.replace("clientid", "client_id"), value]),
  );

describe.each([
  ["clientid", "none", (body: object) => body, "hello"],
  ["client_id", "base64", older, "aGVsbG8="],
  ["clientid", "base62", (body: object) => body, "aGVsbGP"],
] as const)("events with %s, payloads encoded: %s (R-030)", (clientIdAs, encodePayload, named, payload) => {
  it("are posted once each, with all fields of the manuals and no other", async () => {
    gateway = await startGateway({
      gateways: { mqtt: {} },
      connectors: { service: { kind: "http", url: web.url } },
      webhooks: { main: { connector: "service", path: "/in", topic: "t/#", clientIdAs, encodePayload } },
    });
    await live();
    await until(() => web.requests.length >= BODIES.length, "events that were posted");
    const posted = web.requests.map(({ body }) => JSON.parse(body));
    const wanted = BODIES.map(([, action, body]) => ({
      action,
      ...named("payload" in body ? { ...body, payload } : body),
    }));
    expect(posted).toHaveLength(wanted.length);
    for (const body of wanted) expect(posted).toContainEqual(body);
    expect(new Set(web.requests.map(({ method, path }) => `${method} ${path}`))).toEqual(
      new Set(["POST /in"]),
    );
  });
});

describe("the example of the guide", () => {
  it("posts what it names, with its header and signed, in the form that stands there", async () => {
    const settings = parse(EXAMPLE.replace("http://127.0.0.1:8080", web.url));
    gateway = await startGateway({ gateways: { mqtt: {} }, ...settings });
    await live();
    await until(() => web.requests.length >= 3, "three events");
    const [first] = web.requests;
    expect(web.requests.map(({ body }) => JSON.parse(body).action).sort()).toEqual([
      "client_connected",
      "client_disconnected",
      "message_publish",
    ]);
    const { headers, path, body } = first!;
    expect([path, headers["token"], headers["content-type"]]).toEqual([
      "/events",
      "axfw34y235wrq234t4ersgw4t",
      "application/json",
    ]);
    const key = Buffer.from("secret of the guide");
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const hmac = createHmac("sha256", key).update(signed).digest("base64");
    expect(headers["webhook-signature"]).toBe(`v1,${hmac}`);
    expect(body.replace(/\d{13}/, "1708703790000")).toBe(BODY);
  });
});

describe("a webhook that cannot be", () => {
  const HTTP = { service: { kind: "http", url: "http://127.0.0.1:1" } };
  const of = (webhook: object, more: object = {}) =>
    loadText(MODULES, JSON.stringify({ connectors: HTTP, webhooks: { main: webhook }, ...more }));

  it.each([
    [{ connector: "none" }, {}, 'webhooks.main.connector is "none"; allowed: a connector of kind http'],
    [{ connector: "service", topic: "a/#/b" }, {}, 'webhooks.main.topic is "a/#/b"'],
    [{ connector: "service", topic: "a'b" }, {}, "a quotation mark"],
    [{ connector: "service", events: ["client.gone"] }, {}, "webhooks.main.events[0]"],
    [
      { connector: "service", events: ["message.publish"] },
      { rules: { "main-message_publish": { sql: 'SELECT * FROM "t"' } } },
      "rules.main-message_publish is there already, and webhooks.main makes one of that name",
    ],
  ])("%j says key, value and what is allowed", (webhook, more, says) => {
    expect(() => of(webhook, more)).toThrow(says);
  });

  it("may have one of its rules switched off", () => {
    const { config } = of({ connector: "service" }, { rules: { "main-message_acked": { enable: false } } });
    expect(config.rules["main-message_acked"]).toMatchObject({
      enable: false,
      description: "Of webhooks.main.",
    });
    expect(Object.keys(config.rules)).toHaveLength(BODIES.length);
  });
});
