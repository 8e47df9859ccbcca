/**
 * Two gateways that send each other everything, by rules, bridges and pipelines, over MQTT and HTTP: what has come back goes
 * no further (upstream sheet U-065). Both are whole, with real sockets between them.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VIA } from "#core/bus/via.ts";
import { startApi, type TestApi } from "../../support/api.ts";
import { SOON } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

const place = (name: string): string => `\${${name}}`;
const PUBLISH = {
  ...{ kind: "http", connector: "peer", path: "/api/v1/publish" },
  body: `{"topic":"${place("topic")}","payload":"${place("payload")}","qos":1}`,
};
const SEND = { kind: "mqtt", connector: "peer", retain: false };
/** Eight characters each, of nobody here. */
const marks = (count: number): string =>
  Array.from({ length: count }, (_, n) => `stranger${n}`.slice(-8)).join();

interface Heard {
  readonly topic: string;
  readonly payload: string;
  readonly via: string | undefined;
}

let folder: string;
let [a, b]: TestApi[] = [];
const clients: MqttClient[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-circles-"));
  [a, b] = await Promise.all([startApi(), startApi()]);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await Promise.all([a!.stop(), b!.stop()]);
  rmSync(folder, { recursive: true });
});

const port = (api: TestApi): number => api.gateway.port("mqtt", "tcp");
const rulesOf = ({ gateway }: TestApi) => gateway.composition.rules.rules;
const sinkOf = ({ gateway }: TestApi) => gateway.composition.rules.connectors.get("peer")!;
const said = ({ gateway }: TestApi) =>
  gateway.log.map((line) => JSON.parse(line)).filter(({ event }) => event === "came-back");

async function connect(api: TestApi, clientId: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port(api)}`, {
    ...{ clientId, protocolVersion: 5, reconnectPeriod: 0 },
  });
  client.on("error", () => {});
  clients.push(client);
  return client;
}

async function hears(api: TestApi, filter = "#"): Promise<Heard[]> {
  const heard: Heard[] = [];
  const listener = await connect(api, `listener of ${filter}`);
  listener.on("message", (topic, payload, { properties }) =>
    heard.push({
      ...{ topic, payload: payload.toString() },
      via: properties?.userProperties?.[VIA] as string | undefined,
    }),
  );
  await listener.subscribeAsync(filter, { qos: 1 });
  return heard;
}

async function put(api: TestApi, path: string, body: object): Promise<void> {
  const answer = await api.ask("PUT", `/api/v1/${path}`, { body });
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
}

/** A connector named `peer` from one to the other. */
async function joined(from: TestApi, to: TestApi, kind: "mqtt" | "http", more: object = {}): Promise<void> {
  const key = join(folder, `key-${port(to)}`);
  writeFileSync(key, `Bearer ${to.keys.administrator}`);
  // A pipeline sends octets, which are no JSON by themselves.
  const json = join(folder, "json");
  writeFileSync(json, "application/json");
  const headers = { authorization: `file:${key}`, "content-type": `file:${json}` };
  const where =
    kind === "mqtt"
      ? { url: `tcp://127.0.0.1:${port(to)}`, clientId: `bridge-${port(from)}` }
      : { url: to.base, headers };
  await put(from, "connectors/peer", { kind, ...where, ...SOON, ...more });
  await until(() => sinkOf(from).state === "connected", "the other gateway is there");
}

const eachWay = async (kind: "mqtt" | "http", more: object = {}): Promise<void> => {
  await joined(a!, b!, kind, more);
  await joined(b!, a!, kind, more);
};
const rule = (api: TestApi, id: string, from: string, ...actions: object[]): Promise<void> =>
  put(api, `rules/${id}`, { sql: `SELECT * FROM "${from}"`, actions });

describe.each([
  ["MQTT 5", "mqtt", SEND],
  ["HTTP", "http", PUBLISH],
] as const)("two gateways whose rules send each other everything over %s", (_name, kind, action) => {
  it("end with what the first of them has back once, which is counted and said", async () => {
    await eachWay(kind);
    await rule(a!, "all", "#", action);
    await rule(b!, "all", "#", action);
    const [here, there] = [await hears(a!), await hears(b!)];
    const device = await connect(a!, "device");
    for (const payload of ["1", "2", "3"]) await device.publishAsync("x", payload, { qos: 1 });
    const { counters, actions } = rulesOf(a!).get("all")!;
    await until(() => counters.loops === 3 && actions[0]!.counters.success === 3, "all have come back");
    await until(() => here.length >= 6 && there.length >= 3, "all are heard");
    expect(here.map(({ payload }) => payload).sort()).toEqual(["1", "1", "2", "2", "3", "3"]);
    expect(there.map(({ payload }) => payload)).toEqual(["1", "2", "3"]);
    // What a device has published says nothing; what was sent on says by whom.
    expect(new Set(here.map(({ via }) => via?.length))).toEqual(new Set([undefined, 17]));
    expect(new Set(there.map(({ via }) => via?.length))).toEqual(new Set([8]));
    expect(actions[0]!.counters).toMatchObject({ matched: 6, success: 3, dropped: 3 });
    expect(said(a!)).toMatchObject([{ rule: "all", connector: "peer", messages: 1 }]);
    expect(said(b!)).toEqual([]);
    expect(await a!.gateway.composition.metrics.text()).toContain('isthmus_rule_loops{rule="all"} 3');
    expect((await a!.ask("GET", "/api/v1/rules/all")).body.loops).toBe(3);
  });

  it("end also where one of them republishes in between, and where its subscribers alone are given it", async () => {
    await eachWay(kind);
    await rule(a!, "forth", "x", action);
    await rule(b!, "turn", "x", { kind: "republish", topic: "y" });
    await rule(b!, "direct", "x", { kind: "republish", topic: "z", direct: true });
    const back = kind === "mqtt" ? { topic: "x" } : { body: PUBLISH.body.replace(place("topic"), "x") };
    await rule(b!, "back", "y", { ...action, ...back });
    const there = await hears(b!);
    await (await connect(a!, "device")).publishAsync("x", "1", { qos: 1 });
    await until(() => rulesOf(a!).get("forth")!.counters.loops === 1, "it has come back");
    await until(() => there.length >= 3, "all are heard");
    expect(there.map(({ topic }) => topic).sort()).toEqual(["x", "y", "z"]);
    expect(new Set(there.map(({ via }) => via)).size).toBe(1);
  });
});

describe("two gateways that subscribe to everything of each other", () => {
  it("end with what each of them has brought once, which is counted and said", async () => {
    await eachWay("mqtt", { subscriptions: [{ filter: "#" }] });
    const [here, there] = [await hears(a!), await hears(b!)];
    const device = await connect(a!, "device");
    await device.publishAsync("x", "1", { qos: 1 });
    await until(() => sinkOf(b!).counters.cameAgain === 1, "it has come again");
    await until(() => here.length >= 2 && there.length >= 1, "all are heard");
    expect(here.map(({ via }) => via?.length)).toEqual([undefined, 17]);
    expect(there.map(({ via }) => via?.length)).toEqual([8]);
    expect(sinkOf(a!).counters.cameAgain).toBe(0);
    expect(said(b!)).toMatchObject([{ connector: "peer", topic: "x", messages: 1 }]);
    expect((await b!.ask("GET", "/api/v1/connectors/peer")).body.cameAgain).toBe(1);
    // It goes on with what is new.
    await device.publishAsync("x", "2", { qos: 1 });
    await until(() => sinkOf(b!).counters.cameAgain === 2 && here.length >= 4, "the next has come again");
    expect(here.map(({ payload }) => payload)).toEqual(["1", "1", "2", "2"]);
  });
});

describe("a message that says that it has passed", () => {
  const publish = async (via: string, payload: string): Promise<void> => {
    const device = await connect(a!, `device ${payload}`);
    await device.publishAsync("x", payload, { qos: 1, properties: { userProperties: { [VIA]: via } } });
  };

  it("sixteen others is sent to no further gateway, and whatever else rules do is done", async () => {
    await joined(a!, b!, "mqtt");
    await rule(a!, "all", "x", SEND, { kind: "republish", topic: "made" });
    const [made, there] = [await hears(a!, "made"), await hears(b!)];
    await publish(marks(16), "sixteen");
    await publish(marks(15), "fifteen");
    await until(() => made.length === 2 && there.length === 1, "both are decided");
    expect(there).toMatchObject([{ payload: "fifteen" }]);
    expect(there[0]!.via).toMatch(new RegExp(`^${marks(15)},[\\w-]{8}$`));
    expect(rulesOf(a!).get("all")!.counters).toMatchObject({ matched: 2, passed: 2, loops: 1 });
  });

  it("what nobody has written is sent on as one that says nothing", async () => {
    await joined(a!, b!, "mqtt");
    await rule(a!, "all", "x", SEND);
    const there = await hears(b!);
    await publish("a,b, ,,\u{1F600},123456789,<script>", "rubbish");
    await publish(`12345678 , ${"x".repeat(60_000)}`, "long");
    await until(() => there.length === 2, "both");
    expect(there.map(({ payload, via }) => `${payload} ${via?.length}`)).toEqual(["rubbish 8", "long 17"]);
  });
});

describe("a rule on dead letters", () => {
  it("is not run on that of what it has sent itself, however many sinks refuse it", async () => {
    const web = await new WebSink().start();
    try {
      web.answer = (_, response) => {
        response.statusCode = 400;
        response.end();
      };
      const http = { kind: "http", url: web.url, ...SOON };
      await put(a!, "connectors/one", http);
      await put(a!, "connectors/two", http);
      await rule(a!, "one", 't", "$dead-letter/#', { kind: "http", connector: "one" });
      await rule(a!, "two", "$dead-letter/#", { kind: "http", connector: "two" });
      const letters = await hears(a!, "$dead-letter/#");
      await (await connect(a!, "device")).publishAsync("t", "1", { qos: 1 });
      // t to one; its letter to two; the letter of that to nobody.
      const { counters } = rulesOf(a!).get("two")!;
      await until(() => counters.loops === 1 && letters.length === 2, "the last is left out");
      expect(letters.map(({ topic }) => topic)).toEqual(["$dead-letter/one/one", "$dead-letter/two/two"]);
      expect(rulesOf(a!).get("one")!.counters.loops).toBe(2);
      expect(web.requests).toHaveLength(2);
    } finally {
      await web.stop();
    }
  });
});

describe("two gateways whose pipelines send each other what is published", () => {
  it("end when it is back, which is counted as CameBack", async () => {
    await eachWay("http");
    const filters = [{ name: "send", kind: "HTTP", connector: "peer", path: "/api/v1/publish" }];
    const pipeline = { packetType: "Publish", brokerMode: true, filters };
    await put(a!, "pipelines/p", pipeline);
    await put(b!, "pipelines/p", pipeline);
    // A payload is the next request: without an end to the circle the third would be sent, too.
    const wish = (payload: string): string => JSON.stringify({ topic: "x", payload, qos: 1 });
    const here = await hears(a!);
    await (await connect(a!, "device")).publishAsync("x", wish(wish(wish("end"))), { qos: 1 });
    const counted = async (result: string): Promise<boolean> =>
      (await a!.gateway.composition.metrics.text()).includes(
        `isthmus_pipeline_filters_total{pipeline="p",filter="send",result="${result}"} 1`,
      );
    await until(async () => (await counted("CameBack")) && here.length >= 2, "it is back");
    expect(here.map(({ payload }) => payload)).toEqual([wish(wish(wish("end"))), wish("end")]);
    expect(sinkOf(a!).counters.taken).toBe(1);
  });
});
