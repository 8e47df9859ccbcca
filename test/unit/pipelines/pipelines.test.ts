/** Pipelines packet by packet, without a gateway: Easegress's examples of TopicMapper, flows, and what cannot work. */
import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import type { Instant } from "#core/lib/time.ts";
import { MODULES } from "#core/modules.ts";
import { Context, type Packet } from "#core/pipelines/filter.ts";
import { type Outcome, Pipeline } from "#core/pipelines/pipeline.ts";
import { topicMapper } from "#core/pipelines/topic-mapper.ts";

const sender = { gateway: "mqtt", clientId: "c1", username: "u1", address: "127.0.0.1" };

const publish = (topic: string, payload = ""): Packet => ({
  ...{ type: "Publish", sender, topic, qos: 1 },
  message: {
    ...{ topic, payload: Buffer.from(payload), qos: 1, retain: false, properties: {}, expiry: undefined },
  },
});

const PHONES = [
  { topic: "iot_phone", exprs: ["iphone", "xiaomi", "oppo", "pixel"] },
  { topic: "iot_other", exprs: [".*"] },
];
const direct = {
  name: "direct",
  topicIndex: 1,
  route: PHONES,
  headers: { 0: "direct", 1: "device", 2: "status" },
};
const gateway = (topicIndex: number) => ({
  ...{ name: "gateway", topicIndex, route: PHONES },
  headers: { 0: "gateway", 1: "gatewayID", 2: "device", 3: "status" },
});
const route = [
  { name: "gateway", matchExpr: "gate*" },
  { name: "direct", matchExpr: "dir*" },
];

type Mapper = Parameters<typeof topicMapper>[0];

const mapper = (more: object): Mapper =>
  ({
    ...{ kind: "TopicMapper", name: "map", setKV: { topic: "t", headers: "h" }, matchIndex: 0 },
    ...{ route, policies: [direct, gateway(2)] },
    ...more,
  }) as Mapper;

function mapped(topic: string, more: object = {}): unknown {
  const context = new Context(publish(topic), 0 as Instant);
  const failed = topicMapper(mapper(more)).handle(context);
  return failed?.result ?? { topic: context.keys.get("t"), headers: context.keys.get("h") };
}

describe("TopicMapper", () => {
  it("reads the seed's first example: iot_phone with topicIndex 2, iot_other with the seed's own 3 (R-104)", () => {
    const headers = { gateway: "gateway", gatewayID: "gate123", device: "iphone", status: "log" };
    expect(mapped("gateway/gate123/iphone/log")).toEqual({ topic: "iot_phone", headers });
    const policies = [direct, gateway(3)];
    expect(mapped("gateway/gate123/iphone/log", { policies })).toEqual({ topic: "iot_other", headers });
  });

  it.each([
    ["direct/xiaomi/status", "iot_phone", { direct: "direct", device: "xiaomi", status: "status" }],
    ["direct/tv/log", "iot_other", { direct: "direct", device: "tv", status: "log" }],
    ["direct/iphone/x", "iot_phone", { direct: "direct", device: "iphone", status: "x" }],
    ["direct/car/x", "iot_other", { direct: "direct", device: "car", status: "x" }],
  ])("reads the seed's second and third example: %s (R-105)", (topic, made, headers) => {
    expect(mapped(topic)).toEqual({ topic: made, headers });
  });

  it.each([
    ["beijing", "car", "123", "log"],
    ["shanghai", "tv", "234", "status"],
    ["nanjing", "phone", "456", "error"],
  ])("makes headers of loc/device/ID/event: %s/%s/%s/%s (R-106)", (loc, device, ID, event) => {
    const any = { name: "any", topicIndex: 0, route: [{ topic: "iot_device", exprs: [".*"] }] };
    const policies = [{ ...any, headers: { 0: "loc", 1: "device", 2: "ID", 3: "event" } }];
    const more = { policies, route: [{ name: "any", matchExpr: ".*" }] };
    const topic = `${loc}/${device}/${ID}/${event}`;
    expect(mapped(topic, more)).toEqual({ topic: "iot_device", headers: { loc, device, ID, event } });
  });

  it("reads the policies of Easegress's own tests (R-107)", () => {
    const routes = [
      { topic: "to_cloud", exprs: ["bar", "foo"] },
      { topic: "to_raw", exprs: [".*"] },
    ];
    const more = {
      route: [
        { name: "g2s", matchExpr: "g2s" },
        { name: "d2s", matchExpr: "d2s" },
      ],
      policies: [
        { name: "d2s", topicIndex: 1, route: routes, headers: { 0: "d2s", 1: "type", 2: "device" } },
        {
          ...{ name: "g2s", topicIndex: 4, route: routes },
          headers: { 0: "g2s", 1: "gateway", 2: "info", 3: "device", 4: "type" },
        },
      ],
    };
    expect(mapped("/d2s/foo/phone", more)).toEqual({
      topic: "to_cloud",
      headers: { d2s: "d2s", type: "foo", device: "phone" },
    });
    expect(mapped("/g2s/gwTest/info/phone/raw", more)).toEqual({
      topic: "to_raw",
      headers: { g2s: "g2s", gateway: "gwTest", info: "info", device: "phone", type: "raw" },
    });
  });

  it("counts levels from behind one leading slash (R-101)", () => {
    expect(mapped("/direct/tv/log")).toEqual(mapped("direct/tv/log"));
    expect(mapped("//direct/tv/log")).toBe("MQTTTopicMapFailed");
  });

  it("finds expressions anywhere in a level, unless they are anchored (R-102)", () => {
    expect(mapped("navigate/1/iphone/x")).toMatchObject({ topic: "iot_phone" });
    expect(mapped("radio/tv")).toMatchObject({ topic: "iot_other" });
    const anchored = [{ name: "gateway", matchExpr: "^gateway$" }];
    expect(mapped("navigate/1/iphone/x", { route: anchored })).toBe("MQTTTopicMapFailed");
  });

  it("leaves out a header whose level is missing, and fails without the level that decides (R-103)", () => {
    expect(mapped("direct/tv")).toEqual({ topic: "iot_other", headers: { direct: "direct", device: "tv" } });
    expect(mapped("direct")).toBe("MQTTTopicMapFailed");
    expect(mapped("a", { matchIndex: 3 })).toBe("MQTTTopicMapFailed");
    expect(mapped("other/x/y")).toBe("MQTTTopicMapFailed");
  });
});

const settingsOf = (pipeline: object, more: object = {}) =>
  loadText(MODULES, JSON.stringify({ pipelines: { p: { packetType: "Publish", ...pipeline } }, ...more }))
    .config;

function pipelineOf(pipeline: object, counted: string[] = []): Pipeline {
  const host = {
    ...{ now: () => 0 as Instant, newId: () => "id", sink: () => undefined, kindOf: () => undefined },
    mark: () => "",
    secret: (value: string) => value,
    count: (_: string, filter: string, result: string) => counted.push(`${filter} ${result}`),
  };
  return new Pipeline("p", settingsOf(pipeline).pipelines["p"]!, host);
}

const becomes = (outcome: Outcome): unknown =>
  outcome.kind === "refuse" ? `${outcome.refusal}: ${outcome.reason}` : outcome.kind;

const validator = (schema: object, more: object = {}) => ({
  name: "shape",
  kind: "Validator",
  schema,
  ...more,
});

describe("a flow", () => {
  const map = mapper({});
  const shape = validator({ type: "number" });

  it("refuses by the result of the filter that nothing is said of, and counts it (R-103)", () => {
    const counted: string[] = [];
    const pipeline = pipelineOf({ filters: [map, shape] }, counted);
    expect(becomes(pipeline.run(publish("x", "1")))).toMatch(/^forbidden: the topic x matches no route$/);
    expect(becomes(pipeline.run(publish("direct/tv", "1")))).toBe("pass");
    expect(counted).toEqual(["map MQTTTopicMapFailed", "map passed", "shape passed"]);
  });

  it("goes on where jumpIf says so, to a filter behind or to the end (R-103)", () => {
    const flow = (target: string) => [
      { filter: "map", jumpIf: { MQTTTopicMapFailed: target } },
      { filter: "limit" },
      { filter: "shape" },
    ];
    const filters = [map, shape, { name: "limit", kind: "RateLimiter", requestRate: 0 }];
    expect(becomes(pipelineOf({ filters, flow: flow("END") }).run(publish("x", "a")))).toBe("pass");
    expect(becomes(pipelineOf({ filters, flow: flow("shape") }).run(publish("x", "1")))).toBe("pass");
    expect(becomes(pipelineOf({ filters, flow: flow("limit") }).run(publish("x", "1")))).toMatch(/^quota/);
  });

  it("ends at END, and swallows what passes without brokerMode (R-100)", () => {
    const flow = [{ filter: "END" }, { filter: "shape" }];
    expect(becomes(pipelineOf({ filters: [shape], flow }).run(publish("x", "a")))).toBe("pass");
    expect(becomes(pipelineOf({ filters: [shape], brokerMode: false }).run(publish("x", "1")))).toBe("drop");
  });

  it("limits each client by packets and octets, and lets the rest pass", () => {
    const limit = { name: "l", kind: "RateLimiter", requestRate: 2, bytesRate: 10, timePeriod: "1m" };
    const pipeline = pipelineOf({ filters: [limit] });
    const from = (clientId: string, payload = "") =>
      becomes(pipeline.run({ ...publish("x", payload), sender: { ...sender, clientId } }));
    expect([from("a"), from("a"), from("a"), from("b")]).toEqual(["pass", "pass", expect.anything(), "pass"]);
    expect([from("c", "12345678"), from("c", "12345678")]).toEqual(["pass", "quota: too many in this time"]);
  });
});

describe("Validator", () => {
  const run = (payload: string, schema: object, more?: object) =>
    becomes(pipelineOf({ filters: [validator(schema, more)] }).run(publish("x", payload)));

  it("says where a payload is not as the schema wants it", () => {
    const schema = { type: "object", required: ["t"], properties: { t: { type: "number", maximum: 100 } } };
    expect(run('{"t":21}', schema)).toBe("pass");
    expect(run('{"t":"21"}', schema)).toBe("malformed: /t must be number");
    expect(run('{"t":101}', schema)).toBe("malformed: /t must be <= 100");
    expect(run("{}", schema)).toBe("malformed: the payload must have required property 't'");
    expect(run("{", schema)).toMatch(/^malformed: the payload is no JSON/);
  });

  it("looks at no payload that is too large, and takes expressions in linear time", () => {
    expect(run(JSON.stringify("x".repeat(2_000)), {}, { maximumSize: "1KB" })).toMatch(
      /^malformed: 2002 octets/,
    );
    // By backtracking it would be 2^40 steps.
    expect(run(JSON.stringify(`${"a".repeat(40)}!`), { pattern: "^(a+)+$" })).toMatch(/^malformed/);
  });

  it("refuses a payload for all of whose texts its expressions would take too long, also where they may not be found", () => {
    const texts = Array.from({ length: 2_000 }, () => "a".repeat(100));
    const schema = (items: object) => ({ type: "array", items });
    const slow = { pattern: "^(a?){400}b$" };
    expect(run(JSON.stringify(texts), schema({ not: slow }))).toBe(
      "malformed: the expressions of its schema would take too long",
    );
    expect(run(JSON.stringify(texts.slice(0, 20)), schema({ not: slow }))).toBe("pass");
  });
});

describe("a configuration that cannot work", () => {
  const map = mapper({});
  const limit = { name: "limit", kind: "RateLimiter" };
  it.each([
    [
      "an expression that is none",
      { filters: [mapper({ route: [{ name: "direct", matchExpr: "(" }] })] },
      "pipelines.p.filters[0].route[0].matchExpr",
    ],
    [
      "an expression of a policy",
      {
        filters: [
          mapper({
            policies: [{ ...direct, route: [{ topic: "x", exprs: ["ok", "a{1001}"] }] }],
            route: [route[1]],
          }),
        ],
      },
      "pipelines.p.filters[0].policies[0].route[0].exprs[1]",
    ],
    [
      "a policy that is not there",
      { filters: [mapper({ policies: [direct] })] },
      'route[0].name "gateway" is no policy: expected one of direct',
    ],
    [
      "a level that is no number",
      { filters: [mapper({ policies: [{ ...direct, headers: { first: "x" } }] })] },
      "headers.first is not a known key",
    ],
    [
      "a filter that is not there",
      { filters: [map], flow: [{ filter: "mop" }] },
      'pipelines.p.flow[0].filter is "mop"',
    ],
    ["two filters of one name", { filters: [limit, limit] }, 'pipelines.p.filters[1].name is "limit"'],
    ["a filter named END", { filters: [{ ...limit, name: "END" }] }, 'pipelines.p.filters[0].name is "END"'],
    [
      "a result that does not come",
      { filters: [limit], flow: [{ filter: "limit", jumpIf: { Full: "END" } }] },
      "pipelines.p.flow[0].jumpIf.Full is no result of limit: expected RateLimited",
    ],
    [
      "a jump back",
      { filters: [limit], flow: [{ filter: "limit", jumpIf: { RateLimited: "limit" } }] },
      "expected a filter behind limit",
    ],
    [
      "a kind that there is not",
      { filters: [{ name: "x", kind: "TopicMaper" }] },
      'did you mean "TopicMapper"?',
    ],
    [
      "a filter for other packets",
      { packetType: "Connect", filters: [map] },
      "pipelines.p.filters[0].kind is TopicMapper, which is for packets of type Publish, Subscribe, not Connect",
    ],
    [
      "a packet type that there is not",
      { packetType: "Ping", filters: [limit] },
      "pipelines.p.packetType is",
    ],
    ["a gateway that there is not", { gateways: ["mqqt"], filters: [limit] }, "pipelines.p.gateways[0]"],
    [
      "a hash that is none",
      {
        packetType: "Connect",
        filters: [{ name: "a", kind: "MQTTClientAuth", auth: [{ username: "u", saltedSha256Pass: "zz" }] }],
      },
      "pipelines.p.filters[0].auth[0].saltedSha256Pass is (hidden)",
    ],
    [
      "a schema that is none",
      { filters: [validator({ type: "nubmer" })] },
      "pipelines.p.filters[0].schema is no JSON Schema",
    ],
    ["a schema with a misspelt key", { filters: [validator({ requird: ["a"] })] }, "requird"],
    [
      "a schema that refers elsewhere",
      { filters: [validator({ $ref: "http://example.com/x.json" })] },
      "can't resolve reference",
    ],
    [
      "a connector that is not there",
      { filters: [{ name: "k", kind: "Kafka", connector: "nowhere" }] },
      'pipelines.p.filters[0].connector "nowhere" is no connector',
    ],
    ["no filter at all", { filters: [] }, "pipelines.p.filters is"],
  ])("%s is told with its key", (_what, pipeline, says) => {
    expect(() => settingsOf(pipeline)).toThrow(says);
  });

  it("a connector of another kind, and a bus whose messages no connector has", () => {
    const filters = [{ name: "k", kind: "Kafka", connector: "hook" }];
    const connectors = { hook: { kind: "http", url: "http://127.0.0.1:1" } };
    expect(() => settingsOf({ filters }, { connectors })).toThrow(
      "is a connector of kind http: expected kafka",
    );
    const upstream = { bus: { engine: "upstream", upstream: { servers: ["mqtt://127.0.0.1:1"] } } };
    const of = [{ ...filters[0], kind: "HTTP" }];
    expect(() => settingsOf({ filters: of }, { connectors, ...upstream })).toThrow("bus.engine is upstream");
  });
});
