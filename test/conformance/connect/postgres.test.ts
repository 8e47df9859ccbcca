/** Rules whose outputs go to PostgreSQL's own server. */
import mqtt, { type MqttClient } from "mqtt";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Sink } from "#core/connect/sink.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startPostgres } from "../../support/servers.ts";
import { StoreSite, until } from "../../support/store-process.ts";

describe.skipIf(lacks("pg_ctlcluster"))("PostgreSQL", () => {
  let server: Server;
  let gateway: TestGateway | undefined;
  const clients: MqttClient[] = [];

  beforeAll(async () => {
    server = await startPostgres();
    // It listens before it lets anybody in.
    await until(
      () =>
        query("SELECT 1").then(
          () => true,
          () => false,
        ),
      "the server lets us in",
      120_000,
    );
  }, 180_000);
  afterAll(() => server.stop());
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
    await gateway?.stop();
    gateway = undefined;
  });

  async function query<Row extends object>(text: string): Promise<Row[]> {
    const client = new pg.Client({
      host: "127.0.0.1",
      port: server.port,
      user: "root",
      database: "postgres",
    });
    await client.connect();
    try {
      return (await client.query(text)).rows as Row[];
    } finally {
      await client.end();
    }
  }

  const connector = () => ({
    kind: "postgres",
    port: server.port,
    user: "root",
    retry: { first: "10ms", longest: "100ms" },
    health: "200ms",
  });

  async function run(sql: string, statement: string, more: object = {}): Promise<Sink> {
    gateway = await startGateway({
      gateways: { mqtt: {} },
      connectors: { db: { ...connector(), ...more } },
      rules: { r: { sql, actions: [{ kind: "postgres", connector: "db", sql: statement }] } },
    });
    return gateway.composition.rules.connectors.get("db")!;
  }

  async function connect(port = gateway!.port("mqtt", "tcp")): Promise<MqttClient> {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      clientId: "c1",
      reconnectPeriod: 0,
    });
    client.on("error", () => {});
    clients.push(client);
    return client;
  }

  it("keeps a message as the manual's statement says", async () => {
    await query(`CREATE TABLE t_mqtt_msg (id serial, msgid varchar(64), topic varchar(255), qos integer,
      retain boolean, payload text, arrived timestamp without time zone)`);
    const sink = await run(
      'SELECT * FROM "message.publish"',
      "insert into t_mqtt_msg(msgid, topic, qos, retain, payload, arrived) values (${id}, ${topic}, ${qos}, ${retain}, ${payload}, to_timestamp(${timestamp}::double precision /1000)) returning id",
    );
    await (await connect()).publishAsync("t/1", "hello1", { qos: 1 });
    await until(() => sink.counters.success === 1, "a row");
    const [row] = await query<Record<string, unknown>>("SELECT * FROM t_mqtt_msg");
    expect(row).toMatchObject({ topic: "t/1", qos: 1, retain: false, payload: "hello1" });
    expect(row!["msgid"]).toMatch(/^[0-9a-f]{32}$/);
  });

  it("takes TimescaleDB's form of rows from a flat payload, and NULL for what is missing", async () => {
    await query(`CREATE TABLE conditions (time timestamptz NOT NULL, location text NOT NULL,
      temperature double precision, humidity double precision)`);
    const sink = await run(
      'SELECT payload.temp AS temp, payload.humidity AS humidity, payload.location AS location FROM "t/#"',
      "insert into conditions(time, location, temperature, humidity) values (NOW(), ${location}, ${temp}, ${humidity})",
    );
    const client = await connect();
    await client.publishAsync("t/1", '{"temp":24,"humidity":30,"location":"hangzhou"}', { qos: 1 });
    await client.publishAsync("t/1", '{"temp":24.5,"location":"x"}', { qos: 1 });
    await until(() => sink.counters.success === 2, "two rows");
    expect(
      await query("SELECT location, temperature, humidity FROM conditions ORDER BY temperature"),
    ).toEqual([
      { location: "hangzhou", temperature: 24, humidity: 30 },
      { location: "x", temperature: 24.5, humidity: null },
    ]);
  });

  it("binds values: no payload changes what a statement does", async () => {
    await query("CREATE TABLE bound (payload text)");
    const sink = await run('SELECT payload FROM "t/#"', "insert into bound values (${payload})");
    const client = await connect();
    const evil = ["'); DROP TABLE bound; --", "$1", "${payload}", '"', "\\'"];
    for (const payload of evil) await client.publishAsync("t/1", payload, { qos: 1 });
    await until(() => sink.counters.success === evil.length, "all rows");
    expect(
      (await query<{ payload: string }>("SELECT payload FROM bound")).map(({ payload }) => payload),
    ).toEqual(evil);
  });

  it("commits batches, and of one that fails keeps all that is good, dead-lettering the rest", async () => {
    await query("CREATE TABLE numbers (n integer NOT NULL)");
    const sink = await run(
      'SELECT payload FROM "t/#"',
      "insert into numbers values (${payload}::text::integer)",
      {
        batch: { messages: 100, time: "300ms" },
        concurrency: 1,
      },
    );
    const client = await connect();
    const dead: { reason: string }[] = [];
    client.on("message", (_, payload) => dead.push(JSON.parse(payload.toString())));
    await client.subscribeAsync("$dead-letter/#", { qos: 1 });
    const sent = Array.from({ length: 50 }, (_, count) => (count % 10 === 7 ? "seven" : `${count}`));
    await Promise.all(sent.map((payload) => client.publishAsync("t/1", payload, { qos: 1 })));
    await until(() => sink.counters.success === 45 && dead.length === 5, "45 rows and 5 letters");
    expect(await query("SELECT count(*)::integer AS count FROM numbers")).toEqual([{ count: 45 }]);
    expect(dead[0]!.reason).toContain("SQLSTATE 22P02");
    expect(sink.counters).toMatchObject({ taken: 50, success: 45, failed: 5 });
  });

  const isAway = (): boolean =>
    gateway!.composition.alarms.active.some(({ name }) => name === "connector-db-away");

  it("is asked again while a table is locked for longer than it may take, with an alarm, and has each row once", async () => {
    await query("CREATE TABLE locked (id text PRIMARY KEY, n integer)");
    const sink = await run(
      'SELECT payload.n AS n FROM "t/#"',
      "insert into locked values (${delivery_id}, ${n}) on conflict do nothing",
      { timeout: "500ms" },
    );
    const holder = new pg.Client({
      port: server.port,
      host: "127.0.0.1",
      user: "root",
      database: "postgres",
    });
    await holder.connect();
    await holder.query("BEGIN");
    await holder.query("LOCK TABLE locked");
    const client = await connect();
    for (let n = 0; n < 5; n++) await client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 });
    await until(isAway, "an alarm");
    expect(sink.reason).toBe("it does not answer in time");
    await holder.query("COMMIT");
    await holder.end();
    await until(() => sink.counters.success === 5 && !isAway(), "all are there");
    expect(await query("SELECT n FROM locked ORDER BY n")).toEqual([0, 1, 2, 3, 4].map((n) => ({ n })));
    expect(sink.counters).toMatchObject({ failed: 0 });
    expect(sink.counters.late).toBeGreaterThan(0);
  });

  it("is asked again while it has no room, with an alarm, and nothing is lost", async () => {
    await query("CREATE TABLE full_one (n integer); CREATE TABLE no_more ()");
    // As it answers when its disk is full (SQLSTATE 53100).
    await query(`CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF to_regclass('no_more') IS NOT NULL THEN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END IF;
      RETURN NEW; END $$`);
    await query("CREATE TRIGGER full_one BEFORE INSERT ON full_one FOR EACH ROW EXECUTE FUNCTION no_room()");
    const sink = await run('SELECT payload.n AS n FROM "t/#"', "insert into full_one values (${n})");
    const client = await connect();
    for (let n = 0; n < 5; n++) await client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 });
    await until(isAway, "an alarm");
    expect(sink.reason).toContain("SQLSTATE 53100");
    await query("DROP TABLE no_more");
    await until(() => sink.counters.success === 5, "all are there");
    expect(await query("SELECT n FROM full_one ORDER BY n")).toEqual([0, 1, 2, 3, 4].map((n) => ({ n })));
    expect(sink.counters).toMatchObject({ failed: 0 });
  });

  it("loses nothing when the server is killed under load, and is counted right", async () => {
    await query("CREATE TABLE killed (id text PRIMARY KEY, n integer)");
    const sink = await run(
      'SELECT payload.n AS n FROM "t/#"',
      "insert into killed values (${delivery_id}, ${n}) on conflict do nothing",
      { batch: { messages: 20 } },
    );
    const client = await connect();
    const publish = async (from: number, to: number) => {
      for (let n = from; n < to; n++) await client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 });
    };
    await publish(0, 200);
    const going = publish(200, 600);
    await server.kill();
    await going;
    await until(() => sink.state === "disconnected", "it is noticed", 120_000);
    await server.restart();
    await until(() => sink.counters.success === 600, "all have arrived", 120_000);
    expect(
      await query("SELECT count(*)::integer AS rows, count(DISTINCT n)::integer AS numbers FROM killed"),
    ).toEqual([{ rows: 600, numbers: 600 }]);
    expect(sink.counters).toMatchObject({ taken: 600, failed: 0, expired: 0, full: 0 });
  }, 300_000);

  it("loses nothing that was acknowledged when the gateway is killed", async () => {
    await query("CREATE TABLE survived (id text PRIMARY KEY, n integer)");
    const site = await StoreSite.create();
    try {
      site.configure({
        connectors: { db: connector() },
        rules: {
          r: {
            sql: 'SELECT payload.n AS n FROM "t/#"',
            actions: [
              {
                kind: "postgres",
                connector: "db",
                sql: "insert into survived values (${delivery_id}, ${n}) on conflict do nothing",
              },
            ],
          },
        },
      });
      let acknowledged = 0;
      for (let life = 0; life < 2; life++) {
        // In the first life nothing can arrive: all of it has to be on disk.
        if (life === 0) await server.kill();
        const process = await site.start();
        const client = await connect(site.ports.mqtt);
        const from = acknowledged;
        const sends = Array.from({ length: 300 }, (_, count) =>
          client.publishAsync("t/1", `{"n":${from + count}}`, { qos: 1 }).then(
            () => {
              acknowledged++;
            },
            () => {},
          ),
        );
        await until(() => acknowledged >= from + 150, "half of them are acknowledged", 120_000);
        await process.kill();
        void sends;
        client.end(true);
        if (life === 0) await server.restart();
      }
      const process = await site.start();
      const count = async () =>
        (await query<{ n: number }>("SELECT count(DISTINCT n)::integer AS n FROM survived"))[0]!.n;
      await until(async () => (await count()) >= acknowledged, "every one acknowledged is a row", 120_000);
      await process.kill();
    } finally {
      site.close();
    }
  }, 600_000);
});
