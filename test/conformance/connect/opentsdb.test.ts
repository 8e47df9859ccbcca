/**
 * Rules whose outputs go to OpenTSDB. No server of OpenTSDB can be had here: VictoriaMetrics, which others wrote, takes its
 * HTTP put, and a server of ours checks the documented form (opentsdb.net, /api/put).
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { freeTcpPort } from "../../support/free-ports.ts";
import { lacks } from "../../support/programs.ts";
import { type Server, startVictoriaMetrics } from "../../support/servers.ts";
import { addsUp, guided, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { type WebRequest, WebSink } from "../../support/web-sink.ts";

const site = new SinkSite();
afterEach(() => site.stop());

const POINTS =
  'SELECT payload.metric AS metric, payload.tags AS tags, payload.value AS value, timestamp FROM "t/#"';
const POINT = { metric: "${metric}", value: "${value}", tags: "${tags}" };
const NUMBERS = 'SELECT payload.n AS n FROM "t/#"';
const NUMBER = { value: "${n}", tags: { of: "test" } };

interface DataPoint {
  readonly metric: string;
  readonly timestamp: number;
  readonly value: number | string;
  readonly tags: Readonly<Record<string, string>>;
}

/** What OpenTSDB 2.4 documents of /api/put?details. */
class Documented {
  readonly points: DataPoint[] = [];
  /** Metrics that are not there, where they are not made by writing. */
  readonly unknown = new Set<string>();

  answer(request: WebRequest): { status: number; body: string } {
    const given = JSON.parse(request.body) as DataPoint[];
    const errors = given.flatMap((datapoint) => {
      const error = this.#problem(datapoint);
      if (error === undefined) this.points.push(datapoint);
      return error === undefined ? [] : [{ error, datapoint }];
    });
    const counts = { success: given.length - errors.length, failed: errors.length };
    return { status: errors.length > 0 ? 400 : 200, body: JSON.stringify({ errors, ...counts }) };
  }

  #problem({ metric, timestamp, value, tags }: DataPoint): string | undefined {
    const name = /^[\p{L}\p{Nd}_./-]+$/u;
    if (this.unknown.has(metric)) return "Unknown metric";
    if (!name.test(metric)) return "Metric name was invalid";
    if (!Number.isInteger(timestamp) || !/^\d{10}(\d{3})?$/.test(`${timestamp}`)) return "Invalid timestamp";
    if (!Number.isFinite(Number(value))) return "Unable to parse value to a number";
    const pairs = Object.entries(tags);
    if (pairs.length === 0) return "Missing tags";
    return pairs.flat().every((text) => name.test(text)) ? undefined : "Invalid tag";
  }
}

describe("the documented form of OpenTSDB", () => {
  let web: WebSink;
  let documented: Documented;
  beforeEach(async () => {
    web = await new WebSink().start();
    documented = new Documented();
    web.answer = (request, response) => {
      if (request.method === "GET") return void response.end("{}");
      const { status, body } = documented.answer(request);
      response.writeHead(status, { "content-type": "application/json" }).end(body);
    };
  });
  afterEach(() => web.stop());
  const connector = (more: object = {}) => ({ kind: "opentsdb", url: web.url, ...more });
  const puts = () => web.requests.filter(({ method }) => method === "POST");

  it("has the manual's data point, and answers when its storage has it", async () => {
    const sink = await site.run(connector({ headers: { "X-Key": "secret" } }), POINTS, POINT);
    const payload = { metric: "cpu", tags: { host: "serverA" }, value: 12 };
    await (await site.connect()).publishAsync("t/1", JSON.stringify(payload), { qos: 1 });
    await until(() => sink.counters.success === 1, "it is put");
    expect(puts()[0]).toMatchObject({ path: "/api/put?details&sync", headers: { "x-key": "secret" } });
    expect(documented.points).toEqual([{ ...payload, timestamp: expect.any(Number) }]);
    expect(Math.abs(documented.points[0]!.timestamp - Date.now())).toBeLessThan(600_000);
  });

  it("fails the action for what is no data point: no tag, no number, a name with a space", async () => {
    const sink = await site.run(connector(), POINTS, POINT);
    const client = await site.connect();
    const [good, tags] = [{ metric: "m", value: 1 }, { a: "b" }];
    for (const bad of [
      ...[good, { ...good, tags: {} }, { ...good, tags: { a: "" } }, { ...good, tags: "a=b" }],
      ...[
        { ...good, tags, value: "hot" },
        { ...good, tags, metric: "a b" },
        { ...good, tags: { a: "b c" } },
      ],
    ])
      await client.publishAsync("t/1", JSON.stringify(bad), { qos: 1 });
    const { counters } = site.gateway!.composition.rules.rules.get("r")!.actions[0]!;
    await until(() => counters.failed === 7, "all of them fail");
    expect(sink.counters.taken).toBe(0);
  });

  it("dead-letters the points of a batch that are refused, with the reason, and no other", async () => {
    documented.unknown.add("none");
    const sink = await site.run(
      connector({ batch: { messages: 20, time: "200ms" }, concurrency: 1 }),
      POINTS,
      POINT,
    );
    const dead = await site.letters();
    const client = await site.connect();
    await Promise.all(
      ["a", "none", "b"].map((metric) =>
        client.publishAsync("t/1", JSON.stringify({ metric, value: 1, tags: { x: "y" } }), { qos: 1 }),
      ),
    );
    await until(() => dead.length === 1 && sink.counters.success === 2, "one is refused");
    expect(dead[0]!["reason"]).toContain("Unknown metric");
    expect(new Set(documented.points.map(({ metric }) => metric))).toEqual(new Set(["a", "b"]));
    addsUp(sink);
  });

  it("is given again what it could not store for now", async () => {
    const answer = web.answer;
    const statuses = [500, 503, 401];
    web.answer = (request, response) => {
      const status = request.method === "POST" ? statuses.shift() : undefined;
      if (status === undefined) answer(request, response);
      else response.writeHead(status).end();
    };
    const sink = await site.run(connector(), NUMBERS, {
      ...NUMBER,
      metric: "again",
      timestamp: "1700000000",
    });
    await publishNumbers(await site.connect(), 1, 2);
    await until(() => sink.counters.success === 1, "it has it");
    expect(puts()).toHaveLength(4);
  });
});

describe.skipIf(lacks("victoria-metrics"))("VictoriaMetrics, which takes OpenTSDB's HTTP put", () => {
  let server: Server;
  let put: number;
  beforeAll(async () => {
    put = await freeTcpPort();
    server = await startVictoriaMetrics(put);
  }, 120_000);
  afterAll(() => server.stop());
  const connector = () => ({ kind: "opentsdb", url: `http://127.0.0.1:${put}` });

  /** All series of these metrics, as they were put. */
  async function series(metrics: string): Promise<{ metric: Record<string, string>; values: number[] }[]> {
    await fetch(`http://127.0.0.1:${server.port}/internal/force_flush`);
    const asked = new URLSearchParams({ "match[]": `{__name__=~"${metrics}"}` });
    const answer = await fetch(`http://127.0.0.1:${server.port}/api/v1/export?${asked}`);
    return (await answer.text())
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  }

  it("has the point that the guide's configuration puts", async () => {
    const { connector: shown, sql, action } = guided("opentsdb", connector());
    const sink = await site.run(shown, sql, action);
    await (await site.connect()).publishAsync("sensors/1", '{"t":21.5,"room":"bath"}', { qos: 1 });
    await until(() => sink.counters.success === 1, "it is put");
    await until(async () => (await series("temperature")).length === 1, "it is there");
    expect(await series("temperature")).toMatchObject([
      { metric: { __name__: "temperature", device: "c1", room: "bath" }, values: [21.5] },
    ]);
  });

  it("loses nothing when it is killed under load", async () => {
    const sink = await site.run(connector(), 'SELECT payload.n AS n, payload.at AS at FROM "t/#"', {
      ...{ ...NUMBER, metric: "killed", timestamp: "${at}" },
    });
    const client = await site.connect();
    const start = Math.floor(Date.now() / 1000) - 1_000;
    const publish = (n: number) =>
      client.publishAsync("t/1", JSON.stringify({ n, at: start + n }), { qos: 1 });
    for (let n = 0; n < 50; n++) await publish(n);
    await server.kill();
    for (let n = 50; n < 100; n++) await publish(n);
    await until(() => site.isAway(), "it is noticed", 120_000);
    await server.restart();
    await until(() => sink.counters.success === 100, "all are acknowledged", 120_000);
    // It keeps a second's worth in memory, whatever it has acknowledged: what came while it was away is there.
    const [found] = await series("killed");
    const there = new Set(found!.values);
    for (let n = 50; n < 100; n++) expect(there.has(n)).toBe(true);
    addsUp(sink);
  }, 300_000);

  it("has what was acknowledged when the gateway is killed", async () => {
    await losesNothingWhenKilled({
      connector: connector(),
      action: { ...NUMBER, metric: "survived_${n}", timestamp: `${Date.now()}` },
      away: () => server.kill(),
      back: () => server.restart(),
      async has() {
        const found = await series("survived_.*").catch(() => []);
        return new Set(found.map(({ metric }) => Number(metric["__name__"]!.slice("survived_".length))));
      },
    });
  }, 900_000);
});
