/** Backends with servers of other people: PostgreSQL, MariaDB and Redis, with the tables and keys of EMQ X's manuals. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import mysql from "mysql2/promise";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { MODULES } from "#core/modules.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { lacks } from "../support/programs.ts";
import { type Server, startMariadb, startPostgres, startRedis } from "../support/servers.ts";
import { SOON } from "../support/sink-site.ts";
import { CoapSocket } from "../support/store-coap.ts";
import { until } from "../support/store-process.ts";

const GUIDE = readFileSync(new URL("../../docs/backends.md", import.meta.url), "utf8");
const tables = (server: string): string =>
  new RegExp(`<!-- ${server}: [^>]*-->\\n\`\`\`sql\\n([\\s\\S]*?)\`\`\``).exec(GUIDE)?.[1] ?? "";

/** What the tests ask of a database, whichever it is. */
interface Database {
  readonly server: Server;
  readonly connector: object;
  empty(): Promise<void>;
  presence(client: string): Promise<{ state: number; since: boolean; until: boolean } | undefined>;
  subscribe(client: string, topic: string, qos: number): Promise<void>;
  stored(topic: string): Promise<readonly string[]>;
  /** As if what is there had been published three hours ago; or, where they expire, when they will: within seconds. */
  age(topic: string): Promise<void>;
  /** What is kept of how far a client has come. */
  position(client: string, topic: string): Promise<boolean>;
  retained(topic: string): Promise<string | undefined>;
  close(): Promise<void>;
}

async function openPostgres(): Promise<Database> {
  const server = await startPostgres();
  const pool = new pg.Pool({ host: "127.0.0.1", port: server.port, user: "root", database: "postgres" });
  const isUp = (): Promise<boolean> =>
    pool.query("select 1").then(
      () => true,
      () => false,
    );
  await until(isUp, "PostgreSQL has started", 60_000);
  await pool.query(tables("PostgreSQL"));
  const rows = async (sql: string, ...values: unknown[]) => (await pool.query(sql, values)).rows;
  return {
    server,
    connector: { kind: "postgres", port: server.port, user: "root", database: "postgres" },
    empty: async () =>
      void (await pool.query("truncate mqtt_client, mqtt_sub, mqtt_msg, mqtt_retain, mqtt_acked")),
    async presence(client) {
      const [row] = await rows("select * from mqtt_client where clientid = $1", client);
      return row && { state: row.state, since: row.online_at !== null, until: row.offline_at !== null };
    },
    subscribe: async (...row) =>
      void (await rows("insert into mqtt_sub(clientid, topic, qos) values ($1, $2, $3)", ...row)),
    stored: async (topic) =>
      (await rows("select payload from mqtt_msg where topic = $1 order by id", topic)).map(
        ({ payload }) => payload,
      ),
    age: async (topic) =>
      void (await rows("update mqtt_msg set arrived = arrived - interval '3 hours' where topic = $1", topic)),
    position: async (...of) =>
      (await rows("select mid from mqtt_acked where clientid = $1 and topic = $2", ...of)).length === 1,
    retained: async (topic) =>
      (await rows("select payload from mqtt_retain where topic = $1", topic))[0]?.payload,
    async close() {
      await pool.end();
      await server.stop();
    },
  };
}

async function openMysql(): Promise<Database> {
  const server = await startMariadb();
  const at = { host: "127.0.0.1", port: server.port, user: "root", multipleStatements: true };
  const first = await mysql.createConnection(at);
  await first.query("create database mqtt");
  await first.end();
  const connection = await mysql.createConnection({ ...at, database: "mqtt" });
  await connection.query(tables("MySQL"));
  const rows = async (sql: string, ...values: (string | number)[]) =>
    (await connection.execute<mysql.RowDataPacket[]>(sql, values))[0];
  return {
    server,
    connector: { kind: "mysql", port: server.port, user: "root", database: "mqtt" },
    async empty() {
      for (const table of ["client", "sub", "msg", "retain", "acked"])
        await connection.query(`delete from mqtt_${table}`);
    },
    async presence(client) {
      const [row] = await rows("select * from mqtt_client where clientid = ?", client);
      return (
        row && {
          state: Number(row["state"]),
          since: row["online_at"] !== null,
          until: row["offline_at"] !== null,
        }
      );
    },
    subscribe: async (...row) =>
      void (await rows("insert into mqtt_sub(clientid, topic, qos) values (?, ?, ?)", ...row)),
    stored: async (topic) =>
      (await rows("select payload from mqtt_msg where topic = ? order by id", topic)).map(({ payload }) =>
        String(payload),
      ),
    age: async (topic) =>
      void (await rows("update mqtt_msg set arrived = arrived - interval 3 hour where topic = ?", topic)),
    position: async (...of) =>
      (await rows("select mid from mqtt_acked where clientid = ? and topic = ?", ...of)).length === 1,
    retained: async (topic) =>
      (await rows("select payload from mqtt_retain where topic = ?", topic)).map(({ payload }) =>
        String(payload),
      )[0],
    async close() {
      await connection.end();
      await server.stop();
    },
  };
}

async function openRedis(): Promise<Database> {
  const server = await startRedis();
  const redis = new Redis({ host: "127.0.0.1", port: server.port, db: 1 });
  return {
    server,
    connector: { kind: "redis", port: server.port, database: 1 },
    empty: async () => void (await redis.flushdb()),
    async presence(client) {
      const { state, online_at, offline_at } = await redis.hgetall(`mqtt:client:${client}`);
      if (state === undefined) return undefined;
      // The second of two commands may be on its way.
      if ((await redis.hexists("mqtt:node:isthmus", client)) !== Number(state)) return undefined;
      return {
        state: Number(state),
        since: /^\d{10}$/.test(online_at ?? ""),
        until: /^\d{10}$/.test(offline_at ?? ""),
      };
    },
    subscribe: async (client, topic, qos) =>
      void (await redis.hset(`mqtt:sub:${client}`, topic, String(qos))),
    async stored(topic) {
      const ids = await redis.zrange(`mqtt:msg:${topic}`, "0", "-1");
      return Promise.all(ids.map(async (id) => (await redis.hget(`mqtt:msg:${id}`, "payload")) ?? "gone"));
    },
    async age(topic) {
      // Redis ends them itself: that it will is what there is to see, and then they are gone.
      const ids = await redis.zrange(`mqtt:msg:${topic}`, "0", "-1");
      for (const key of [...ids, topic].map((each) => `mqtt:msg:${each}`)) {
        const left = await redis.ttl(key);
        expect(left).toBeGreaterThan(7100);
        expect(left).toBeLessThanOrEqual(7200);
      }
      for (const id of ids) await redis.del(`mqtt:msg:${id}`);
    },
    position: async (client, topic) => (await redis.exists(`mqtt:acked:${client}:${topic}`)) === 1,
    retained: async (topic) => (await redis.hget(`mqtt:retain:${topic}`, "payload")) ?? undefined,
    async close() {
      redis.disconnect();
      await server.stop();
    },
  };
}

let gateway: TestGateway | undefined;
const clients: MqttClient[] = [];

const KINDS = [
  ["PostgreSQL", lacks("pg_ctlcluster"), openPostgres],
  ["MariaDB", lacks("mariadbd"), openMysql],
  ["Redis", lacks("redis-server"), openRedis],
] as const;

for (const [name, missing, open] of KINDS) {
  describe.skipIf(missing)(`a backend of ${name}`, () => {
    let database: Database;
    beforeAll(async () => {
      database = await open();
    }, 120_000);
    afterAll(() => database.close());
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
      await gateway?.stop();
      gateway = undefined;
      await database.empty();
    });

    const run = async (
      backend: object,
      mqttSettings: { readonly mountpoint?: string } = {},
    ): Promise<void> => {
      gateway = await startGateway({
        gateways: { mqtt: mqttSettings, coap: {} },
        connectors: { db: { ...SOON, ...database.connector } },
        backends: { main: { connector: "db", presence: false, subscriptions: false, ...backend } },
      });
    };

    const connect = async (clientId: string, options: IClientOptions = {}) => {
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${gateway!.port("mqtt", "tcp")}`, {
        ...{ clientId, protocolVersion: 5, reconnectPeriod: 0, ...options },
      });
      client.on("error", () => {});
      clients.push(client);
      const heard: string[] = [];
      client.on("message", (topic, payload, { retain }) =>
        heard.push(`${topic} ${payload}${retain ? " retained" : ""}`),
      );
      return { client, heard };
    };

    const stored = (topic: string, ...payloads: string[]): Promise<void> =>
      until(
        async () => JSON.stringify(await database.stored(topic)) === JSON.stringify(payloads),
        `${topic} has ${payloads}`,
      );

    it("writes down who is online (on_client_connected, on_client_disconnected, R-091, R-093, R-094)", async () => {
      await run({ presence: true });
      const { client } = await connect("test");
      await until(async () => (await database.presence("test"))?.state === 1, "online");
      expect(await database.presence("test")).toEqual({ state: 1, since: true, until: false });
      // Who takes the session over is online.
      const { client: second } = await connect("test");
      await second.endAsync();
      await until(async () => (await database.presence("test"))?.state === 0, "offline");
      expect(await database.presence("test")).toEqual({ state: 0, since: true, until: true });
      await client.endAsync(true);
    });

    it("subscribes who connects to what the database says (on_subscribe_lookup, R-091)", async () => {
      await database.subscribe("test", "test_topic1", 1);
      await database.subscribe("test", "test/+/2", 2);
      await run({ subscriptions: true });
      const { client, heard } = await connect("test");
      const subscriptions = () =>
        gateway!.composition.core.directory.find("mqtt", "test")?.attendance?.subscriptions;
      await until(() => subscriptions()?.size === 2, "both subscriptions");
      expect([...subscriptions()!].map(([filter, { qos }]) => `${filter} ${qos}`).sort()).toEqual([
        "test/+/2 2",
        "test_topic1 1",
      ]);
      await client.publishAsync("test/x/2", "1", { qos: 1 });
      await until(() => heard.length === 1, "its message");
    });

    it("keeps a message until somebody has acknowledged it (queue: on_message_publish, on_message_fetch_for_queue, on_message_acked_for_queue)", async () => {
      await run({ messages: "queue", topic: "queue/#" });
      const { client: publisher } = await connect("pub");
      await publisher.publishAsync("queue/1", "first", { qos: 1 });
      await publisher.publishAsync("queue/1", "not kept", { qos: 0 });
      await publisher.publishAsync("other/1", "not kept", { qos: 1 });
      const device = new CoapSocket(gateway!.port("coap", "udp"));
      await device.put("queue/1", "of CoAP");
      device.close();
      await stored("queue/1", "first", "of CoAP");
      const { client, heard } = await connect("sub");
      await client.subscribeAsync("queue/1", { qos: 1 });
      await until(() => heard.filter((each) => !each.endsWith("retained")).length >= 2, "both");
      expect(heard).toEqual(expect.arrayContaining(["queue/1 first", "queue/1 of CoAP"]));
      await stored("queue/1");
      // One that is delivered at once leaves as well.
      await publisher.publishAsync("queue/1", "live", { qos: 1 });
      await until(() => heard.includes("queue/1 live"), "the live one");
      await stored("queue/1");
      const sink = gateway!.composition.rules.connectors.get("db")!;
      expect(sink.counters.failed).toBe(0);
    });

    it("keeps a message that is not acknowledged, and gives it again (queue)", async () => {
      await run({ messages: "queue" });
      const { client: publisher } = await connect("pub");
      await publisher.publishAsync("q", "1", { qos: 1 });
      await stored("q", "1");
      const { client: first, heard } = await connect("first");
      await first.subscribeAsync("q", { qos: 0 });
      await until(() => heard.length === 1, "at QoS 0, which nobody acknowledges");
      await first.endAsync(true);
      await stored("q", "1");
      const { client: second, heard: again } = await connect("second");
      await second.subscribeAsync("q", { qos: 1 });
      await until(() => again.length === 1, "again");
      await stored("q");
    });

    it("remembers how far each client has come (pubsub: on_message_fetch, on_message_acked, R-091, R-092)", async () => {
      await run({ messages: "pubsub", topic: "pubsub/#", maximum: 3 });
      const { client: publisher } = await connect("pub");
      for (const n of [1, 2, 3, 4]) await publisher.publishAsync("pubsub/1", String(n), { qos: 1 });
      await stored("pubsub/1", "1", "2", "3", "4");
      const come = async (id: string, count: number): Promise<string[]> => {
        const { client, heard } = await connect(id);
        await client.subscribeAsync("pubsub/1", { qos: 1 });
        await until(() => heard.length >= count, `${count} for ${id}`);
        const sink = gateway!.composition.rules.connectors.get("db")!;
        await until(() => sink.queuing + sink.inflight === 0, "everything is written");
        await client.endAsync();
        return heard.map((each) => each.split(" ")[1]!);
      };
      expect(await come("a", 3)).toEqual(["1", "2", "3"]);
      expect(await come("a", 1)).toEqual(["4"]);
      expect(await come("b", 3)).toEqual(["1", "2", "3"]);
      await publisher.publishAsync("pubsub/1", "5", { qos: 1 });
      await stored("pubsub/1", "1", "2", "3", "4", "5");
      expect(await come("a", 1)).toEqual(["5"]);
    });

    it("forgets how far a client has come when it unsubscribes, and no other's (pubsub with forget: on_acked_delete, R-091)", async () => {
      await run({ messages: "pubsub", topic: "pubsub/#", forget: true });
      const { client: publisher } = await connect("pub");
      await publisher.publishAsync("pubsub/1", "1", { qos: 1 });
      await stored("pubsub/1", "1");
      const [{ client, heard }, { client: other }] = [await connect("a"), await connect("b")];
      for (const each of [client, other]) await each.subscribeAsync("pubsub/1", { qos: 1 });
      const positions = async (): Promise<string> =>
        `${await database.position("a", "pubsub/1")} ${await database.position("b", "pubsub/1")}`;
      await until(async () => (await positions()) === "true true", "both have acknowledged it");
      await client.unsubscribeAsync("pubsub/1");
      await until(async () => (await positions()) === "false true", "it is forgotten");
      await client.subscribeAsync("pubsub/1", { qos: 1 });
      await until(() => heard.length === 2, "it is given again");
      expect(heard).toEqual(["pubsub/1 1", "pubsub/1 1"]);
      await stored("pubsub/1", "1");
    });

    it("writes down every message, QoS 0 too, and gives none to who subscribes (store: on_message_store, R-091)", async () => {
      await run({ messages: "store", topic: "s/#" });
      const { client: publisher } = await connect("pub");
      // QoS 0 and 1 of one client are in order [MQTT-4.6.0-6].
      publisher.publish("s/1", "at 0", { qos: 0 });
      await publisher.publishAsync("other", "not kept", { qos: 1 });
      await publisher.publishAsync("s/1", "at 1", { qos: 1 });
      await stored("s/1", "at 0", "at 1");
      expect(await database.stored("other")).toEqual([]);
      const { client, heard } = await connect("sub");
      await client.subscribeAsync("s/1", { qos: 1 });
      await publisher.publishAsync("s/1", "live", { qos: 1 });
      await until(() => heard.length > 0, "the live one");
      await stored("s/1", "at 0", "at 1", "live");
      expect(heard).toEqual(["s/1 live"]);
    });

    it("gives nothing that is older than timeRange (offline_opts.time_range, R-092)", async () => {
      await run({ messages: "queue", timeRange: "2h" });
      const { client: publisher } = await connect("pub");
      await publisher.publishAsync("q", "old", { qos: 1 });
      await stored("q", "old");
      await database.age("q");
      await publisher.publishAsync("q", "new", { qos: 1 });
      await until(async () => (await database.stored("q")).includes("new"), "the new one");
      const { client, heard } = await connect("sub");
      await client.subscribeAsync("q", { qos: 1 });
      await until(() => heard.length > 0, "the new one");
      const sink = gateway!.composition.rules.connectors.get("db")!;
      await until(() => sink.queuing + sink.inflight === 0, "nothing is on its way");
      expect(heard).toEqual(["q new"]);
    });

    it("gives who is subscribed by the database what has waited for it (on_subscribe_lookup, then on_message_fetch, R-090)", async () => {
      await database.subscribe("test", "q/1", 1);
      await run({ subscriptions: true, messages: "queue" });
      const { client: publisher } = await connect("pub");
      await publisher.publishAsync("q/1", "waited", { qos: 1 });
      await stored("q/1", "waited");
      const { heard } = await connect("test");
      await until(() => heard.length > 0, "what waited");
      expect(heard).toEqual(["q/1 waited"]);
      await stored("q/1");
    });

    it("finds what was published and asked for behind a mountpoint: topics are those of the bus, clients see their own (R-048)", async () => {
      const mounted = { mountpoint: "site/%u/" };
      await run({ messages: "pubsub", topic: "site/u1/#", retained: "restore" }, mounted);
      const { client: publisher } = await connect("pub", { username: "u1" });
      const { client: other } = await connect("pub2", { username: "u2" });
      await publisher.publishAsync("p/1", "kept", { qos: 1, retain: true });
      await other.publishAsync("p/1", "of another", { qos: 1 });
      await stored("site/u1/p/1", "kept");
      expect(await database.stored("site/u2/p/1")).toEqual([]);
      await gateway!.stop();
      await run({ messages: "pubsub", topic: "site/u1/#", retained: "restore" }, mounted);
      const { client, heard } = await connect("sub", { username: "u1" });
      await client.subscribeAsync("p/1", { qos: 1 });
      await until(() => heard.length === 2, "as a message that waited, and as the retained one");
      expect([...heard].sort()).toEqual(["p/1 kept", "p/1 kept retained"]);
      await until(() => database.position("sub", "site/u1/p/1"), "it is acknowledged");
      await until(async () => (await database.retained("site/u1/p/1")) === "kept", "the retained one");
    });

    it("writes down retained messages, deletes them with their topic's, and gives them (on_message_retain, on_retain_delete, on_retain_lookup)", async () => {
      await run({ retained: "restore" });
      const { client } = await connect("pub");
      await client.publishAsync("r/1", "kept", { qos: 1, retain: true });
      await client.publishAsync("r/2", "passes", { qos: 1 });
      await client.publishAsync("r/3", "deleted", { qos: 1, retain: true });
      await client.publishAsync("r/3", "", { qos: 1, retain: true });
      await until(async () => (await database.retained("r/1")) === "kept", "r/1");
      await until(async () => (await database.retained("r/3")) === undefined, "r/3 is gone");
      expect(await database.retained("r/2")).toBeUndefined();
      const { client: early, heard: once } = await connect("early");
      await early.subscribeAsync("r/1", { qos: 1 });
      const sink = gateway!.composition.rules.connectors.get("db")!;
      await until(() => once.length > 0 && sink.queuing + sink.inflight === 0, "the bus's own");
      expect(once).toEqual(["r/1 kept retained"]);
      await gateway!.stop();
      // Another life, whose bus has nothing.
      await run({ retained: "restore" });
      const { client: late, heard } = await connect("late");
      await late.subscribeAsync("r/1", { qos: 1 });
      await until(() => heard.length === 1, "the retained message");
      expect(heard).toEqual(["r/1 kept retained"]);
    });
  });
}

describe.skipIf(lacks("redis-server"))("over a restart", () => {
  it("knows a message that waited in a session by the id that it was written down with", async () => {
    const database = await openRedis();
    const dataFolder = mkdtempSync(join(tmpdir(), "isthmus-backends-"));
    const run = () =>
      startGateway({
        gateways: { mqtt: {} },
        ...{ dataFolder, store: { engine: "embedded" } },
        connectors: { db: { ...SOON, ...database.connector } },
        backends: { main: { connector: "db", messages: "queue" } },
      });
    const connect = (clientId: string, clean: boolean) =>
      mqtt.connectAsync(`mqtt://127.0.0.1:${gateway!.port("mqtt", "tcp")}`, {
        ...{ clientId, clean, protocolVersion: 5, reconnectPeriod: 0 },
        properties: { sessionExpiryInterval: 3600 },
      });
    try {
      gateway = await run();
      const away = await connect("away", false);
      await away.subscribeAsync("q", { qos: 1 });
      await away.endAsync();
      const publisher = await connect("pub", true);
      await publisher.publishAsync("q", "waits", { qos: 1 });
      await publisher.endAsync();
      await until(async () => (await database.stored("q")).length === 1, "it is written down");
      await gateway.stop();
      gateway = await run();
      const back = await connect("away", false);
      await until(async () => (await database.stored("q")).length === 0, "it is deleted");
      await back.endAsync();
    } finally {
      await gateway?.stop();
      gateway = undefined;
      await database.close();
      rmSync(dataFolder, { recursive: true });
    }
  });
});

describe("a backend that cannot work", () => {
  const load = (backend: object, connector: object = { kind: "redis" }, more: object = {}) =>
    loadText(
      MODULES,
      JSON.stringify({
        connectors: { db: connector },
        backends: { main: { connector: "db", ...backend } },
        ...more,
      }),
    );

  it.each([
    [
      "without its connector",
      { connector: "nowhere" },
      'backends.main.connector is "nowhere"; allowed: a connector of kind redis, postgres, mysql',
    ],
    [
      "with a topic that is no filter",
      { topic: "a/#/b" },
      'backends.main.topic is "a/#/b"; allowed: a topic filter',
    ],
    ["with a quotation mark in it", { topic: "it's" }, "(this one has: a quotation mark)"],
    [
      "with a misspelt key",
      { mesages: "queue" },
      'backends.main.mesages is not a known key; did you mean "messages"?',
    ],
    [
      "with a word that there is not",
      { messages: "topic" },
      'backends.main.messages is "topic"; allowed: one of none, store, queue, pubsub',
    ],
  ])("%s is told with its key", (_what, backend, says) => {
    expect(() => load(backend)).toThrow(says);
  });

  it("a connector of another kind or order, and a rule that has its name", () => {
    expect(() => load({}, { kind: "file", path: "/tmp/x" })).toThrow("allowed: a connector of kind redis");
    expect(() => load({}, { kind: "redis", order: "none" })).toThrow(
      'connectors.db.order is "none"; allowed: all, for backends.main',
    );
    const cluster = { kind: "redis", cluster: ["127.0.0.1:7000"] };
    expect(() => load({}, cluster)).toThrow("allowed: a Redis server that is no cluster");
    const off = { "main-online": { enable: false } };
    expect(load({}, { kind: "redis" }, { rules: off }).config.rules["main-online"]).toMatchObject({
      enable: false,
      actions: [{ kind: "redis" }, { kind: "redis" }],
    });
    const rules = { "main-online": { sql: 'SELECT * FROM "a"' } };
    expect(() => load({}, { kind: "redis" }, { rules })).toThrow("rules.main-online is there already");
  });

  it("is none where the guide's example is taken", () => {
    const [, example = ""] = /<!-- example: [^>]*-->\n```yaml\n([\s\S]*?)```/.exec(GUIDE) ?? [];
    const { config } = loadText(MODULES, example);
    expect(Object.keys(config.rules)).toHaveLength(8);
  });

  it("becomes rules whose connector keeps one order", () => {
    const { config } = load({ messages: "pubsub", retained: "restore", forget: true });
    expect(Object.keys(config.rules)).toEqual(
      [
        "online",
        "offline",
        "subscribe",
        "publish",
        "fetch",
        "acked",
        "forget",
        "retain",
        "unretain",
        "restore",
      ].map((what) => `main-${what}`),
    );
    expect(config.connectors["db"]!.order).toBe("all");
  });
});
