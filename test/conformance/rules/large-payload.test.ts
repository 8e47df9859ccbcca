/**
 * Ten megabytes that are no JSON, through a gateway with real sockets: rules that ask for a member of it, a pipeline with
 * a schema, a sink that does not take it. What is computed is counted, not timed: who computes keeps everybody waiting.
 */
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, type MockInstance, vi } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { SOON } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

/** A list without its end: who reads it reads all of it before that is found. */
const LARGE = `[${"1,".repeat(5_000_000)}`;
const RULES = {
  member: 'SELECT payload.x AS x FROM "in/#"',
  where: 'SELECT * FROM "in/#" WHERE payload.x = 1',
  each: 'FOREACH payload.list FROM "in/#"',
  place: 'SELECT payload[1] AS x FROM "in/#"',
  decoded: 'SELECT json_decode(payload) AS x FROM "in/#"',
};

let web: WebSink;
let gateway: TestGateway | undefined;
let parse: MockInstance<typeof JSON.parse>;
const clients: MqttClient[] = [];

beforeAll(async () => {
  web = await new WebSink().start();
});
beforeEach(() => {
  parse = vi.spyOn(JSON, "parse");
});
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await gateway?.stop();
  gateway = undefined;
  web.requests.length = 0;
});
afterAll(() => web.stop());

/** How often something so large has been read as JSON. */
const read = (): number => parse.mock.calls.filter(([text]) => String(text).length > 1_000_000).length;

async function start(settings: object): Promise<void> {
  const listeners = { tcp: { limits: { packetSize: "16MB" } } };
  gateway = await startGateway({ gateways: { mqtt: { listeners } }, ...settings });
}

async function connect(clientId: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway!.port("mqtt", "tcp")}`, {
    ...{ clientId, protocolVersion: 5, reconnectPeriod: 0 },
  });
  client.on("error", () => {});
  clients.push(client);
  return client;
}

/** What comes under this filter, by topic: its length, or itself where it is short. */
async function hears(filter: string): Promise<(readonly [topic: string, payload: number | string])[]> {
  const heard: (readonly [string, number | string])[] = [];
  const listener = await connect(`reader of ${filter}`);
  listener.on("message", (topic, payload) =>
    heard.push([topic, payload.length > 1_000 ? payload.length : payload.toString()]),
  );
  await listener.subscribeAsync(filter, { qos: 1 });
  return heard;
}

it("fails each rule that asks for a member of it, is read once for all of them, and goes on its way", async () => {
  const rules = Object.fromEntries(
    Object.entries(RULES).map(([id, sql]) => [
      id,
      { sql, actions: [{ kind: "republish", topic: `out/${id}` }] },
    ]),
  );
  await start({
    rules: {
      ...rules,
      whole: { sql: 'SELECT topic FROM "in/#"', actions: [{ kind: "republish", topic: "out/whole" }] },
    },
  });
  const heard = await hears("in/#");
  const made = await hears("out/#");
  const [large, small] = [await connect("large"), await connect("small")];
  await Promise.all([
    large.publishAsync("in/large", LARGE, { qos: 1 }),
    small.publishAsync("in/small", '{"x":1,"list":[2]}', { qos: 1 }),
  ]);
  await until(() => heard.length === 2 && made.length === 7, "both messages, and what rules made");
  expect(heard).toContainEqual(["in/large", LARGE.length]);
  // Once for all that ask for a member, and once for the one that decodes it itself.
  expect(read()).toBe(2);
  const all = gateway!.composition.rules.rules;
  for (const id of Object.keys(RULES)) {
    expect(all.get(id)!.counters).toMatchObject({ matched: 2, failed: 1 });
    expect(await gateway!.composition.metrics.text()).toContain(`isthmus_rule_failed{rule="${id}"} 1`);
  }
  expect(all.get("whole")!.counters).toMatchObject({ matched: 2, passed: 2, failed: 0 });
  const said = gateway!.log.map((line) => JSON.parse(line)).filter(({ event }) => event === "rule-failed");
  expect(said.map(({ rule }) => rule).sort()).toEqual(Object.keys(RULES).sort());
  for (const { problem } of said) {
    expect(problem).toMatch(/this is no JSON: /);
    expect(problem.length).toBeLessThan(300);
  }
});

it("is refused by a schema, unread where that looks at no more than so much, and read once where it does", async () => {
  const check = (name: string, more: object) => ({
    packetType: "Publish",
    filters: [{ name, kind: "Validator", schema: { type: "array" }, ...more }],
  });
  await start({
    pipelines: { small: check("schema", {}) },
    rules: { any: { sql: 'SELECT payload.x AS x FROM "#"' } },
  });
  const heard = await hears("in/#");
  const client = await connect("c");
  await expect(client.publishAsync("in/large", LARGE, { qos: 1 })).rejects.toThrow();
  expect(read()).toBe(0);
  await client.publishAsync("in/small", "[1]", { qos: 1 });
  await until(() => heard.length === 1, "the small one");
  expect(heard).toEqual([["in/small", "[1]"]]);
  // What a pipeline refuses has not passed, and no rule is asked.
  expect(gateway!.composition.rules.rules.get("any")!.counters.matched).toBe(1);
  const text = await gateway!.composition.metrics.text();
  expect(text).toMatch(/isthmus_pipeline_filters_total\{[^}]*filter="schema",result="Invalid"\} 1/);
  expect(gateway!.log.join("")).toContain(`${LARGE.length} octets: 262144 are looked at`);
  await gateway!.stop();

  await start({ pipelines: { large: check("schema", { maximumSize: "16MB" }) } });
  const other = await connect("c");
  await expect(other.publishAsync("in/large", LARGE, { qos: 1 })).rejects.toThrow();
  expect(read()).toBe(1);
  expect(gateway!.log.join("")).toContain("the payload is no JSON");
});

it("is dead-lettered where the sink refuses it, with the reason, and nobody else's message with it", async () => {
  web.answer = ({ body }, response) => {
    response.statusCode = body.length > 1_000_000 ? 413 : 200;
    response.end();
  };
  await start({
    connectors: { out: { kind: "http", url: web.url, order: "all", ...SOON } },
    rules: {
      all: {
        sql: 'SELECT payload FROM "in/#"',
        actions: [{ kind: "http", connector: "out", body: "${payload}" }],
      },
    },
  });
  const letters = await hears("$dead-letter/#");
  const client = await connect("c");
  for (const payload of ["first", LARGE, "last"]) await client.publishAsync("in/x", payload, { qos: 1 });
  const sink = gateway!.composition.rules.connectors.get("out")!;
  await until(() => letters.length === 1 && sink.counters.success === 2, "the letter, and the others");
  expect(web.bodies.filter((body) => body.length < 100)).toEqual(["first", "last"]);
  expect(letters[0]![0]).toBe("$dead-letter/out/all");
  expect(letters[0]![1]).toBeGreaterThan(LARGE.length);
  expect(sink.lastFailure!.reason).toContain("413");
  expect(sink.counters).toMatchObject({ taken: 3, success: 2, failed: 1, failedRefused: 1 });
});
