/** Rules whose outputs go to InfluxDB's own server, over HTTP and UDP. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../../support/programs.ts";
import { type Server, startInfluxdb } from "../../support/servers.ts";
import { addsUp, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

const site = new SinkSite();
afterEach(() => site.stop());

describe.skipIf(lacks("influxd"))("InfluxDB 1", () => {
  let server: Server;
  beforeAll(async () => {
    server = await startInfluxdb();
    await query("CREATE DATABASE mqtt");
  }, 120_000);
  afterAll(() => server.stop());

  async function query(text: string): Promise<Record<string, unknown>[]> {
    const parameters = new URLSearchParams({ q: text, db: "mqtt", epoch: "ms" });
    const answer = await fetch(`http://127.0.0.1:${server.port}/query?${parameters}`, { method: "POST" });
    const { results } = (await answer.json()) as {
      results: [{ series?: [{ columns: string[]; values: unknown[][] }] }];
    };
    const { columns = [], values = [] } = results[0].series?.[0] ?? {};
    return values.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
  }
  const connector = (more: object = {}) => ({
    kind: "influxdb",
    url: `http://127.0.0.1:${server.port}`,
    ...more,
  });

  it("has the manual's point: tags, and fields that are numbers", async () => {
    const sink = await site.run(connector(), 'SELECT payload, timestamp FROM "t/#"', {
      measurement: "temperature",
      tags: { host: "${payload.host}", location: "${payload.location}", missing: "${payload.none}" },
      fields: { internal: "${payload.internal}", external: "${payload.external}i", none: "${payload.none}" },
    });
    const payload = { host: "serverA", location: "roomA", internal: 25, external: 37 };
    await (await site.connect()).publishAsync("t/1", JSON.stringify(payload), { qos: 1 });
    await until(() => sink.counters.success === 1, "a point");
    const [point] = await query("SELECT * FROM temperature");
    expect(point).toMatchObject(payload);
    expect(Object.keys(point!).sort()).toEqual(["external", "host", "internal", "location", "time"]);
    expect(Math.abs(Number(point!["time"]) - Date.now())).toBeLessThan(600_000);
  });

  it("takes no payload for anything but one value of one point", async () => {
    const evil = ['a b,c=d "e" \\', "x\nother v=1", 'f",g="h', "\\"];
    const sink = await site.run(connector(), 'SELECT payload.n AS n, payload.text AS text FROM "t/#"', {
      measurement: "evil m,n",
      tags: { "tag=": "${text}" },
      fields: { "field ,": "${text}", n: "${n}i" },
      timestamp: "${n}",
    });
    const client = await site.connect();
    for (const [n, text] of evil.entries())
      await client.publishAsync("t/1", JSON.stringify({ n, text }), { qos: 1 });
    await until(() => sink.counters.success === evil.length, "all points");
    const points = await query('SELECT * FROM "evil m,n"');
    expect(points.map((point) => point["field ,"])).toEqual(evil);
    expect(await query("SELECT * FROM other")).toEqual([]);
    expect(points.map((point) => point["n"])).toEqual([0, 1, 2, 3]);
  });

  it("dead-letters the points of a batch that do not fit, and no other", async () => {
    const sink = await site.run(
      connector({ batch: { messages: 100, time: "300ms" }, concurrency: 1 }),
      'SELECT payload.v AS v, payload.n AS n FROM "t/#"',
      { measurement: "typed", fields: { v: "${v}" }, timestamp: "${n}" },
    );
    const dead = await site.letters();
    const client = await site.connect();
    await client.publishAsync("t/1", '{"v":1,"n":0}', { qos: 1 });
    await until(() => sink.counters.success === 1, "the field is a number");
    const sent = [2, "three", 4, "five", 6].map((v, index) => JSON.stringify({ v, n: index + 1 }));
    await Promise.all(sent.map((payload) => client.publishAsync("t/1", payload, { qos: 1 })));
    await until(() => dead.length === 2 && sink.counters.success === 4, "two are refused");
    expect(dead[0]!["reason"]).toContain("field type conflict");
    expect((await query("SELECT v FROM typed")).map(({ v }) => v)).toEqual([1, 2, 4, 6]);
    addsUp(sink);
  });

  it("loses nothing when the server is killed, nor for a database that is not there yet", async () => {
    const sink = await site.run(connector({ database: "later" }), 'SELECT payload.n AS n FROM "t/#"', {
      measurement: "killed",
      fields: { n: "${n}i" },
      timestamp: "${n}",
    });
    const client = await site.connect();
    await publishNumbers(client, 0, 50);
    await until(() => sink.reason?.includes("404") === true && site.isAway(), "there is no database");
    await server.kill();
    await publishNumbers(client, 50, 100);
    await server.restart();
    await query("CREATE DATABASE later");
    await until(() => sink.counters.success === 100, "all have arrived", 120_000);
    expect(await query('SELECT count(n) AS n FROM "later"."autogen"."killed"')).toMatchObject([{ n: 100 }]);
    addsUp(sink);
  }, 300_000);

  it("has what was acknowledged when the gateway is killed", async () => {
    await losesNothingWhenKilled({
      connector: connector(),
      action: { measurement: "survived", fields: { n: "${n}i" }, timestamp: "${n}" },
      away: () => server.kill(),
      back: () => server.restart(),
      has: async () =>
        new Set(
          await query("SELECT n FROM survived").then(
            (rows) => rows.map(({ n }) => n as number),
            () => [],
          ),
        ),
    });
  }, 900_000);

  it("takes lines over UDP", async () => {
    await site.run(connector({ url: `udp://127.0.0.1:${server.port}` }), 'SELECT payload.n AS n FROM "t/#"', {
      measurement: "udp",
      fields: { n: "${n}i" },
      timestamp: "${n}",
    });
    const client = await site.connect();
    // Nobody says what has arrived: the same points are sent until they have.
    await until(
      async () => {
        await publishNumbers(client, 0, 20);
        return (await query("SELECT n FROM udp")).length === 20;
      },
      "all points",
      120_000,
    );
  }, 300_000);
});

describe("InfluxDB 2", () => {
  it("is asked at /api/v2/write with organization, bucket and token", async () => {
    const web = await new WebSink().start();
    try {
      const sink = await site.run(
        { kind: "influxdb", url: web.url, version: "2", org: "o", bucket: "b", token: "secret" },
        'SELECT payload.n AS n FROM "t/#"',
        { measurement: "m", fields: { n: "${n}" }, timestamp: "${n}", precision: "s" },
      );
      await publishNumbers(await site.connect(), 7, 8);
      await until(() => sink.counters.success === 1, "it is taken");
      const { path, headers, body } = web.requests.find(({ method }) => method === "POST")!;
      expect(path).toBe("/api/v2/write?org=o&bucket=b&precision=ns");
      expect(headers["authorization"]).toBe("Token secret");
      expect(body).toBe("m n=7 7000000000\n");
    } finally {
      await web.stop();
    }
  });
});
