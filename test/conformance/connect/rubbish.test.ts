/** Sinks that answer what nobody can read, or nothing: of every kind of connector, before and after a proper greeting. */
import type { MqttClient } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ANSWER_MAX } from "#core/lib/guarded.ts";
import { MANNERS } from "../../support/greetings.ts";
import { RUBBISH, type Rubbish, RubbishServer } from "../../support/rubbish-server.ts";
import { addsUp, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

const atUrl = (port: number) => ({ url: `http://127.0.0.1:${port}` });
const atPort = (port: number) => ({ port });

/** Where each kind is, and what it is given. A file answers nothing, and over UDP nobody is heard. */
const KINDS: Readonly<Record<string, readonly [place: (port: number) => object, action: object]>> = {
  http: [atUrl, {}],
  influxdb: [atUrl, { measurement: "m", fields: { n: "${payload.n}" } }],
  opentsdb: [atUrl, { metric: "m", value: "${payload.n}", tags: { a: "b" } }],
  mqtt: [(port) => ({ url: `tcp://127.0.0.1:${port}` }), { retain: false }],
  kafka: [(port) => ({ brokers: [`127.0.0.1:${port}`] }), { topic: "t" }],
  rabbitmq: [atPort, {}],
  nats: [(port) => ({ servers: [`127.0.0.1:${port}`] }), {}],
  redis: [atPort, { command: "SET a ${payload}" }],
  postgres: [atPort, { sql: "insert into t values (${payload})" }],
  mysql: [atPort, { sql: "insert into t values (${payload})" }],
  mongodb: [
    (port) => ({ url: `mongodb://127.0.0.1:${port}/?directConnection=true` }),
    { collection: "t", document: { a: "${payload}" } },
  ],
  cassandra: [(port) => ({ nodes: [`127.0.0.1:${port}`] }), { cql: "insert into t (a) values (${payload})" }],
  dynamodb: [
    (port) => ({ ...atUrl(port), accessKeyId: "a", secretAccessKey: "b" }),
    { table: "numbers", item: { id: "1" } },
  ],
  pulsar: [(port) => ({ url: `ws://127.0.0.1:${port}` }), {}],
};
const WEB: readonly string[] = ["http", "influxdb", "opentsdb", "dynamodb"];
/** Their libraries give up a connection that is being made when its time is over, and not before. */
const WAITING: readonly string[] = ["nats", "mongodb"];
const SQL = 'SELECT * FROM "t/#"';

/** What lies in the system's buffers beside what was read. */
const BUFFERS = 16 * 1024 * 1024;

const CASES = RUBBISH.flatMap((rubbish) =>
  [false, true].map((greets) => ({ rubbish, greets, name: `${rubbish}${greets ? "-greeted" : ""}` })),
);

/** What has to become of a message: what may be otherwise later is tried as often as may be, and kept until then. */
function fateOf(
  kind: string,
  rubbish: Rubbish,
  greets: boolean,
): "success" | "failedRefused" | "failedTried" {
  if (!WEB.includes(kind) || rubbish === "silence" || rubbish === "close") return "failedTried";
  if (rubbish !== "endless" || !greets) return "failedRefused";
  // 2xx is the acknowledgement; nobody needs to read all that comes behind it. Of DynamoDB it says what was written.
  return kind === "dynamodb" ? "failedTried" : "success";
}

const site = new SinkSite();
const servers = new Map<string, RubbishServer>();
const serve = async (rubbish: Rubbish, kind: string, greets: boolean, name: string): Promise<number> => {
  const server = new RubbishServer(rubbish, greets ? MANNERS[kind] : undefined, servers.size);
  servers.set(name, server);
  return (await server.start()).port;
};
async function stopAll(): Promise<void> {
  await site.stop();
  await Promise.all(Array.from(servers.values(), (server) => server.stop()));
  servers.clear();
}

const EVERY = Object.keys(KINDS).flatMap((kind) =>
  CASES.map((its) => ({ ...its, kind, connector: `${kind}-${its.name}` })),
);

describe("a server that answers", () => {
  let web: WebSink;
  let letters: Record<string, unknown>[];
  let client: MqttClient;

  beforeAll(async () => {
    web = await new WebSink().start();
    const connectors: Record<string, object> = { good: { kind: "http", url: web.url } };
    const actions: object[] = [{ kind: "http", connector: "good" }];
    for (const { kind, rubbish, greets, connector } of EVERY) {
      const [placeOf, action] = KINDS[kind]!;
      const place = placeOf(await serve(rubbish, kind, greets, connector));
      const timeout = fateOf(kind, rubbish, greets) === "failedTried" ? "1s" : "1m";
      const retry = { first: "10ms", longest: "50ms", attempts: 2 };
      connectors[connector] = { kind, ...place, timeout, retry, health: "1h" };
      actions.push({ kind, connector, ...action });
    }
    await site.runAll({ connectors, rules: { r: { sql: SQL, actions } } });
    letters = await site.letters();
    client = await site.connect();
    await client.publishAsync("t/1", '{"n":1}', { qos: 1 });
    // Dozens of servers answer without an end meanwhile, in this process.
  }, 240_000);
  afterAll(async () => {
    await stopAll();
    await web.stop();
  });

  it("rubbish holds up no other connector, and no client", async () => {
    await until(() => web.requests.length > 0, "the good one has it");
    await client.publishAsync("other", "1", { qos: 1 });
  });

  it.each(EVERY)("$kind with $name is given up, and the message dead-lettered with a reason", async (its) => {
    const { kind, rubbish, greets, connector } = its;
    const sink = site.sink(connector);
    const fate = fateOf(kind, rubbish, greets);
    await until(() => sink.counters.success + sink.counters.failed === 1, "it is over");
    expect(sink.counters).toMatchObject({
      ...{ success: 0, failedRefused: 0, failedTried: 0, failedUnexpected: 0 },
      [fate]: 1,
    });
    addsUp(sink);
    expect(servers.get(connector)!.most).toBeLessThan(ANSWER_MAX + BUFFERS);
    if (fate === "success") return;
    const ours = (letter: Record<string, unknown>): boolean => letter["connector"] === connector;
    await until(() => letters.some(ours), "the letter");
    expect(letters.find(ours)!["reason"]).toMatch(/^[^\p{Cc}]{5,}$/u);
  });
});

describe("servers of every kind that say nothing", () => {
  afterAll(stopAll);

  it("keep no process from stopping, however long they may take to answer, and no connection", async () => {
    const connectors: Record<string, object> = {};
    const actions: object[] = [];
    for (const { kind, rubbish, greets, connector } of EVERY) {
      if (rubbish !== "silence") continue;
      const [placeOf, action] = KINDS[kind]!;
      const place = placeOf(await serve(rubbish, kind, greets, connector));
      connectors[connector] = { kind, ...place, timeout: "1h" };
      actions.push({ kind, connector, ...action });
    }
    await site.runAll({ connectors, rules: { r: { sql: SQL, actions } } });
    await (await site.connect()).publishAsync("t/1", '{"n":1}', { qos: 1 });
    const all = [...servers.values()];
    await until(
      () => [...site.sinks()].every(({ inflight }) => inflight === 1) && all.every(({ came }) => came > 0),
      "all are asked",
    );
    await site.stop();
    const left = () =>
      [...servers].flatMap(([name, { sockets }]) => (sockets.size > 0 ? name.split("-").slice(0, 1) : []));
    await until(() => left().every((kind) => WAITING.includes(kind)), "nothing is left");
  });
});
