/**
 * Rules whose outputs go to MongoDB, by the real driver: no server of MongoDB can be had here, so that this is no proof of
 * what one does, only of what it is asked and of how its documented answers are taken.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeMongodb } from "../../support/mongodb-server.ts";
import { addsUp, guided, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

describe("MongoDB's documented commands", () => {
  const site = new SinkSite();
  let server: FakeMongodb;
  let port: number;
  beforeEach(async () => {
    server = new FakeMongodb();
    port = await server.start();
  });
  afterEach(async () => {
    await site.stop();
    await server.stop();
  });
  const connector = (more: object = {}) => ({
    ...{ kind: "mongodb", url: `mongodb://127.0.0.1:${port}/?directConnection=true`, timeout: "5s" },
    ...more,
  });
  const NUMBERS = 'SELECT payload.n AS n FROM "t/#"';

  it("insert the manual's document, by the guide's configuration, with the delivery's id", async () => {
    const { connector: shown, sql, action } = guided("mongodb", connector());
    const sink = await site.run(shown, sql, action);
    await (await site.connect()).publishAsync("sensors/1", "hello", { qos: 1, retain: true });
    await until(() => sink.counters.success === 1, "it is there");
    const [document] = server.collections["t_mqtt_msg"]!;
    expect(document).toMatchObject({ topic: "sensors/1", qos: 1, payload: "hello", retain: true });
    expect(document!["_id"]).toMatch(/-0-0$/);
    expect(server.inserted[0]).toMatchObject({ writeConcern: { w: "majority", j: true }, ordered: false });
  });

  it("keep octets, lists, nested fields and numbers as they are; what is missing is null", async () => {
    const sink = await site.run(
      connector(),
      "SELECT payload AS raw, 12 AS n, [1, 'x'] AS list FROM \"t/#\"",
      {
        collection: "typed",
        document: {
          raw: "${raw}",
          inner: { n: "${n}", none: "${none}" },
          list: "${list}",
          text: "n is ${n}",
        },
      },
    );
    await (await site.connect()).publishAsync("t/1", Buffer.from([0xff, 0x00]), { qos: 1 });
    await until(() => sink.counters.success === 1, "it is there");
    expect(server.collections["typed"]![0]).toMatchObject({
      raw: Buffer.from([0xff, 0x00]),
      ...{ inner: { n: 12, none: null }, list: [1, "x"], text: "n is 12" },
    });
  });

  it("never make an operator or another collection of a payload", async () => {
    const sink = await site.run(connector(), 'SELECT payload, payload.name AS name FROM "t/#"', {
      collection: "c_${name}",
      document: { payload: "${payload}" },
    });
    const client = await site.connect();
    await client.publishAsync("t/1", '{"name":"$where"}', { qos: 1 });
    await client.publishAsync("t/1", '{"name":"x"}', { qos: 1 });
    await until(() => sink.counters.success === 1, "the second is there");
    expect(server.collections["c_x"]![0]).toMatchObject({ payload: '{"name":"x"}' });
    expect(site.gateway!.composition.rules.rules.get("r")!.actions[0]!.counters).toMatchObject({ failed: 1 });
  });

  it("that were answered with refusals dead-letter those documents, and no other of the batch", async () => {
    server.refuse = ({ documents }) => {
      const writeErrors = (documents as { n: number }[]).flatMap(({ n }, index) =>
        n === 1 ? [{ index, code: 121, errmsg: "Document failed validation" }] : [],
      );
      return writeErrors.length === 0 ? undefined : { ok: 1, n: documents.length - 1, writeErrors };
    };
    const batch = { messages: 10, time: "200ms" };
    const sink = await site.run(connector({ batch, concurrency: 1 }), NUMBERS, { collection: "n" });
    const dead = await site.letters();
    const client = await site.connect();
    await Promise.all([0, 1, 2].map((n) => client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 })));
    await until(() => dead.length === 1 && sink.counters.success === 2, "one is refused");
    expect(dead[0]!["reason"]).toBe("Document failed validation (121)");
    addsUp(sink);
  });

  it("come again after an answer that was lost, and keep nothing twice", async () => {
    let lost = true;
    server.refuse = ({ insert, documents }) => {
      if (!lost) return undefined;
      lost = false;
      server.collections[insert] = [...documents];
      return { ok: 0, code: 189, codeName: "PrimarySteppedDown", errmsg: "it has stepped down" };
    };
    const sink = await site.run(connector(), NUMBERS, { collection: "once" });
    await publishNumbers(await site.connect(), 0, 1);
    await until(() => sink.counters.success === 1, "it is taken");
    expect(sink.counters).toMatchObject({ retriedSuccess: 1, failed: 0 });
    expect(server.collections["once"]).toHaveLength(1);
  });

  it("lose nothing when the server is away, and has none of it twice", async () => {
    const sink = await site.run(connector({ timeout: "1s" }), NUMBERS, { collection: "away" });
    const client = await site.connect();
    await publishNumbers(client, 0, 20);
    await until(() => sink.counters.success === 20, "the first are there");
    await server.stop();
    await publishNumbers(client, 20, 40);
    await until(() => site.isAway(), "it is noticed", 120_000);
    await server.start(port);
    await until(() => sink.counters.success === 40, "all are there", 120_000);
    expect(server.collections["away"]!.map(({ n }) => n).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 40 }, (_, n) => n),
    );
    addsUp(sink);
  }, 300_000);

  it("have what was acknowledged when the gateway is killed", async () => {
    await losesNothingWhenKilled({
      connector: connector({ timeout: "1s" }),
      action: { collection: "survived" },
      away: () => server.stop(),
      back: async () => void (await server.start(port)),
      has: async () => new Set((server.collections["survived"] ?? []).map(({ n }) => n as number)),
    });
  }, 900_000);
});
