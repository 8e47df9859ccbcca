/** Of every kind of connector with a peer here: whatever becomes of its sink, the counters say where each message is. */
import type { MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Sink } from "#core/connect/sink.ts";
import { CqlServer } from "../../support/cql-server.ts";
import { DynamoDbServer } from "../../support/dynamodb-server.ts";
import { freeTcpPort } from "../../support/free-ports.ts";
import { KafkaMock } from "../../support/kafka.ts";
import { startNats, startRabbitmq } from "../../support/message-servers.ts";
import { FakeMongodb } from "../../support/mongodb-server.ts";
import { lacks } from "../../support/programs.ts";
import { PulsarServer } from "../../support/pulsar-server.ts";
import {
  startInfluxdb,
  startMariadb,
  startMosquitto,
  startPostgres,
  startRedis,
  startVictoriaMetrics,
} from "../../support/servers.ts";
import { addsUp, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { TcpRelay } from "../../support/tcp-relay.ts";
import { WebSink } from "../../support/web-sink.ts";

/** One kind's sink, and what befalls it. */
interface Peer {
  /** Where the connector finds it. */
  readonly place: object;
  /** Refuses for good what has `"n":"bad"`. */
  readonly action: object;
  kill(): Promise<unknown>;
  back(): Promise<unknown>;
  hold(): void;
  release(): void;
  stop(): Promise<unknown>;
}

type Start = () => Promise<Peer>;

/** By a relay of ours in front, so that the same befalls all of them. */
async function relayed(
  to: number,
  place: (port: number) => object,
  action: object,
  stop: () => unknown,
): Promise<Peer> {
  const relay = await new TcpRelay(to).start();
  return {
    ...{ place: place(relay.port), action },
    kill: () => relay.stop(),
    back: () => relay.start(),
    hold: () => relay.hold(),
    release: () => relay.release(),
    async stop() {
      await relay.stop();
      await stop();
    },
  };
}

const atPort = (port: number) => ({ port });
const atUrl = (port: number) => ({ url: `http://127.0.0.1:${port}` });

/** Of `{"n":1}` or `{"n":"bad"}`: `key` and `to` are missing or other ones where it is bad, and `filler` is long. */
const SQL = `SELECT payload.n AS n, payload.key AS key, payload.to AS to, payload.big AS big, payload.filler AS filler, timestamp FROM "t/#"`;
const GOOD = { n: 1, key: "k", to: "numbers", big: 1, filler: "x" };
const BAD = { n: "bad", to: "refused", big: 10_000, filler: "x".repeat(2_000) };

const STARTS: Readonly<Record<string, Start>> = {
  async http() {
    const web = await new WebSink().start();
    web.answer = ({ body }, response) => response.writeHead(body === "bad" ? 422 : 200).end();
    return relayed(web.port, atUrl, { body: "${n}" }, () => web.stop());
  },
  async postgres() {
    const { port, stop } = await startPostgres();
    const place = (at: number) => ({ port: at, user: "root", database: "postgres" });
    return relayed(port, place, { sql: "select (${n}::text)::int" }, stop);
  },
  async mysql() {
    const { port, stop } = await startMariadb();
    const place = (at: number) => ({ port: at, user: "root", database: "mysql" });
    return relayed(port, place, { sql: "select exp(${big})" }, stop);
  },
  async redis() {
    const { port, stop } = await startRedis();
    return relayed(port, atPort, { command: "INCRBY count ${n}" }, stop);
  },
  async mqtt() {
    // PUBACK 0x95.
    const { port, stop } = await startMosquitto("message_size_limit 1000");
    const place = (at: number) => ({ url: `tcp://127.0.0.1:${at}` });
    return relayed(port, place, { topic: "n", payload: "${filler}", qos: 1, retain: false }, stop);
  },
  async kafka() {
    const kafka = await new KafkaMock().start();
    // MESSAGE_TOO_LARGE.
    kafka.refusals.set("refused", 10);
    return {
      ...{ place: { brokers: [`127.0.0.1:${kafka.port}`] }, action: { topic: "${to}", key: "" } },
      kill: () => kafka.away(),
      back: () => kafka.back(),
      hold() {
        kafka.slow = true;
      },
      release() {
        kafka.slow = false;
      },
      stop: () => kafka.stop(),
    };
  },
  async rabbitmq() {
    // PRECONDITION_FAILED.
    const { port, stop } = await startRabbitmq("max_message_size = 1000");
    const place = (at: number) => ({ port: at, password: "guest" });
    return relayed(port, place, { routingKey: "n", payload: "${filler}", mandatory: false }, stop);
  },
  async nats() {
    const { port, stop } = await startNats("max_payload: 1000");
    const place = (at: number) => ({ servers: [`127.0.0.1:${at}`], acknowledge: "server" });
    return relayed(port, place, { subject: "n", payload: "${filler}" }, stop);
  },
  async influxdb() {
    const { port, stop } = await startInfluxdb();
    await fetch(`http://127.0.0.1:${port}/query?q=${encodeURIComponent("CREATE DATABASE mqtt")}`, {
      method: "POST",
    });
    await fetch(`http://127.0.0.1:${port}/write?db=mqtt`, { method: "POST", body: "m n=1" });
    return relayed(port, atUrl, { measurement: "m", fields: { n: "${n}" } }, stop);
  },
  async opentsdb() {
    const put = await freeTcpPort();
    // 400: a batch of points fits in, and not this one.
    const { stop } = await startVictoriaMetrics(put, "-opentsdbhttp.maxInsertRequestSize=2000");
    return relayed(put, atUrl, { metric: "m", value: "1", tags: { a: "${filler}" } }, stop);
  },
  async mongodb() {
    const server = new FakeMongodb();
    server.refuse = ({ documents }) => {
      const writeErrors = (documents as { n: unknown }[]).flatMap(({ n }, index) =>
        n === "bad" ? [{ index, code: 121, errmsg: "Document failed validation" }] : [],
      );
      return writeErrors.length === 0
        ? undefined
        : { ok: 1, n: documents.length - writeErrors.length, writeErrors };
    };
    const place = (at: number) => ({ url: `mongodb://127.0.0.1:${at}/?directConnection=true` });
    return relayed(await server.start(), place, { collection: "n", document: { n: "${n}" } }, () =>
      server.stop(),
    );
  },
  async cassandra() {
    const server = new CqlServer();
    server.tables["n"] = { n: "int" };
    const place = (at: number) => ({ nodes: [`127.0.0.1:${at}`] });
    return relayed(await server.start(), place, { cql: "insert into n (n) values (${n})" }, () =>
      server.stop(),
    );
  },
  async dynamodb() {
    const server = await new DynamoDbServer().start();
    await server.makeTable("numbers", "key");
    const place = (at: number) => ({ ...atUrl(at), accessKeyId: "a", secretAccessKey: "b" });
    return relayed(server.port, place, { table: "numbers", item: { key: "${key}" } }, () => server.stop());
  },
  async pulsar() {
    const server = await new PulsarServer().start();
    const bad = Buffer.from("bad").toString("base64");
    server.refuse = ({ payload }) => (payload === bad ? { result: "send-error:3" } : undefined);
    const place = (at: number) => ({ url: `ws://127.0.0.1:${at}` });
    const action = { topic: "persistent://public/default/n", payload: "${n}" };
    return relayed(server.port, place, action, () => server.stop());
  },
};

const KINDS = Object.keys(STARTS);

describe.skipIf(
  lacks(
    "pg_ctlcluster",
    "mariadbd",
    "redis-server",
    "mosquitto",
    "kcat",
    "rabbitmq-server",
    "nats-server",
    "influxd",
    "victoria-metrics",
  ),
)("the counters of every kind of connector", () => {
  const site = new SinkSite();
  const peers = new Map<string, Peer>();
  beforeAll(async () => {
    await Promise.all(
      KINDS.map(async (kind) => {
        peers.set(kind, await STARTS[kind]!());
      }),
    );
  }, 300_000);
  afterEach(() => site.stop());
  afterAll(() => Promise.all(Array.from(peers.values(), (peer) => peer.stop())));

  const sinks = (): Sink[] => [...site.sinks()];
  const all = async (what: (peer: Peer) => unknown): Promise<void> => {
    await Promise.all(Array.from(peers.values(), what));
  };

  async function run(more: object = {}): Promise<MqttClient> {
    const common = { timeout: "2s", retry: { first: "10ms", longest: "200ms" }, health: "1h", ...more };
    const connectors = Object.fromEntries(
      KINDS.map((kind) => [kind, { kind, ...common, ...peers.get(kind)!.place }]),
    );
    const actions = KINDS.map((kind) => ({ kind, connector: kind, ...peers.get(kind)!.action }));
    await site.runAll({ connectors, rules: { r: { sql: SQL, actions } } });
    return site.connect();
  }

  /** At every moment until all of them are there. */
  async function untilAll(holds: (sink: Sink) => boolean, what: string): Promise<void> {
    await until(
      () => {
        for (const sink of sinks()) addsUp(sink);
        return sinks().every(holds);
      },
      what,
      120_000,
    ).catch((error: unknown) => {
      const left = sinks().filter((sink) => !holds(sink));
      throw new Error(
        left.map(({ name, reason, counters }) => `${name}: ${reason} ${JSON.stringify(counters)}`).join("\n"),
        {
          cause: error,
        },
      );
    });
  }

  /** Each action gave its connector what it matched, and what became of that is told it. */
  function toldOfAll(matched: number): void {
    const { counters: rule, actions } = site.gateway!.composition.rules.rules.get("r")!;
    expect(rule).toMatchObject({ matched, passed: matched, failed: 0, noResult: 0 });
    for (const [place, { counters }] of actions.entries()) {
      const { taken, success, failed, expired, full } = site.sink(KINDS[place]!).counters;
      expect(taken).toBe(matched);
      expect(counters).toMatchObject({ matched, success, failed, dropped: expired + full });
    }
  }

  const publish = async (client: MqttClient, count: number, payload: object): Promise<void> => {
    for (let n = 0; n < count; n++) await client.publishAsync("t/1", JSON.stringify(payload), { qos: 1 });
  };

  it("add up when their sinks are killed while they are asked, and come back", async () => {
    const client = await run();
    await publish(client, 5, GOOD);
    await untilAll(({ counters }) => counters.success === 5, "the first are there");
    await all((peer) => peer.hold());
    await publish(client, 5, GOOD);
    await untilAll(({ inflight }) => inflight > 0, "they are asked");
    await all((peer) => peer.kill());
    await publish(client, 5, GOOD);
    await untilAll(({ state }) => state === "disconnected", "they are gone");
    await all((peer) => peer.release());
    await all((peer) => peer.back());
    await untilAll(({ counters }) => counters.success === 15, "all are there");
    for (const { counters } of sinks()) expect(counters).toMatchObject({ failed: 0, full: 0, expired: 0 });
    toldOfAll(15);
  }, 300_000);

  it("add up when their sinks say nothing for longer than they may", async () => {
    const client = await run();
    await publish(client, 1, GOOD);
    await untilAll(({ counters }) => counters.success === 1, "the first is there");
    await all((peer) => peer.hold());
    await publish(client, 5, GOOD);
    await untilAll(({ state }) => state === "disconnected", "it took too long");
    await all((peer) => peer.release());
    await untilAll(({ counters }) => counters.success === 6, "all are there");
    toldOfAll(6);
  }, 300_000);

  it.each(["drop-oldest", "drop-newest"])(
    "add up when more waits for them than may (%s)",
    async (full) => {
      await all((peer) => peer.kill());
      const one = { concurrency: 1, batch: { messages: 1 } };
      const client = await run({ ...one, queue: { messages: 5, full } });
      await publish(client, 30, GOOD);
      await untilAll(
        ({ counters, state }) => counters.full > 0 && state === "disconnected",
        "some are dropped",
      );
      await all((peer) => peer.back());
      await untilAll(({ counters }) => counters.success + counters.full === 30, "the rest is there");
      toldOfAll(30);
    },
    300_000,
  );

  it("add up when their sinks refuse some for good", async () => {
    const client = await run();
    await publish(client, 2, GOOD);
    await publish(client, 1, BAD);
    await publish(client, 2, GOOD);
    await untilAll(({ counters }) => counters.success + counters.failed === 5, "all are decided");
    for (const { name, counters } of sinks())
      expect([name, counters.failed, counters.failedRefused]).toEqual([name, 1, 1]);
    toldOfAll(5);
  }, 300_000);
});
