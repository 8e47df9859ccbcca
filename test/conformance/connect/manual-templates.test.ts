/** What EMQ X's template files for InfluxDB and TimescaleDB say, as rules: FOREACH spreads a list as their `$0` does. */
import pg from "pg";
import { afterEach, describe, expect, it } from "vitest";
import { lacks } from "../../support/programs.ts";
import { startPostgres } from "../../support/servers.ts";
import { SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

const site = new SinkSite();
afterEach(() => site.stop());

describe("InfluxDB's template", () => {
  it("makes two points of a list of two, with one time, tags in order, and numbers as numbers (R-097)", async () => {
    const web = await new WebSink().start();
    await site.run(
      { kind: "influxdb", url: web.url },
      'FOREACH payload.data AS d DO topic, qos, clientid, timestamp, d.temp AS temp, str(d.temp) AS text, d.host AS host, d.region AS region FROM "sample"',
      {
        measurement: "${topic}",
        tags: { host: "${host}", region: "${region}", qos: "${qos}", clientid: "${clientid}" },
        fields: { temperature: "${temp}" },
      },
      { measurement: "texts", fields: { temperature: "${text}" } },
    );
    const client = await site.connect("c1");
    const data = [
      { temp: 1, host: "serverA", region: "hangzhou" },
      { temp: 2, host: "serverB", region: "ningbo" },
    ];
    await client.publishAsync("sample", JSON.stringify({ data }), { qos: 0 });
    const lines = () => web.bodies.flatMap((body) => body.split("\n")).filter((line) => line !== "");
    await until(() => lines().length === 4, "two points, each in two forms");
    const [first, second] = lines().filter((line) => line.startsWith("sample"));
    const time = first!.split(" ")[2];
    expect(time).toMatch(/^\d{19}$/);
    expect(first).toBe(`sample,clientid=c1,host=serverA,qos=0,region=hangzhou temperature=1 ${time}`);
    expect(second).toBe(`sample,clientid=c1,host=serverB,qos=0,region=ningbo temperature=2 ${time}`);
    // As the manual writes them.
    expect(lines()).toContain(`texts temperature="1" ${time}`);
    await web.stop();
  });
});

describe.skipIf(lacks("pg_ctlcluster"))("TimescaleDB's template", () => {
  const rooms = [
    { location: "bedroom", temperature: 21.3, humidity: 40.3 },
    { location: "bathroom", temperature: 22.3, humidity: 61.8 },
    { location: "kitchen", temperature: 29.5, humidity: 58.7 },
  ];
  const insert =
    "insert into sensor_data(time, location, temperature, humidity) values (now(), ${location}, ${temperature}, ${humidity})";
  const flat =
    "payload.location AS location, payload.temperature AS temperature, payload.humidity AS humidity";

  it.each([
    [
      "a row of each element",
      'FOREACH payload.data FROM "sensor_data"',
      "sensor_data",
      { data: rooms },
      rooms,
    ],
    [
      "a row of the first",
      `SELECT ${flat.replaceAll("payload.", "payload.data[1].")} FROM "sensor_data"`,
      "sensor_data",
      { data: rooms },
      rooms.slice(0, 1),
    ],
    [
      "a row of a flat payload",
      `SELECT ${flat} FROM "sensor_data2/#"`,
      "sensor_data2/x",
      rooms[2],
      [rooms[2]],
    ],
  ])("makes %s (R-096, R-098)", async (_what, sql, topic, payload, rows) => {
    await withTables(async (port, query) => {
      await site.run({ kind: "postgres", port, user: "root", database: "postgres" }, sql, { sql: insert });
      const client = await site.connect();
      await client.publishAsync(topic, JSON.stringify(payload), { qos: 1 });
      const found = () =>
        query("select location, temperature, humidity from sensor_data order by time, location");
      await until(async () => (await found()).length === rows.length, `${rows.length} rows`);
      expect(await found()).toEqual(expect.arrayContaining([...rows]));
    });
  });

  it("makes a row of the whole payload (R-098)", async () => {
    await withTables(async (port, query) => {
      const connector = { kind: "postgres", port, user: "root", database: "postgres" };
      const all = "insert into easy_data(time, data) values (now(), ${payload})";
      await site.run(connector, 'SELECT payload FROM "easy_data"', { sql: all });
      const client = await site.connect();
      await client.publishAsync("easy_data", JSON.stringify(rooms[0]), { qos: 1 });
      await until(async () => (await query("select data from easy_data")).length === 1, "one row");
      expect(await query("select data from easy_data")).toEqual([{ data: rooms[0] }]);
    });
  });
});

async function withTables(
  use: (port: number, query: (sql: string) => Promise<object[]>) => Promise<void>,
): Promise<void> {
  const server = await startPostgres();
  const pool = new pg.Pool({ host: "127.0.0.1", port: server.port, user: "root", database: "postgres" });
  pool.on("error", () => {});
  const tables = `create table sensor_data(time timestamptz, location text, temperature float8, humidity float8);
    create table easy_data(time timestamptz, data json)`;
  const made = (): Promise<boolean> =>
    pool.query(tables).then(
      () => true,
      () => false,
    );
  try {
    await until(made, "PostgreSQL has started", 60_000);
    await use(server.port, async (sql) => (await pool.query(sql)).rows);
  } finally {
    await site.stop();
    await pool.end();
    await server.stop();
  }
}
