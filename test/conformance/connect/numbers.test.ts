/** What operators see of rules, actions and connectors: numbers that add up, an alarm, and /ready. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startApi } from "../../support/api.ts";
import { SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

const site = new SinkSite();
let web: WebSink;
beforeEach(async () => {
  web = await new WebSink().start();
});
afterEach(async () => {
  await site.stop();
  await web.stop();
});

/** Numbers of the connector, as Prometheus reads them. */
async function numbers(): Promise<Readonly<Record<string, number>>> {
  const text = await site.gateway!.composition.metrics.text();
  const lines = [...text.matchAll(/^isthmus_(\w+)\{([^}]*)\} (\S+)$/gm)];
  return Object.fromEntries(
    lines
      .filter(([, name]) => /^(rule|action|connector)_/.test(name!))
      .map(([, name, labels, value]) => [`${name}{${labels}}`, Number(value)]),
  );
}
const ofSink = async (name: string): Promise<number | undefined> =>
  (await numbers())[`connector_${name}{connector="out"}`];

const SETTINGS = { kind: "http", timeout: "2s", retry: { first: "10ms", longest: "50ms", attempts: 3 } };
const SQL = `SELECT payload.do AS do FROM "t/#" WHERE payload.do != 'nothing'`;

describe("the metrics", () => {
  it("say of each rule, action and connector what became of every message, and why it failed", async () => {
    const codes: Readonly<Record<string, number>> = { refuse: 422, always: 500 };
    let onceLate = true;
    let onceBroken = true;
    web.answer = ({ body }, response) => {
      if (body === "late" && onceLate) onceLate = false;
      else if (body === "broken" && onceBroken) {
        onceBroken = false;
        response.writeHead(503).end();
      } else response.writeHead(codes[body] ?? 200).end();
    };
    await site.run({ ...SETTINGS, url: web.url }, SQL, { body: "${do}", path: "/${do}" });
    const client = await site.connect();
    const orders = ["take", "late", "broken", "refuse", "always", "nothing", ".."];
    for (const order of orders) await client.publishAsync("t/1", `{"do":"${order}"}`, { qos: 1 });
    await client.publishAsync("t/1", "no JSON", { qos: 1 });
    await until(async () => (await ofSink("success"))! + (await ofSink("failed"))! === 5, "all are over");
    expect(await numbers()).toMatchObject({
      'rule_matched{rule="r"}': 8,
      'rule_passed{rule="r"}': 6,
      'rule_no_result{rule="r"}': 1,
      'rule_failed{rule="r"}': 1,
      'action_matched{rule="r",action="0",to="out"}': 6,
      'action_success{rule="r",action="0",to="out"}': 3,
      // A path that would lead elsewhere never gets to the connector.
      'action_failed{rule="r",action="0",to="out"}': 3,
      'action_dropped{rule="r",action="0",to="out"}': 0,
      'connector_taken{connector="out"}': 5,
      'connector_success{connector="out"}': 3,
      'connector_failed{connector="out"}': 2,
      'connector_failed_refused{connector="out"}': 1,
      'connector_failed_tried{connector="out"}': 1,
      'connector_failed_unexpected{connector="out"}': 0,
      'connector_failed_unread{connector="out"}': 0,
      'connector_retried_failed{connector="out"}': 1,
      'connector_queuing{connector="out"}': 0,
      'connector_inflight{connector="out"}': 0,
      'connector_expired{connector="out"}': 0,
      'connector_full{connector="out"}': 0,
    });
    // On a busy machine more of them are late.
    expect(await ofSink("late")).toBeGreaterThanOrEqual(1);
    expect(await ofSink("retried_success")).toBeGreaterThanOrEqual(2);
    // One each for what is taken or refused, two for what was late or broken, three for what stays broken.
    expect(await ofSink("tries")).toBeGreaterThanOrEqual(9);
    expect(await ofSink("batches")).toBe(await ofSink("tries"));
    // The one that was late took its time-out at least.
    expect(await ofSink("latency")).toBeGreaterThan(2_000);
  });

  it("say what waits and what was dropped while the sink is away", async () => {
    await web.stop();
    const queue = { messages: 5, expiry: "1s" };
    const sink = await site.run({ ...SETTINGS, url: web.url, queue, concurrency: 1, retry: {} }, SQL, {});
    const client = await site.connect();
    for (let count = 0; count < 20; count++) await client.publishAsync("t/1", '{"do":"x"}', { qos: 1 });
    await until(async () => (await ofSink("connected")) === 0, "it is away");
    const [queuing, inflight, full] = [
      await ofSink("queuing"),
      await ofSink("inflight"),
      await ofSink("full"),
    ];
    expect(queuing! + inflight! + full! + (await ofSink("expired"))!).toBe(20);
    expect(full).toBeGreaterThan(0);
    await until(() => sink.counters.expired + sink.counters.full === 20, "the rest has expired");
    expect((await numbers())['action_dropped{rule="r",action="0",to="out"}']).toBe(20);
  });

  it("forget a rule that is no more", async () => {
    await site.run({ ...SETTINGS, url: web.url }, SQL, {});
    const { composition } = site.gateway!;
    composition.reload(() => ({ ...composition.config, rules: {} }));
    await until(async () => (await numbers())['rule_matched{rule="r"}'] === undefined, "it is forgotten");
    expect(Object.keys(await numbers()).filter((name) => name.startsWith("action_"))).toEqual([]);
  });
});

describe("/ready", () => {
  it.each([
    [true, 503],
    [false, 200],
  ])(
    "with ready: %s answers %i while the sink is away, and 200 with it; an alarm says so",
    async (ready, status) => {
      await web.stop();
      const api = await startApi({
        connectors: { out: { kind: "http", url: web.url, ready, health: "100ms" } },
      });
      const readiness = async () => (await api.ask("GET", "/ready")).status;
      const alarms = async () => (await api.ask("GET", "/api/v1/alarms")).body.items;
      try {
        await until(async () => (await alarms()).length > 0, "the alarm");
        expect(await alarms()).toMatchObject([
          { name: "connector-out-away", message: expect.stringContaining("ECONNREFUSED") },
        ]);
        expect(await readiness()).toBe(status);
        await web.start();
        await until(async () => (await alarms()).length === 0, "it is over");
        expect(await readiness()).toBe(200);
      } finally {
        await api.stop();
      }
    },
  );
});
