/** Sources of access rules beside the static list: an HTTP service that is asked for each topic, and Redis, on real sockets. */
import { createServer, type Server as HttpServer, type ServerResponse } from "node:http";
import { Redis } from "ioredis";
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startApi } from "../../support/api.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { logins } from "../../support/logins.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startRedis } from "../../support/servers.ts";

interface Asked {
  readonly username: string;
  readonly action: string;
  readonly topic: string;
}

let gateway: TestGateway | undefined;
const clients: MqttClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true);
  await gateway?.stop();
  gateway = undefined;
});

const start = (sources: readonly object[], more: object = {}) =>
  startGateway({
    authorization: { noMatch: "deny", rules: [], sources, ...more },
    gateways: { mqtt: {}, coap: {}, stomp: {} },
  });

const connected = (username: string, more: object = {}): Promise<MqttClient> =>
  connectedTo(gateway!, username, more);

async function connectedTo(to: TestGateway, username: string, more: object = {}): Promise<MqttClient> {
  const port = to.port("mqtt", "tcp");
  const client = await mqtt.connectAsync({
    host: "127.0.0.1",
    port,
    username,
    clientId: `c-${username}`,
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...more,
  });
  clients.push(client);
  return client;
}

/** Whether a publish at QoS 1 was taken. */
const publish = (client: MqttClient, topic: string, payload = "x"): Promise<boolean> =>
  client.publishAsync(topic, payload, { qos: 1 }).then(
    (packet) => ((packet as { reasonCode?: number } | undefined)?.reasonCode ?? 0) < 0x80,
    () => false,
  );

describe("an HTTP service that decides", () => {
  const asked: Asked[] = [];
  /** Answers that the test holds back, by topic. */
  const held = new Map<string, () => void>();
  let holds: (asked: Asked) => boolean = () => false;
  let server: HttpServer;
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response: ServerResponse) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        const question = JSON.parse(body) as Asked;
        asked.push(question);
        const { topic, username } = question;
        const result = topic.startsWith(`${username}/`) || topic === "all" ? "allow" : "deny";
        const answer = () =>
          response.setHeader("content-type", "application/json").end(JSON.stringify({ result }));
        if (holds(question) && !held.has(topic)) held.set(topic, answer);
        else answer();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as { port: number }).port}/acl`;
  });
  afterEach(() => {
    holds = () => false;
    for (const answer of held.values()) answer();
    held.clear();
    asked.length = 0;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it("is asked for each topic, once as long as that is remembered, and its word goes for all protocols", async () => {
    gateway = await start([{ kind: "http", url }]);
    const ann = await connected("ann");
    expect(await publish(ann, "ann/1")).toBe(true);
    expect(await publish(ann, "ann/1")).toBe(true);
    expect(await publish(ann, "bob/1")).toBe(false);
    expect(asked.map(({ topic }) => topic)).toEqual(["ann/1", "bob/1"]);
    expect(asked[0]).toMatchObject({ username: "ann", action: "publish" });
    const granted = await ann.subscribeAsync(["ann/#", "bob/#"], { qos: 1 }).catch((error: unknown) => error);
    expect(JSON.stringify(granted)).toContain("135");
    const { overCoap } = logins(gateway, "ann");
    expect(await overCoap("x")).toBe("4.03");
    const text = await gateway.composition.metrics.text();
    expect(text).toMatch(/authorization_answers_total\{source="http",result="allowed"\} 2/);
  });

  it("that thinks keeps the order of its client, what it sent before it left too, and holds up nobody else", async () => {
    gateway = await start([
      { kind: "http", url, concurrent: 1 },
      { kind: "http", name: "second", url },
    ]);
    const [ann, bob] = [await connected("ann"), await connected("bob")];
    const heard: string[] = [];
    const listener = await connected("all", { username: "ann", clientId: "listener" });
    listener.on("message", (topic, payload) => heard.push(`${topic} ${payload}`));
    await listener.subscribeAsync(["ann/#", "all"], { qos: 0 });
    expect(await publish(bob, "bob/known")).toBe(true);

    holds = ({ topic }) => topic === "ann/slow";
    const slow = publish(ann, "ann/slow", "1");
    const behind = publish(ann, "all", "2");
    ann.publish("ann/slow", "3", { qos: 0 });
    ann.end();
    await expect.poll(() => held.has("ann/slow"), { timeout: 20_000 }).toBe(true);
    // Whose answer is known is not held up by it.
    expect(await publish(bob, "bob/known")).toBe(true);
    expect(heard).toEqual([]);
    holds = () => false;
    held.get("ann/slow")?.();
    held.delete("ann/slow");
    await expect.poll(() => heard, { timeout: 20_000 }).toEqual(["ann/slow 1", "all 2", "ann/slow 3"]);
    await Promise.allSettled([slow, behind]);
  });

  it("that is away denies by default; with keep a client that is at work goes on", async () => {
    for (const [onError, taken] of [
      ["deny", false],
      ["keep", true],
    ] as const) {
      const breaker = { failures: 1, pause: "1h" };
      const source = { kind: "http", url, onError, timeout: "300ms", breaker };
      gateway = await start([source], { cache: { entries: 10, ttl: "50ms" } });
      const ann = await connected("ann");
      expect(await publish(ann, "ann/1")).toBe(true);
      holds = () => true;
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(await publish(ann, "ann/1"), onError).toBe(taken);
      expect(await publish(ann, "ann/never"), onError).toBe(false);
      holds = () => false;
      await gateway.stop();
      gateway = undefined;
    }
  });

  it("judges a last will when the client comes, and lets it be published when the client is lost", async () => {
    gateway = await start([{ kind: "http", url }]);
    const heard: string[] = [];
    const listener = await connected("ann", { clientId: "listener" });
    listener.on("message", (topic) => heard.push(topic));
    await listener.subscribeAsync(["ann/#", "all"]);
    for (const topic of ["ann/will", "bob/will"]) {
      const will = { topic, payload: Buffer.from("gone"), qos: 0, retain: false };
      const lost = await connected("ann", { clientId: `lost-${topic}`, will });
      lost.stream.destroy();
    }
    await expect.poll(() => heard, { timeout: 20_000 }).toEqual(["ann/will"]);
    expect(asked.filter(({ topic }) => topic === "bob/will")).toHaveLength(1);
  });
});

describe.skipIf(lacks("redis-server"))("Redis as a source of rules", () => {
  let server: Server;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis({ host: "127.0.0.1", port: server.port });
  }, 120_000);
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  it("serves clients that logged in by other means, and changes with what is remembered (A-063)", async () => {
    await redis.hset("mqtt_acl:ann", { "t/%u": "publish" });
    const source = { kind: "redis", port: server.port };
    gateway = await start([source], { cache: { entries: 10, ttl: "1h" } });
    const ann = await connected("ann");
    expect([await publish(ann, "t/ann"), await publish(ann, "t/bob")]).toEqual([true, false]);
    await redis.hset("mqtt_acl:ann", { "t/bob": "all" });
    expect(await publish(ann, "t/bob")).toBe(false);
    gateway.composition.policy.forgetDecisions();
    expect(await publish(ann, "t/bob")).toBe(true);
  });

  it("forgets what it said, of one user or of all, by the API: what is no longer allowed ends at once", async () => {
    await redis.del("mqtt_acl:ann");
    await redis.hset("mqtt_acl:ann", { "t/ann": "all" });
    await redis.hset("mqtt_acl:bob", { "t/ann": "all" });
    const api = await startApi({
      authorization: {
        noMatch: "deny",
        rules: [],
        sources: [{ kind: "redis", port: server.port }],
        cache: { entries: 10, ttl: "1h" },
        revoked: "quiet",
      },
      gateways: { mqtt: {} },
    });
    try {
      gateway = undefined;
      const [ann, bob] = [await connectedTo(api.gateway, "ann"), await connectedTo(api.gateway, "bob")];
      for (const client of [ann, bob]) await client.subscribeAsync("t/ann");
      await redis.del("mqtt_acl:ann", "mqtt_acl:bob");
      const subscribed = async () =>
        (await api.ask("GET", "/api/v1/topics")).body.items.map(
          ({ subscribers }: { subscribers: number }) => subscribers,
        );
      expect(await subscribed()).toEqual([2]);
      const forget = (query: string) => api.ask("DELETE", `/api/v1/authentication/decisions${query}`);
      expect((await forget("?user=nobody")).body).toEqual({ clients: 0 });
      expect((await forget("?user=ann")).body).toEqual({ clients: 1 });
      await expect.poll(subscribed, { timeout: 60_000 }).toEqual([1]);
      expect([await publish(ann, "t/ann"), await publish(bob, "t/ann")]).toEqual([false, true]);
      expect((await forget("")).body).toEqual({ clients: 2 });
      await expect.poll(subscribed, { timeout: 60_000 }).toEqual([]);
      const changes = (await api.ask("GET", "/api/v1/changes")).body.items;
      expect(changes.map(({ object }: { object: string }) => object)).toContain("decisions about ann");
    } finally {
      await api.stop();
    }
  });
});
