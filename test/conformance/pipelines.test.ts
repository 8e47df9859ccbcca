/** Pipelines in a gateway with real sockets: MQTT and CoAP clients, a Kafka cluster that is librdkafka's, Easegress's file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request as coapRequest } from "coap";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { KafkaMock } from "../support/kafka.ts";
import { lacks } from "../support/programs.ts";
import { CoapSocket } from "../support/store-coap.ts";
import { until } from "../support/store-process.ts";
import { WebSink } from "../support/web-sink.ts";

const GUIDE = readFileSync(new URL("../../docs/pipelines.md", import.meta.url), "utf8");
const EXAMPLE = /<!-- example: [^>]*-->\n```yaml\n([\s\S]*?)```/.exec(GUIDE)?.[1] ?? "";
const EASEGRESS = /<!-- easegress: [^>]*-->\n```yaml elsewhere\n([\s\S]*?)```/.exec(GUIDE)?.[1] ?? "";

let gateway: TestGateway | undefined;
const clients: MqttClient[] = [];
const folder = mkdtempSync(join(tmpdir(), "isthmus-pipelines-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await gateway?.stop();
  gateway = undefined;
});

const run = async (settings: object): Promise<TestGateway> => {
  gateway = await startGateway({ gateways: { mqtt: {}, coap: {} }, ...settings });
  return gateway;
};

async function connect(options: IClientOptions = {}): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway!.port("mqtt", "tcp")}`, {
    ...{ protocolVersion: 5, reconnectPeriod: 0, clientId: "c1", ...options },
  });
  client.on("error", () => {});
  clients.push(client);
  return client;
}

async function hears(filter = "#"): Promise<string[]> {
  const heard: string[] = [];
  const listener = await connect({ clientId: "listener" });
  listener.on("message", (topic, payload) => heard.push(`${topic} ${payload}`));
  await listener.subscribeAsync(filter, { qos: 1 });
  return heard;
}

/** The code of the first answer, whatever it is. */
const putRefused = (topic: string, payload: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const port = gateway!.port("coap", "udp");
    const request = coapRequest({ hostname: "127.0.0.1", port, method: "PUT", pathname: `/ps/${topic}` });
    request.on("response", ({ code }) => resolve(code)).on("error", reject);
    request.end(payload);
  });

const coap = (): CoapSocket => new CoapSocket(gateway!.port("coap", "udp"));

/** What a log line says of refusals. */
const refusals = (): string[] =>
  gateway!.log
    .map((line) => JSON.parse(line))
    .flatMap(({ event, reason }) => (event === "hook-refused" ? [reason] : []));

describe.skipIf(lacks("kcat"))("with Kafka", () => {
  let cluster: KafkaMock;
  beforeAll(async () => {
    cluster = await new KafkaMock().start();
  });
  afterAll(() => cluster.stop());
  const fitted = (text: string): string => text.replaceAll("127.0.0.1:9092", `127.0.0.1:${cluster.port}`);
  const file = (text: string): string => {
    const path = join(folder, "mqttproxy.yaml");
    writeFileSync(path, fitted(text));
    return path;
  };
  const consumed = async (topic: string, records: number) => {
    let found: Awaited<ReturnType<KafkaMock["consume"]>> = [];
    const read = async (): Promise<boolean> => {
      found = await cluster.consume(topic);
      return found.length >= records;
    };
    await until(read, `${records} in ${topic}`);
    return found.map(({ value, headers }) => ({
      value,
      headers: headers.split(",").filter((line) => !line.startsWith("delivery-id")),
    }));
  };

  it("runs the guide's own example: limits, validates, sends, and delivers here too (R-100, R-108)", async () => {
    await run(parse(fitted(EXAMPLE)) as object);
    const heard = await hears("s/#");
    const client = await connect();
    await client.publishAsync("s/1", '{"t":21}', { qos: 1 });
    await expect(client.publishAsync("s/1", '{"t":"warm"}', { qos: 1 })).rejects.toThrow();
    const device = coap();
    expect(await device.put("s/2", '{"t":22}')).toMatch(/^2\.0[14]$/);
    expect(await putRefused("s/2", "no JSON")).toBe("4.00");
    device.close();
    const records = await consumed("readings", 2);
    expect(records.map(({ value }) => value).sort()).toEqual(['{"t":21}', '{"t":22}']);
    const { headers } = records.find(({ value }) => value === '{"t":21}')!;
    expect(headers).toEqual(["clientID=c1", "username=", "mqttTopic=s/1"]);
    await until(() => heard.length === 2, "both here");
    expect(heard).toEqual(['s/1 {"t":21}', 's/2 {"t":22}']);
    expect(refusals()[0]).toBe("/t must be number");
    const metrics = await gateway!.composition.metrics.text();
    expect(metrics).toMatch(
      /isthmus_pipeline_filters_total\{pipeline="readings",filter="shape",result="Invalid"\} 2/,
    );
    expect(metrics).toMatch(
      /isthmus_pipeline_filters_total\{pipeline="readings",filter="send",result="passed"\} 2/,
    );
  });

  it("reads Easegress's own file: its user, its three topics, and nobody here gets them (R-100 to R-108)", async () => {
    await run({ easegress: { files: [file(EASEGRESS)] } });
    await expect(connect({ username: "test", password: "wrong" })).rejects.toThrow(/Bad User|authori[sz]ed/i);
    await expect(connect({})).rejects.toThrow();
    expect(await putRefused("gateway/gate9/iphone/log", "x")).toBe("4.01");
    const client = await connect({ username: "test", password: "test" });
    const heard: string[] = [];
    client.on("message", (topic) => heard.push(topic));
    await client.subscribeAsync("#", { qos: 1 });
    for (const topic of ["gateway/gate123/iphone/log", "direct/xiaomi/status", "direct/tv/log"])
      await client.publishAsync(topic, topic, { qos: 1, retain: true });
    await expect(client.publishAsync("other/x", "lost", { qos: 1 })).rejects.toThrow();
    const about = (topic: string, ...headers: string[]) => ({
      value: topic,
      headers: ["clientID=c1", "username=test", `mqttTopic=${topic}`, ...headers],
    });
    expect(await consumed("iot_phone", 2)).toEqual([
      about(
        "gateway/gate123/iphone/log",
        "gateway=gateway",
        "gatewayID=gate123",
        "device=iphone",
        "status=log",
      ),
      about("direct/xiaomi/status", "direct=direct", "device=xiaomi", "status=status"),
    ]);
    expect(await consumed("iot_other", 1)).toEqual([
      about("direct/tv/log", "direct=direct", "device=tv", "status=log"),
    ]);
    expect(heard).toEqual([]);
    expect(gateway!.composition.bus.retainedMessages.count).toBe(0);
  });

  it("follows the seed's own topicIndex 3, which makes iot_other of its first example (R-104)", async () => {
    await run({
      easegress: {
        files: [file(EASEGRESS.replace("topicIndex: 2", "topicIndex: 3").replaceAll("iot_", "seed_"))],
      },
    });
    const client = await connect({ username: "test", password: "test" });
    await client.publishAsync("gateway/gate123/iphone/log", "1", { qos: 1 });
    expect((await consumed("seed_other", 1)).map(({ value }) => value)).toEqual(["1"]);
  });

  it("sends a will when it is published, and to nobody here", async () => {
    await run({ easegress: { files: [file(EASEGRESS.replaceAll("iot_", "will_"))] } });
    const heard = await connect({ clientId: "w", username: "test", password: "test" });
    const got: string[] = [];
    heard.on("message", (topic) => got.push(topic));
    await heard.subscribeAsync("#", { qos: 1 });
    const will = {
      topic: "direct/iphone/gone",
      payload: Buffer.from("gone"),
      qos: 1 as const,
      retain: false,
    };
    const client = await connect({ clientId: "dies", username: "test", password: "test", will });
    const before = await cluster.consume("will_phone").catch(() => []);
    expect(before).toEqual([]);
    client.stream.destroy();
    expect((await consumed("will_phone", 1)).map(({ value }) => value)).toEqual(["gone"]);
    expect(got).toEqual([]);
  });
});

describe("with HTTP", () => {
  let web: WebSink;
  beforeAll(async () => {
    web = await new WebSink().start();
  });
  afterAll(() => web.stop());
  afterEach(() => {
    web.requests.length = 0;
    web.answer = (_, response) => response.end();
  });
  const hook = () => ({ hook: { kind: "http", url: web.url } });

  it("sends payloads with mapped headers, and withholds MQTT's and CoAP's answers until they are taken (ack: after_sink)", async () => {
    const map = {
      ...{ name: "map", kind: "TopicMapper", matchIndex: 0, route: [{ name: "all", matchExpr: ".*" }] },
      policies: [
        {
          name: "all",
          topicIndex: 0,
          route: [{ topic: "x", exprs: [".*"] }],
          headers: { 0: "site", 1: "device id" },
        },
      ],
    };
    const send = {
      ...{ name: "send", kind: "HTTP", connector: "hook", path: "/in/${clientid}", ack: "after_sink" },
      mqtt: { headerKey: "mappedHeaders" },
    };
    // Clients of one lane would wait for each other.
    const connectors = { hook: { ...hook().hook, order: "none" } };
    await run({
      connectors,
      pipelines: { up: { packetType: "Publish", brokerMode: false, filters: [map, send] } },
    });
    const waiting: { end(): void }[] = [];
    web.answer = (_, response) => waiting.push(response);
    const client = await connect();
    let answered = 0;
    const published = client.publishAsync("büro/7", "21", { qos: 1 }).then(() => answered++);
    await until(() => web.requests.length === 1, "the request");
    const device = coap();
    const put = device.put("hall/8", "22").then((code) => {
      answered++;
      return code;
    });
    await until(() => web.requests.length === 2, "the other request");
    expect(answered).toBe(0);
    for (const response of waiting) response.end();
    await published;
    expect(await put).toMatch(/^2\.0[14]$/);
    device.close();
    expect(web.requests[0]).toMatchObject({ method: "POST", path: "/in/c1", body: "21" });
    expect(web.requests[0]!.headers).toMatchObject({ site: "b%C3%BCro", "device-id": "7" });
    expect(web.requests[1]).toMatchObject({ body: "22", headers: { site: "hall", "device-id": "8" } });
  });

  it("tells of subscriptions and of the end of a client, and refuses a SUBSCRIBE by its levels (R-100)", async () => {
    const only = {
      ...{ name: "only", kind: "TopicMapper", matchIndex: 0, route: [{ name: "a", matchExpr: "^a$" }] },
      policies: [{ name: "a", topicIndex: 0, route: [{ topic: "a", exprs: [".*"] }] }],
    };
    const send = { name: "send", kind: "HTTP", connector: "hook" };
    const pipelines = {
      subscribe: { packetType: "Subscribe", filters: [only, send] },
      unsubscribe: { packetType: "Unsubscribe", filters: [send] },
      disconnect: { packetType: "Disconnect", gateways: ["mqtt"], filters: [send] },
    };
    await run({ connectors: hook(), pipelines });
    const client = await connect({ username: "u1" });
    await client.subscribeAsync("a/#", { qos: 1 });
    await expect(client.subscribeAsync("b/#", { qos: 1 })).rejects.toThrow();
    await client.unsubscribeAsync("a/#");
    await client.endAsync();
    await until(() => web.requests.length === 3, "three requests");
    const device = coap();
    expect(await device.put("x", "1")).toMatch(/^2\.0[14]$/);
    device.close();
    expect(web.bodies.map((body) => JSON.parse(body))).toMatchObject([
      { event: "Subscribe", clientid: "c1", username: "u1", gateway: "mqtt", topic: "a/#", qos: 1 },
      { event: "Unsubscribe", clientid: "c1", topic: "a/#" },
      { event: "Disconnect", clientid: "c1", reason: "closed" },
    ]);
  });

  it("refuses connections and messages beyond their rates (RateLimiter)", async () => {
    const limit = { name: "limit", kind: "RateLimiter", timePeriod: "1h" };
    const pipelines = {
      connect: { packetType: "Connect", gateways: ["mqtt"], filters: [{ ...limit, requestRate: 2 }] },
      publish: { packetType: "Publish", filters: [{ ...limit, requestRate: 1 }] },
    };
    await run({ pipelines });
    const heard = await hears();
    const client = await connect();
    await expect(connect({ clientId: "third" })).rejects.toThrow(/quota/i);
    await client.publishAsync("x", "1", { qos: 1 });
    await expect(client.publishAsync("x", "2", { qos: 1 })).rejects.toMatchObject({ code: 0x97 });
    await until(() => heard.length === 1, "the first");
    expect(heard).toEqual(["x 1"]);
  });

  it("says that a sink which may drop nothing is full", async () => {
    const connectors = {
      hook: { ...hook().hook, enable: false, queue: { messages: 1, full: "refuse" } },
    };
    const filters = [{ name: "send", kind: "HTTP", connector: "hook" }];
    await run({ connectors, pipelines: { p: { packetType: "Publish", filters } } });
    const client = await connect();
    await client.publishAsync("x", "1", { qos: 1 });
    await expect(client.publishAsync("x", "2", { qos: 1 })).rejects.toMatchObject({ code: 0x97 });
  });
});

describe("Easegress's files", () => {
  const load = (text: string | undefined, name = "eg.yaml") => {
    const path = join(folder, name);
    if (text !== undefined) writeFileSync(path, text);
    return loadText(MODULES, JSON.stringify({ easegress: { files: [path] } }));
  };
  const proxy = "kind: MQTTProxy\nname: proxy\n";
  const broken = (of: string, by: string): string => EASEGRESS.replace(of, by);

  it("become pipelines and a connector, with warnings for what is said elsewhere here", () => {
    const more = `${proxy}port: 1883\nuseTLS: true\nbrokerMode: true\nclientPublishLimit: { requestRate: 5, timePeriod: 2 }\n`;
    const { config, warnings } = load(EASEGRESS.replace("kind: MQTTProxy\nname: mqttproxy\n", more));
    expect(Object.keys(config.pipelines)).toEqual([
      "proxy-clientPublishLimit",
      "pipeline-mqtt-auth",
      "pipeline-mqtt-publish",
    ]);
    expect(config.pipelines["pipeline-mqtt-publish"]).toMatchObject({
      packetType: "Publish",
      brokerMode: true,
    });
    expect(config.pipelines["proxy-clientPublishLimit"]!.filters).toMatchObject([
      { kind: "RateLimiter", per: "client", requestRate: 5, timePeriod: 2000 },
    ]);
    expect(config.connectors["pipeline-mqtt-publish-publish-kafka-backend"]).toMatchObject({
      ...{ kind: "kafka", brokers: ["127.0.0.1:9092"] },
    });
    expect(warnings.filter((each) => each.includes("passed over")).join()).toMatch(
      /eg\.yaml:3: port .*useTLS/s,
    );
  });

  it.each([
    ["that there is not", undefined, /easegress\.files\[0\] is ".*none\.yaml", which cannot be read: ENOENT/],
    ["that is no YAML", "a: [", /eg\.yaml:1: /],
    [
      "of another kind",
      "kind: HTTPServer\nname: x\n",
      /eg\.yaml:1: kind is "HTTPServer"; allowed: MQTTProxy, Pipeline/,
    ],
    [
      "with a misspelt key",
      `${proxy}rulez: []\n`,
      /eg\.yaml:\d+: rulez is not a known key; did you mean "rules"/,
    ],
    [
      "with a packet type that there is not",
      broken("packetType: Connect", "packetType: Ping"),
      /eg\.yaml:5: rules\[0\]\.when\.packetType is "Ping"; allowed: one of Connect/,
    ],
    [
      "whose rule leads nowhere",
      broken("pipeline: pipeline-mqtt-auth", "pipeline: other"),
      /eg\.yaml:6: rules\[0\]\.pipeline is "other"; allowed: a pipeline: pipeline-mqtt-auth/,
    ],
    [
      "with an expression that is none",
      broken('"gate*"', '"gate("'),
      /eg\.yaml:44: pipelines\.pipeline-mqtt-publish\.filters\[0\]\.route\[0\]\.matchExpr/,
    ],
    [
      "with a filter's unknown key",
      broken("salt: salt", "sallt: salt"),
      /eg\.yaml:\d+: pipelines\.pipeline-mqtt-auth\.filters\[0\]\.sallt is not a known key; did you mean "salt"/,
    ],
    [
      "with no broker",
      broken('["127.0.0.1:9092"]', '["kafka"]'),
      /connectors\.pipeline-mqtt-publish-publish-kafka-backend\.brokers/,
    ],
    [
      "that grows when it is read",
      `${proxy}a: &a [x]\n${Array.from({ length: 12 }, (_, i) => `b${i}: &b${i} [${`*${i === 0 ? "a" : `b${i - 1}`}, `.repeat(9)}]`).join("\n")}\n`,
      /eg\.yaml.*too many aliases/,
    ],
  ])("%s are told with file, line and key", (_what, text, says) => {
    expect(() => (text === undefined ? load(undefined, "none.yaml") : load(text))).toThrow(says);
  });
});
