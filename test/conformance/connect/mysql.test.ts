/** Rules whose outputs go to MariaDB's own server. */
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../../support/programs.ts";
import { type Server, startMariadb } from "../../support/servers.ts";
import { addsUp, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

describe.skipIf(lacks("mariadbd"))("MySQL", () => {
  let server: Server;
  const site = new SinkSite();

  beforeAll(async () => {
    server = await startMariadb();
    await query("CREATE DATABASE mqtt", "mysql");
  }, 180_000);
  afterAll(() => server.stop());
  afterEach(() => site.stop());

  async function query(sql: string, database = "mqtt"): Promise<RowDataPacket[]> {
    const connection = await createConnection({
      host: "127.0.0.1",
      port: server.port,
      user: "root",
      database,
    });
    connection.on("error", () => {});
    try {
      const [rows] = await connection.query(sql);
      return rows as RowDataPacket[];
    } finally {
      connection.destroy();
    }
  }
  const connector = (more: object = {}) => ({ kind: "mysql", port: server.port, ...more });

  it("keeps a message as the manual's statement says", async () => {
    await query(`CREATE TABLE t_mqtt_msg (id int AUTO_INCREMENT PRIMARY KEY, msgid varchar(64), topic varchar(255),
      qos tinyint, payload blob, arrived datetime(3))`);
    const sink = await site.run(connector(), 'SELECT * FROM "message.publish"', {
      sql: "insert into t_mqtt_msg(msgid, topic, qos, payload, arrived) values (${id}, ${topic}, ${qos}, ${payload}, FROM_UNIXTIME(${timestamp}/1000))",
    });
    const before = Date.now();
    await (await site.connect()).publishAsync("t/a", "hello", { qos: 1 });
    await until(() => sink.counters.success === 1, "a row");
    const [row] = await query(
      "SELECT topic, qos, payload, msgid, UNIX_TIMESTAMP(arrived) * 1000 AS arrived FROM t_mqtt_msg",
    );
    expect(row).toMatchObject({ topic: "t/a", qos: 1, payload: Buffer.from("hello") });
    expect(row!["msgid"]).toMatch(/^[0-9a-f]{32}$/);
    expect(Math.abs(Number(row!["arrived"]) - before)).toBeLessThan(600_000);
  });

  it("binds values: no payload changes what a statement does, octets stay octets, and what is missing is NULL", async () => {
    await query(
      "CREATE TABLE bound (n int AUTO_INCREMENT PRIMARY KEY, payload blob, big bigint, yes boolean, missing int)",
    );
    const sink = await site.run(connector(), 'SELECT payload, bitsl(1, 62) AS big, true AS yes FROM "t/#"', {
      sql: "insert into bound(payload, big, yes, missing) values (${payload}, ${big}, ${yes}, ${absent})",
    });
    const client = await site.connect();
    const evil = ["'); DROP TABLE bound; --", "?", "\\' OR 1=1", "`", Buffer.from([0xff, 0x00, 0x27])];
    for (const payload of evil) await client.publishAsync("t/1", payload, { qos: 1 });
    await until(() => sink.counters.success === evil.length, "all rows");
    const rows = await query("SELECT payload, CAST(big AS CHAR) AS big, yes, missing FROM bound ORDER BY n");
    expect(rows.map(({ payload }) => payload)).toEqual(evil.map((payload) => Buffer.from(payload)));
    expect(rows[0]).toMatchObject({ big: "4611686018427387904", yes: 1, missing: null });
  });

  it("commits batches, and of one that fails keeps all that is good, dead-lettering the rest", async () => {
    await query("CREATE TABLE numbers (n integer NOT NULL)");
    const sink = await site.run(
      connector({ batch: { messages: 100, time: "300ms" }, concurrency: 1 }),
      'SELECT payload FROM "t/#"',
      { sql: "insert into numbers values (${payload})" },
    );
    const dead = await site.letters();
    const client = await site.connect();
    const sent = Array.from({ length: 50 }, (_, count) => (count % 10 === 7 ? "seven" : `${count}`));
    await Promise.all(sent.map((payload) => client.publishAsync("t/1", payload, { qos: 1 })));
    await until(() => sink.counters.success === 45 && dead.length === 5, "45 rows and 5 letters");
    expect(await query("SELECT count(*) AS count FROM numbers")).toEqual([{ count: 45 }]);
    expect(dead[0]!["reason"]).toContain("error 1366, SQLSTATE 22007");
    addsUp(sink);
  });

  it("tries again while a table is locked, and dead-letters what is larger than the server takes", async () => {
    await query("CREATE TABLE later (data longblob)");
    await query("SET GLOBAL max_allowed_packet = 65536, GLOBAL lock_wait_timeout = 1");
    const sink = await site.run(connector(), 'SELECT payload FROM "t/#"', {
      sql: "insert into later values (${payload})",
    });
    const dead = await site.letters();
    const client = await site.connect();
    await client.publishAsync("t/1", Buffer.alloc(200_000), { qos: 1 });
    await until(() => dead.length === 1, "what is too large is dead-lettered");
    const locking = await createConnection({ port: server.port, user: "root", database: "mqtt" });
    await locking.query("LOCK TABLES later WRITE");
    await client.publishAsync("t/1", "small", { qos: 1 });
    await until(() => sink.reason?.includes("1205") === true, "it waits for the lock");
    await locking.end();
    await until(() => sink.counters.success === 1, "then it is a row");
    expect(sink.counters).toMatchObject({ taken: 2, success: 1, failed: 1, retriedSuccess: 1 });
    addsUp(sink);
  });

  it("loses nothing when the server is killed under load, and is counted right", async () => {
    await query("CREATE TABLE killed (id varchar(100) PRIMARY KEY, n int)");
    const sink = await site.run(connector({ batch: { messages: 20 } }), 'SELECT payload.n AS n FROM "t/#"', {
      sql: "insert ignore into killed values (${delivery_id}, ${n})",
    });
    const client = await site.connect();
    await publishNumbers(client, 0, 200);
    const going = publishNumbers(client, 200, 600);
    await server.kill();
    await going;
    await until(() => sink.state === "disconnected" && site.isAway(), "it is noticed", 120_000);
    await server.restart();
    await until(() => sink.counters.success === 600, "all have arrived", 120_000);
    expect(await query("SELECT count(*) AS c, count(DISTINCT n) AS d FROM killed")).toEqual([
      { c: 600, d: 600 },
    ]);
    await until(() => !site.isAway(), "the alarm is over");
    addsUp(sink);
  }, 300_000);

  it("loses nothing that was acknowledged when the gateway is killed", async () => {
    await query("CREATE TABLE survived (id varchar(100) PRIMARY KEY, n int)");
    await losesNothingWhenKilled({
      connector: connector(),
      action: { sql: "insert ignore into survived values (${delivery_id}, ${n})" },
      away: () => server.kill(),
      back: () => server.restart(),
      has: async () => new Set((await query("SELECT n FROM survived")).map(({ n }) => n as number)),
    });
  }, 900_000);
});
