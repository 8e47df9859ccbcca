/** Rules whose outputs go to Kafka: librdkafka's mock cluster takes them, and kcat reads them. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { KafkaMock } from "../../support/kafka.ts";
import { lacks } from "../../support/programs.ts";
import { addsUp, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

describe.skipIf(lacks("kcat"))("Kafka", () => {
  const kafka = new KafkaMock();
  const site = new SinkSite();
  beforeAll(async () => {
    await kafka.start();
  }, 120_000);
  afterAll(() => kafka.stop());
  beforeEach(() => {
    kafka.refusals.clear();
    kafka.slow = false;
  });
  afterEach(() => site.stop());

  const connector = (more: object = {}) => ({
    kind: "kafka",
    brokers: [`127.0.0.1:${kafka.port}`],
    ...more,
  });
  const numbers = async (topic: string) =>
    (await kafka.consume(topic)).map(({ value }) => JSON.parse(value).n as number);

  it("sends records with key, headers and the delivery's id, to a topic whose slashes become points", async () => {
    const sink = await site.run(connector(), 'SELECT clientid, payload, topic FROM "t/#"', {
      topic: "data/${topic}",
      value: "${payload}",
      headers: { from: "${clientid}" },
    });
    const client = await site.connect("sensor-1");
    await client.publishAsync("t/1", "hello", { qos: 1 });
    await until(() => sink.counters.success === 1, "it is taken");
    const [record] = await kafka.consume("data.t.1");
    expect(record).toMatchObject({ key: "sensor-1", value: "hello" });
    expect(record!.headers).toMatch(/^from=sensor-1,delivery-id=[0-9a-f]+-r-0-0$/);
  });

  it.each(["none", "gzip"])(
    "keeps a key's records in one partition and their order, compressed by %s",
    async (compression) => {
      const topic = `ordered-${compression}`;
      const sink = await site.run(connector({ compression }), 'SELECT clientid, payload.n AS n FROM "t/#"', {
        topic,
        value: '{"n":${n}}',
      });
      const clients = [await site.connect("a"), await site.connect("b"), await site.connect("c")];
      await Promise.all(clients.map((client) => publishNumbers(client, 0, 100)));
      await until(() => sink.counters.success === 300, "all are taken");
      const records = await kafka.consume(topic);
      for (const key of ["a", "b", "c"]) {
        const own = records.filter((record) => record.key === key);
        expect(new Set(own.map(({ partition }) => partition)).size).toBe(1);
        expect(own.map(({ value }) => JSON.parse(value).n)).toEqual(Array.from({ length: 100 }, (_, n) => n));
      }
      addsUp(sink);
    },
  );

  it("puts records into the partition that is named, and dead-letters those for one that is not there", async () => {
    const sink = await site.run(
      connector({ batch: { messages: 10, time: "200ms" } }),
      'SELECT payload.p AS p FROM "t/#"',
      {
        topic: "placed",
        key: "",
        partition: "${p}",
      },
    );
    const dead = await site.letters();
    const client = await site.connect();
    await Promise.all([3, 99, 1].map((p) => client.publishAsync("t/1", `{"p":${p}}`, { qos: 1 })));
    await until(() => sink.counters.success === 2 && dead.length === 1, "two are taken, and one is not");
    const records = await kafka.consume("placed");
    expect(records.map(({ partition }) => partition).sort()).toEqual([1, 3]);
    expect(dead[0]!["reason"]).toBe("the topic placed has no partition 99");
    addsUp(sink);
  });

  it("tries again what the cluster refuses for now, and dead-letters what it will never take", async () => {
    // NOT_ENOUGH_REPLICAS and MESSAGE_TOO_LARGE.
    kafka.refusals.set("busy", 19).set("small", 10);
    const sink = await site.run(
      connector({ batch: { messages: 10, time: "100ms" } }),
      'SELECT payload.to AS to FROM "t/#"',
      {
        topic: "${to}",
      },
    );
    const dead = await site.letters();
    const client = await site.connect();
    const send = (to: string) => client.publishAsync("t/1", JSON.stringify({ to }), { qos: 1 });
    await Promise.all(["small", "good", "busy", "good"].map(send));
    await until(() => dead.length === 1 && sink.counters.success === 2, "what can be decided is decided");
    expect(dead[0]!["reason"]).toContain("MESSAGE_TOO_LARGE");
    await until(() => sink.state === "disconnected", "it is told");
    expect(sink.reason).toContain("NOT_ENOUGH_REPLICAS");
    kafka.refusals.delete("busy");
    await until(() => sink.counters.success === 3, "the other is taken later");
    expect(sink.counters).toMatchObject({ taken: 4, success: 3, failed: 1, retriedSuccess: 1 });
    addsUp(sink);
  });

  it("gives again what a broker whose disk is full refuses, until it has room, with an alarm", async () => {
    // KAFKA_STORAGE_ERROR.
    kafka.refusals.set("full", 56);
    const sink = await site.run(connector(), 'SELECT payload.n AS n FROM "t/#"', { topic: "full" });
    await publishNumbers(await site.connect(), 0, 5);
    await until(() => site.isAway(), "an alarm");
    expect(sink.reason).toContain("KAFKA_STORAGE_ERROR");
    kafka.refusals.clear();
    await until(() => sink.counters.success === 5 && !site.isAway(), "all are taken");
    expect(new Set(await numbers("full"))).toEqual(new Set([0, 1, 2, 3, 4]));
    expect(sink.counters).toMatchObject({ failed: 0 });
    addsUp(sink);
  });

  it("dead-letters nothing for a topic whose name nobody can have: the rule fails, which is counted", async () => {
    await site.run(connector(), 'SELECT payload FROM "t/#"', { topic: "${payload}" });
    await (await site.connect()).publishAsync("t/1", "ä ö", { qos: 1 });
    const { rules } = site.gateway!.composition.rules;
    expect(rules.get("r")!.actions[0]!.counters).toMatchObject({ matched: 1, failed: 1 });
  });

  it("gives a batch again when the cluster does not answer in time", async () => {
    kafka.slow = true;
    const sink = await site.run(connector({ timeout: "500ms" }), 'SELECT payload.n AS n FROM "t/#"', {
      topic: "slow",
    });
    await publishNumbers(await site.connect(), 0, 5);
    await until(() => site.isAway(), "an alarm");
    kafka.slow = false;
    await until(() => sink.counters.success === 5, "all are taken");
    expect(new Set(await numbers("slow"))).toEqual(new Set([0, 1, 2, 3, 4]));
    await until(() => !site.isAway(), "the alarm is over");
  });

  it("loses nothing when the brokers are gone and others come elsewhere", async () => {
    const sink = await site.run(connector(), 'SELECT payload.n AS n FROM "t/#"', { topic: "moved" });
    const client = await site.connect();
    await publishNumbers(client, 0, 100);
    await until(() => sink.counters.success === 100, "the first are taken");
    await kafka.away();
    await publishNumbers(client, 100, 200);
    await until(() => sink.state === "disconnected" && site.isAway(), "it is noticed", 120_000);
    addsUp(sink);
    await kafka.replace();
    await until(() => sink.counters.success === 200, "all are taken", 120_000);
    expect(new Set(await numbers("moved"))).toEqual(new Set(Array.from({ length: 100 }, (_, n) => n + 100)));
    addsUp(sink);
  }, 300_000);

  it("loses nothing that was acknowledged when the gateway is killed", async () => {
    await losesNothingWhenKilled({
      connector: connector(),
      action: { topic: "survived" },
      away: () => kafka.away(),
      back: () => kafka.back(),
      has: async () => new Set(await numbers("survived")),
    });
  }, 900_000);
});
