/**
 * Rules whose outputs go to Pulsar: no broker of Pulsar can be had here, so that this is no proof of what one does, only of
 * what it is asked and of how its documented answers are taken.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PulsarServer } from "../../support/pulsar-server.ts";
import { addsUp, guided, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

describe("Pulsar's documented WebSocket API", () => {
  const site = new SinkSite();
  let server: PulsarServer;
  beforeEach(async () => {
    server = await new PulsarServer().start();
  });
  afterEach(async () => {
    await site.stop();
    await server.stop();
  });
  const connector = (more: object = {}) => ({ kind: "pulsar", url: server.url, timeout: "5s", ...more });
  const NUMBERS = 'SELECT payload.n AS n, clientid FROM "t/#"';
  const NUMBER = { topic: "persistent://public/default/n", payload: "${n}" };
  const TOPIC = "persistent/public/default/n";
  const numbers = () => (server.topics.get(TOPIC) ?? []).map(({ payload }) => Number(textIn(payload)));

  it("has the message, by the guide's configuration, with key, token, properties and the delivery's id", async () => {
    const { connector: shown, sql, action } = guided("pulsar", connector({ token: "secret" }));
    const sink = await site.run(shown, sql, action);
    await (await site.connect("sensor-1")).publishAsync("sensors/ä b", "hello", { qos: 1 });
    await until(() => sink.counters.success === 1, "it is there");
    const path = `persistent/public/default/${encodeURIComponent("sensors.ä b")}`;
    expect(server.topics.get(path)).toEqual([
      {
        ...{ payload: "aGVsbG8=", key: "sensor-1", context: "1" },
        properties: { device: "sensor-1", "delivery-id": expect.stringMatching(/-r-0-0$/) },
      },
    ]);
    expect(server.tokens).toEqual(["Bearer secret"]);
    addsUp(sink);
  });

  it("takes a batch over one connection, in its order", async () => {
    const sink = await site.run(connector(), NUMBERS, NUMBER);
    const client = await site.connect();
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 })),
    );
    await until(() => sink.counters.success === 200, "all are taken");
    expect(numbers()).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect(server.producers).toEqual([TOPIC]);
  });

  it("has no more connections than it may, and closes the one that was used least lately", async () => {
    const sink = await site.run(connector({ producers: 2, concurrency: 1 }), 'SELECT topic FROM "t/#"', {
      payload: "x",
    });
    const client = await site.connect();
    for (const [index, topic] of ["t/a", "t/b", "t/a", "t/c", "t/a"].entries()) {
      await client.publishAsync(topic, "1", { qos: 1 });
      await until(() => sink.counters.success === index + 1, "it is taken");
    }
    expect(server.producers.map((path) => path.replace(/^.*\//, ""))).toEqual(["t.a", "t.b", "t.c"]);
    await until(() => server.open === 2, "one was closed");
  });

  it.each([
    ["it cannot read", { result: "send-error:7", errorMsg: "Invalid payload encoding" }, "send-error:7"],
    ["is larger than it takes", "close", "the message is larger than it takes"],
    ["its client refuses", failed("InvalidMessageException: too large"), "InvalidMessageException"],
  ] as const)("dead-letters what %s, and no other of the batch", async (_, refusal, reason) => {
    server.refuse = ({ payload }) => (textIn(payload) === "1" ? refusal : undefined);
    const batch = { messages: 10, time: "200ms" };
    const sink = await site.run(connector({ batch, concurrency: 1 }), NUMBERS, NUMBER);
    const dead = await site.letters();
    const client = await site.connect();
    await Promise.all([0, 1, 2].map((n) => client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 })));
    await until(() => dead.length === 1 && sink.counters.success === 2, "one is refused");
    expect(dead[0]!["reason"]).toContain(reason);
    expect(new Set(numbers())).toEqual(new Set([0, 2]));
    expect(sink.counters).toMatchObject({ failedRefused: 1 });
    addsUp(sink);
  });

  it("is given again for a while what it refuses for a reason that nobody knows; then it is dead-lettered", async () => {
    let asked = 0;
    server.refuse = ({ payload }) => {
      if (textIn(payload) !== "1") return undefined;
      asked++;
      return { result: "send-error:8", errorMsg: "something is wrong" };
    };
    const sink = await site.run(connector({ concurrency: 1 }), NUMBERS, NUMBER);
    const dead = await site.letters();
    await publishNumbers(await site.connect(), 0, 3);
    await until(() => dead.length === 1 && sink.counters.success === 2, "one is given up");
    expect(dead[0]!["reason"]).toBe("send-error:8: something is wrong");
    expect(asked).toBe(7);
    expect(sink.counters).toMatchObject({ failed: 1, failedTried: 1, failedUnexpected: 0 });
    expect(numbers()).toEqual([0, 2]);
    addsUp(sink);
  });

  it("is given again without an end what passes: brokers that are slow or away, quotas", async () => {
    let asked = 0;
    server.refuse = () =>
      asked++ < 12
        ? failed("TimeoutException: The producer can not send message within given timeout")
        : undefined;
    const sink = await site.run(connector(), NUMBERS, NUMBER);
    await publishNumbers(await site.connect(), 0, 1);
    await until(() => sink.counters.success === 1, "it is taken");
    expect(asked).toBe(13);
    expect(sink.counters).toMatchObject({ failed: 0, retriedSuccess: 1 });
  });

  it("is given again what it refuses for now, and waits for a topic that is not there yet", async () => {
    let busy = true;
    server.refuse = () => {
      if (!busy) return undefined;
      busy = false;
      return failed("BrokerPersistenceException: no bookies");
    };
    server.status = 404;
    const sink = await site.run(connector(), NUMBERS, NUMBER);
    await publishNumbers(await site.connect(), 0, 1);
    await until(() => sink.reason === "the server answers 404", "it waits");
    server.status = 101;
    await until(() => sink.counters.success === 1, "it is taken");
    expect(busy).toBe(false);
    expect(sink.counters).toMatchObject({ retriedSuccess: 1, failed: 0 });
  });

  it("is asked again when it says nothing, and when it is gone and back; nothing is lost", async () => {
    const sink = await site.run(connector({ timeout: "1s" }), NUMBERS, NUMBER);
    const client = await site.connect();
    server.slow = true;
    await publishNumbers(client, 0, 10);
    await until(() => site.isAway(), "it is noticed");
    server.slow = false;
    await until(() => sink.counters.success === 10, "they are there");
    await server.stop();
    await publishNumbers(client, 10, 20);
    await until(() => sink.state === "disconnected", "it is noticed");
    await server.start();
    await until(() => sink.counters.success === 20, "all are there");
    expect(new Set(numbers())).toEqual(new Set(Array.from({ length: 20 }, (_, n) => n)));
    addsUp(sink);
  });

  it("has what was acknowledged when the gateway is killed", async () => {
    await losesNothingWhenKilled({
      connector: connector({ timeout: "1s" }),
      action: NUMBER,
      away: () => server.stop(),
      back: async () => void (await server.start()),
      has: async () => new Set(numbers()),
    });
  }, 900_000);
});

/** What its proxy answers when its own client has failed. */
function failed(error: string): object {
  return { result: "send-error:8", errorMsg: `org.apache.pulsar.client.api.PulsarClientException$${error}` };
}

const textIn = (payload: string): string => Buffer.from(payload, "base64").toString();
