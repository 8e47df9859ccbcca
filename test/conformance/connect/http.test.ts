/** Rules whose outputs go to an HTTP service. */
import { createHmac } from "node:crypto";
import { createServer, type Server as TcpServer } from "node:net";
import mqtt, { type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Sink } from "#core/connect/sink.ts";
import { freeTcpPort } from "../../support/free-ports.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { StoreSite, until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

let web: WebSink;
let gateway: TestGateway;
const clients: MqttClient[] = [];

beforeEach(async () => {
  web = await new WebSink().start();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
  await gateway.stop();
  await web.stop();
});

async function connect(clientId = "c1", username?: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway.port("mqtt", "tcp")}`, {
    clientId,
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...(username === undefined ? {} : { username }),
  });
  clients.push(client);
  return client;
}

const SOON = { first: "10ms", longest: "50ms" };

/** One rule to one service. */
async function run(connector: object = {}, action: object = {}, rule: object = {}): Promise<Sink> {
  gateway = await startGateway({
    gateways: { mqtt: {} },
    connectors: { hook: { kind: "http", url: web.url, retry: SOON, health: "100ms", ...connector } },
    rules: {
      r: {
        sql: 'SELECT payload, clientid FROM "t/#"',
        actions: [{ kind: "http", connector: "hook", body: "${payload}", ...action }],
        ...rule,
      },
    },
  });
  return gateway.composition.rules.connectors.get("hook")!;
}

/** The counters say where everything is. */
function addsUp({ counters, inflight, queuing }: Sink): void {
  const { taken, restored, success, failed, expired, full } = counters;
  expect(success + failed + expired + full + inflight + queuing).toBe(taken + restored);
}

/** What was dead-lettered, as it comes. */
async function letters(): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  const reader = await connect("letters");
  reader.on("message", (topic, payload) => found.push({ topic, ...JSON.parse(payload.toString()) }));
  await reader.subscribeAsync("$dead-letter/#", { qos: 1 });
  return found;
}

describe("a webhook", () => {
  it("is sent the selected fields as JSON, with the headers of the connector, and for nobody else", async () => {
    await run(
      { headers: { token: "axfw34y235wrq234t4ersgw4t" } },
      { body: "${.}" },
      { sql: `SELECT username AS u, payload FROM "message.publish" WHERE u = 'Steven'` },
    );
    const [steven, mary] = [await connect("s", "Steven"), await connect("m", "Mary")];
    await mary.publishAsync("t/a", "hello", { qos: 1 });
    await steven.publishAsync("t/a", "hello", { qos: 1 });
    await until(() => web.requests.length > 0, "a request");
    expect(web.requests).toHaveLength(1);
    const [{ method, headers, body }] = web.requests as [(typeof web.requests)[0]];
    expect(method).toBe("POST");
    expect(JSON.parse(body)).toEqual({ u: "Steven", payload: "hello" });
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "content-length": "32",
      token: "axfw34y235wrq234t4ersgw4t",
    });
  });

  it("is signed as Standard Webhooks says, by a secret that is named and not shown", async () => {
    process.env["RULES_TEST_SECRET"] = "whsec_c2VjcmV0IG9mIGEgdGVzdA==";
    await run({ signature: { secret: "env:RULES_TEST_SECRET" } });
    await (await connect()).publishAsync("t/a", "hello", { qos: 1 });
    await until(() => web.requests.length > 0, "a request");
    const { headers, body } = web.requests[0]!;
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const hmac = createHmac("sha256", "secret of a test").update(signed).digest("base64");
    expect(headers["webhook-signature"]).toBe(`v1,${hmac}`);
    expect(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1000)).toBeLessThan(300);
  });

  it("puts values into the path that cannot leave their place", async () => {
    await run({}, { path: "/devices/${clientid}/x", method: "PUT" });
    await (await connect("..")).publishAsync("t/a", "1", { qos: 1 });
    await (await connect("../a b?c#d")).publishAsync("t/a", "2", { qos: 1 });
    await until(() => web.requests.length > 0, "a request");
    expect(web.requests).toHaveLength(1);
    expect(web.requests[0]).toMatchObject({
      method: "PUT",
      path: "/devices/..%2Fa%20b%3Fc%23d/x",
      body: "2",
    });
  });

  it("puts the bodies of a batch into one array", async () => {
    const sink = await run({ batch: { messages: 3, time: "10s" } });
    const client = await connect();
    for (const value of [1, 2, 3]) await client.publishAsync("t/a", `{"v":${value}}`, { qos: 1 });
    await until(() => web.requests.length > 0, "a request");
    expect(web.bodies).toEqual(['[{"v":1},{"v":2},{"v":3}]']);
    await until(() => sink.counters.success === 3, "all three are done");
    addsUp(sink);
  });
});

describe("a service that does not take what it is sent", () => {
  it("gets it again after 5xx, 429 and a broken connection, with the same key and in order", async () => {
    const sink = await run({ concurrency: 1 });
    // 507: it has no room.
    const codes = [500, 429, 0, 503, 507];
    web.answer = (_, response) => {
      const code = codes.shift();
      if (code === 0) response.destroy();
      else response.writeHead(code ?? 200, code === 429 ? { "retry-after": "0" } : {}).end();
    };
    const client = await connect();
    await client.publishAsync("t/a", "1", { qos: 1 });
    await client.publishAsync("t/a", "2", { qos: 1 });
    await until(() => sink.counters.success === 2, "both have arrived");
    expect(web.bodies).toEqual(["1", "1", "1", "1", "1", "1", "2"]);
    const keys = new Set(web.requests.slice(0, 6).map(({ headers }) => headers["idempotency-key"]));
    expect(keys.size).toBe(1);
    expect(web.requests[6]!.headers["idempotency-key"]).not.toBe([...keys][0]);
    expect(sink.counters).toMatchObject({ success: 2, retriedSuccess: 1, failed: 0 });
    addsUp(sink);
  });

  it("never gets again what it refuses: that is dead-lettered with the reason, and nobody waits", async () => {
    const sink = await run();
    const dead = await letters();
    web.answer = ({ body }, response) =>
      response.writeHead(body === "bad" ? 422 : 200).end(body === "bad" ? "no such field" : "");
    const client = await connect();
    for (const body of ["good", "bad", "better"]) await client.publishAsync("t/a", body, { qos: 1 });
    await until(() => dead.length === 1 && sink.counters.success === 2, "two arrive, and one is buried");
    expect(web.bodies).toEqual(["good", "bad", "better"]);
    expect(dead[0]).toMatchObject({
      topic: "$dead-letter/hook/r",
      connector: "hook",
      rule: "r",
      reason: "the service answers 422: no such field",
      parameters: { method: "POST", body: "bad" },
    });
    expect(gateway.composition.rules.rules.get("r")!.actions[0]!.counters).toEqual({
      matched: 3,
      success: 2,
      failed: 1,
      dropped: 0,
    });
    addsUp(sink);
  });

  it("that answers rubbish is no reason to try for ever", async () => {
    const rubbish: TcpServer = createServer((socket) =>
      socket.on("data", () => socket.end("SSH-2.0-x\r\n\r\n")),
    );
    const port = await freeTcpPort();
    await new Promise<void>((resolve) => rubbish.listen(port, "127.0.0.1", resolve));
    const sink = await run({ url: `http://127.0.0.1:${port}` });
    const dead = await letters();
    await (await connect()).publishAsync("t/a", "1", { qos: 1 });
    await until(() => dead.length === 1, "a dead letter");
    expect(sink.counters).toMatchObject({ failed: 1, success: 0 });
    await new Promise((resolve) => rubbish.close(resolve));
  });

  it("that takes too long is given it again", async () => {
    const sink = await run({ timeout: "200ms" });
    web.answer = (_, response) => {
      if (web.requests.length > 1) response.end();
    };
    await (await connect()).publishAsync("t/a", "1", { qos: 1 });
    await until(() => sink.counters.success === 1, "it has arrived");
    expect(web.bodies.length).toBeGreaterThanOrEqual(2);
  });

  it("gets no more than `attempts` tries of one message, where that is set", async () => {
    const sink = await run({ retry: { ...SOON, attempts: 3 } });
    web.answer = (_, response) => response.writeHead(500).end();
    const dead = await letters();
    await (await connect()).publishAsync("t/a", "1", { qos: 1 });
    await until(() => dead.length === 1, "a dead letter");
    expect(web.bodies).toEqual(["1", "1", "1"]);
    expect(sink.counters).toMatchObject({ failed: 1, retriedFailed: 1 });
  });
});

describe("a service that is away", () => {
  it("gets everything when it is back, each client's in its order; an alarm says so meanwhile", async () => {
    await web.stop();
    const sink = await run({ concurrency: 4 });
    const { alarms } = gateway.composition;
    const two = [await connect("a"), await connect("b")];
    for (let count = 0; count < 20; count++)
      for (const client of two)
        await client.publishAsync("t/a", `${client.options.clientId}${count}`, { qos: 1 });
    await until(() => alarms.active.some(({ name }) => name === "connector-hook-away"), "an alarm");
    expect(sink.state).toBe("disconnected");
    expect(sink.reason).toContain("ECONNREFUSED");
    addsUp(sink);
    await web.start();
    await until(() => sink.counters.success === 40, "all have arrived");
    for (const name of ["a", "b"]) {
      const own = web.bodies.filter((body) => body.startsWith(name));
      expect([...new Set(own)]).toEqual(Array.from({ length: 20 }, (_, count) => `${name}${count}`));
    }
    await until(() => alarms.active.length === 0, "the alarm is over");
    addsUp(sink);
    expect(sink.reason).toBeUndefined();
    expect(sink.lastFailure?.reason).toContain("ECONNREFUSED");
    expect(sink.took).toBeGreaterThanOrEqual(0);
  });

  it("has a queue that drops the oldest at its limit, which is counted", async () => {
    await web.stop();
    const sink = await run({ concurrency: 1, queue: { messages: 10 } });
    const client = await connect();
    for (let count = 0; count < 100; count++) await client.publishAsync("t/a", `${count}`, { qos: 1 });
    expect(sink.counters.full).toBeGreaterThan(0);
    addsUp(sink);
    await web.start();
    await until(() => sink.queuing + sink.inflight === 0, "nothing waits");
    expect(sink.counters.success + sink.counters.full).toBe(100);
    expect(web.bodies.at(-1)).toBe("99");
    const { counters } = gateway.composition.rules.rules.get("r")!.actions[0]!;
    expect(counters).toMatchObject({ matched: 100, dropped: sink.counters.full });
  });

  it("has a queue at whose limit publishers are refused, where that is wished: nothing is lost", async () => {
    await web.stop();
    const sink = await run({ concurrency: 1, queue: { messages: 10, full: "refuse" } });
    const client = await connect();
    let accepted = 0;
    for (let count = 0; count < 60; count++) {
      const answer = await client.publishAsync("t/a", `${accepted}`, { qos: 1 }).catch((error) => error);
      if (answer.code === undefined || answer.code === 0) accepted++;
      else expect(answer.code).toBe(0x97);
    }
    expect(accepted).toBeLessThan(60);
    expect(sink.counters).toMatchObject({ taken: accepted, full: 0 });
    await web.start();
    await until(() => sink.counters.success === accepted, "what was accepted has arrived");
    expect([...new Set(web.bodies)]).toEqual(Array.from({ length: accepted }, (_, count) => `${count}`));
  });

  it("gets nothing that has expired meanwhile", async () => {
    await web.stop();
    const sink = await run({ queue: { expiry: "1s" } });
    await (await connect()).publishAsync("t/a", "old", { qos: 1 });
    await until(() => sink.counters.expired === 1, "it has expired");
    await web.start();
    await (await connect("c2")).publishAsync("t/a", "new", { qos: 1 });
    await until(() => sink.counters.success === 1, "the new one has arrived");
    expect(web.bodies).toEqual(["new"]);
    addsUp(sink);
  });
});

describe("ack: after_sink", () => {
  it("withholds PUBACK until the service has answered", async () => {
    await run({}, {}, { ack: "after_sink" });
    let answer = (): void => {};
    web.answer = (_, response) => {
      answer = () => response.end();
    };
    let acknowledged = false;
    const published = (await connect()).publishAsync("t/a", "1", { qos: 1 }).then(() => {
      acknowledged = true;
    });
    await until(() => web.requests.length === 1, "the request");
    // What the same connection asks later is answered before.
    await clients[0]!.subscribeAsync("x");
    expect(acknowledged).toBe(false);
    answer();
    await published;
  });

  it("withholds PUBREC of QoS 2, and answers others at once", async () => {
    await run({}, {}, { ack: "after_sink" });
    let answer = (): void => {};
    web.answer = (_, response) => {
      answer = () => response.end();
    };
    const client = await connect();
    let acknowledged = false;
    const published = client.publishAsync("t/a", "1", { qos: 2 }).then(() => {
      acknowledged = true;
    });
    await until(() => web.requests.length === 1, "the request");
    await client.publishAsync("other", "1", { qos: 0 });
    expect(acknowledged).toBe(false);
    answer();
    await published;
  });

  it("answers when the message is dead-lettered: sending it again would not help", async () => {
    await run({}, {}, { ack: "after_sink" });
    web.answer = (_, response) => response.writeHead(400).end();
    await (await connect()).publishAsync("t/a", "1", { qos: 1 });
    expect(web.bodies).toEqual(["1"]);
  });
});

describe("a reload", () => {
  it("moves what waits to a connector that was changed, and keeps what waits for one that was taken out", async () => {
    const port = await freeTcpPort();
    const sink = await run({ url: `http://127.0.0.1:${port}` });
    const client = await connect();
    for (let count = 0; count < 10; count++) await client.publishAsync("t/a", `${count}`, { qos: 1 });
    await until(() => sink.state === "disconnected", "nobody is there");
    const { composition } = gateway;
    const { config } = composition;
    const { connectors } = composition.rules;
    const before = config.connectors["hook"]!;
    const slower = { ...before, timeout: 60_000 } as typeof before;
    composition.reload(() => ({ ...config, connectors: { hook: slower } }));
    await until(
      () => connectors.get("hook") !== sink && connectors.get("hook") !== undefined,
      "it is another",
    );
    expect(connectors.get("hook")!.counters).toMatchObject({ taken: 10, restored: 0 });
    addsUp(connectors.get("hook")!);
    composition.reload(() => ({ ...config, rules: {}, connectors: {} }));
    await until(() => connectors.get("hook") === undefined, "it is taken out");
    const { queued, unsettled } = composition.sessions.get("connector", "hook")!;
    expect(queued + unsettled).toBe(10);
    const changed = { ...before, url: web.url };
    composition.reload(() => ({ ...config, connectors: { hook: changed } }));
    await until(() => new Set(web.bodies).size === 10, "what waited has arrived");
    await client.publishAsync("t/a", "new", { qos: 1 });
    await until(() => web.bodies.includes("new"), "and what came since");
    addsUp(connectors.get("hook")!);
  });
});

describe("a gateway that is killed", () => {
  it("hands what it had acknowledged to the service in its next life, under the same keys", async () => {
    await run();
    const site = await StoreSite.create();
    try {
      await web.stop();
      site.configure({
        connectors: { hook: { kind: "http", url: web.url, retry: SOON } },
        rules: {
          r: {
            sql: 'SELECT payload FROM "t/#"',
            actions: [{ kind: "http", connector: "hook", body: "${payload}" }],
          },
        },
      });
      const first = await site.start();
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${site.ports.mqtt}`, { reconnectPeriod: 0 });
      client.on("error", () => {});
      for (let count = 0; count < 50; count++) await client.publishAsync("t/a", `${count}`, { qos: 1 });
      await first.kill();
      client.end(true);
      // In its second life it is killed while the service answers.
      web.answer = (_, response) => {
        if (web.requests.length <= 20) response.end();
      };
      await web.start();
      const second = await site.start();
      await until(() => web.requests.length > 20, "some have arrived", 120_000);
      await second.kill();
      web.answer = (_, response) => response.end();
      const third = await site.start();
      const bodies = () => new Set(web.bodies);
      await until(() => bodies().size === 50, "all have arrived", 120_000);
      await third.kill();
      const keys = new Set(web.requests.map(({ headers }) => headers["idempotency-key"]));
      expect(keys.size).toBe(50);
    } finally {
      site.close();
    }
  }, 300_000);
});
