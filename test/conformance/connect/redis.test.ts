/** Rules whose outputs go to Redis's own server. */
import { Redis } from "ioredis";
import mqtt, { type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startRedis } from "../../support/servers.ts";
import { losesNothingWhenKilled } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

describe.skipIf(lacks("redis-server"))("Redis", () => {
  let server: Server;
  let gateway: TestGateway | undefined;
  const clients: MqttClient[] = [];

  beforeAll(async () => {
    server = await startRedis();
  }, 120_000);
  afterAll(() => server.stop());
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
    await gateway?.stop();
    gateway = undefined;
  });

  async function ask<Answer>(work: (redis: Redis) => Promise<Answer>): Promise<Answer> {
    const redis = new Redis({ port: server.port, maxRetriesPerRequest: 1 });
    redis.on("error", () => {});
    try {
      return await work(redis);
    } finally {
      redis.disconnect();
    }
  }

  const start = async (sql: string, ...commands: string[]) => {
    gateway = await startGateway({
      gateways: { mqtt: {} },
      connectors: {
        cache: {
          kind: "redis",
          port: server.port,
          retry: { first: "10ms", longest: "100ms" },
          health: "200ms",
        },
      },
      rules: {
        r: { sql, actions: commands.map((command) => ({ kind: "redis", connector: "cache", command })) },
      },
    });
    return gateway.composition.rules.connectors.get("cache")!;
  };

  async function connect(): Promise<MqttClient> {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway!.port("mqtt", "tcp")}`, {
      clientId: "c1",
    });
    clients.push(client);
    return client;
  }

  it("keeps a message as the manual's command says, and a payload with spaces as one value", async () => {
    const sink = await start(
      'SELECT * FROM "message.publish"',
      "HMSET mqtt:msg:last id ${id} from ${client_id} qos ${qos} topic ${topic} payload ${payload} retain ${retain} ts ${timestamp}",
    );
    await (await connect()).publishAsync("t/a", "two words 'and' \"quotes\"", { qos: 1 });
    await until(() => sink.counters.success === 1, "it is there");
    const kept = await ask((redis) => redis.hgetall("mqtt:msg:last"));
    expect(kept).toMatchObject({
      from: "c1",
      qos: "1",
      topic: "t/a",
      payload: "two words 'and' \"quotes\"",
      retain: "false",
    });
  });

  it("appends to streams, publishes, and spreads a list over words; octets stay octets", async () => {
    const sink = await start(
      "SELECT payload, clientid, ['a', 1, 'b', 2] AS pairs FROM \"t/#\"",
      "XADD readings * device ${clientid} raw ${payload}",
      "HSET spread ${pairs}",
    );
    await (await connect()).publishAsync("t/a", Buffer.from([0xff, 0x00]), { qos: 1 });
    await until(() => sink.counters.success === 2, "both are there");
    const [[, fields]] = (await ask((redis) => redis.xrangeBuffer("readings", "-", "+"))) as [
      [Buffer, Buffer[]],
    ];
    expect(fields[3]).toEqual(Buffer.from([0xff, 0x00]));
    expect(await ask((redis) => redis.hgetall("spread"))).toEqual({ a: "1", b: "2" });
  });

  it("dead-letters a command that the server does not take, and nothing else of its batch", async () => {
    await ask((redis) => redis.set("text", "x"));
    const sink = await start('SELECT payload FROM "t/#"', "LPUSH good ${payload}", "LPUSH text ${payload}");
    const client = await connect();
    for (let count = 0; count < 10; count++) await client.publishAsync("t/a", `${count}`, { qos: 1 });
    await until(() => sink.counters.success + sink.counters.failed === 20, "all are over");
    expect(sink.counters).toMatchObject({ success: 10, failed: 10 });
    expect(await ask((redis) => redis.llen("good"))).toBe(10);
  });

  it("loses nothing when the server is killed under load", async () => {
    const sink = await start('SELECT payload FROM "t/#"', "SADD seen ${payload}");
    const client = await connect();
    for (let count = 0; count < 100; count++) await client.publishAsync("t/a", `${count}`, { qos: 1 });
    await until(() => sink.counters.success === 100, "the first half");
    await server.kill();
    for (let count = 100; count < 200; count++) await client.publishAsync("t/a", `${count}`, { qos: 1 });
    await until(() => sink.state === "disconnected", "it is noticed", 120_000);
    await server.restart();
    await until(() => sink.counters.success === 200, "all are acknowledged", 120_000);
    // What was in memory alone is Redis's to lose; what came while it was away is there.
    const seen = new Set(await ask((redis) => redis.smembers("seen")));
    for (let count = 100; count < 200; count++) expect(seen.has(`${count}`)).toBe(true);
    expect(sink.counters).toMatchObject({ taken: 200, failed: 0 });
  }, 300_000);

  it("has everything that was acknowledged when the gateway is killed", async () => {
    await losesNothingWhenKilled({
      connector: { kind: "redis", port: server.port },
      action: { command: "SADD survived ${n}" },
      away: () => server.kill(),
      back: () => server.restart(),
      has: async () => new Set((await ask((redis) => redis.smembers("survived"))).map(Number)),
    });
  }, 900_000);
});
