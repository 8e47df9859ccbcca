/** Rules whose outputs go to NATS's own server. */
import { AckPolicy, connect, DiscardPolicy, type NatsConnection, type StreamConfig } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type MessageServer, startNats } from "../../support/message-servers.ts";
import { lacks } from "../../support/programs.ts";
import { addsUp, guided, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { bridgeCases } from "./bridge-cases.ts";

const site = new SinkSite();
afterEach(() => site.stop());

describe.skipIf(lacks("nats-server"))("NATS", () => {
  let server: MessageServer;
  beforeAll(async () => {
    server = await startNats(
      "accounts { site { jetstream: enabled, users: [{ user: isthmus, password: secret }] } }",
    );
  }, 120_000);
  afterAll(() => server.stop());

  const connector = (more: object = {}) => ({
    ...{ kind: "nats", servers: [`127.0.0.1:${server.port}`], username: "isthmus" },
    ...{ password: "env:NATS_TEST_SECRET", ...more },
  });
  beforeAll(() => {
    process.env["NATS_TEST_SECRET"] = "secret";
  });
  const NUMBERS = 'SELECT payload.n AS n, payload FROM "t/#"';

  async function ask<Answer>(work: (connection: NatsConnection) => Promise<Answer>): Promise<Answer> {
    const settings = { servers: `127.0.0.1:${server.port}`, user: "isthmus", pass: "secret" };
    const connection = await connect(settings);
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  }
  const addStream = (name: string, more: Partial<StreamConfig> = {}) =>
    ask(async (connection) => {
      const manager = await connection.jetstreamManager();
      await manager.streams.add({ name, subjects: [`${name}.>`], ...more });
    });

  /** All messages of a stream, in its order. */
  const kept = (name: string) =>
    ask(async (connection) => {
      const manager = await connection.jetstreamManager();
      const { state } = await manager.streams.info(name);
      const found: { subject: string; data: string; id: string; device: string }[] = [];
      if (state.messages === 0) return found;
      const durable = `reader${Math.random().toString(36).slice(2)}`;
      await manager.consumers.add(name, { durable_name: durable, ack_policy: AckPolicy.None });
      const consumer = await connection.jetstream().consumers.get(name, durable);
      const messages = await consumer.fetch({ max_messages: state.messages, expires: 10_000 });
      for await (const { subject, data, headers } of messages) {
        const [id, device] = ["Nats-Msg-Id", "device"].map((key) => headers?.get(key) ?? "");
        found.push({ subject, data: Buffer.from(data).toString("latin1"), id: id!, device: device! });
      }
      await manager.consumers.delete(name, durable);
      return found;
    });

  it("keeps messages in a stream, with headers and the delivery's id, under subjects with points", async () => {
    await addStream("readings");
    const sink = await site.run(connector(), 'SELECT payload, clientid, topic FROM "t/#"', {
      subject: "readings/${topic}",
      headers: { device: "${clientid}" },
    });
    const client = await site.connect();
    await client.publishAsync("t/1", "one two", { qos: 1 });
    await client.publishAsync("t/2", Buffer.from([0xff, 0x00]), { qos: 1 });
    await until(() => sink.counters.success === 2, "both are kept");
    const found = await kept("readings");
    expect(found.map(({ subject, data, device }) => [subject, data, device])).toEqual([
      ["readings.t.1", "one two", "c1"],
      ["readings.t.2", "\xff\0", "c1"],
    ]);
    expect(found.every(({ id }) => /-r-0-0$/.test(id))).toBe(true);
    addsUp(sink);
  });

  it("keeps messages as the guide's configuration says", async () => {
    await addStream("site");
    const { connector: shown, sql, action } = guided("nats", connector());
    const sink = await site.run(shown, sql, action);
    await (await site.connect()).publishAsync("sensors/1", "21.5", { qos: 1 });
    await until(() => sink.counters.success === 1, "it is kept");
    expect(await kept("site")).toMatchObject([{ subject: "site.sensors.1", data: "21.5", device: "c1" }]);
  });

  it("fails the action for a topic that is no subject: a wildcard, a space, or the server's own", async () => {
    const sink = await site.run(connector(), 'SELECT payload FROM "t/#"', { subject: "x/${payload}" });
    const client = await site.connect();
    for (const bad of ["*", "a b", ">", "a//b"]) await client.publishAsync("t/1", bad, { qos: 1 });
    const { counters } = site.gateway!.composition.rules.rules.get("r")!.actions[0]!;
    await until(() => counters.failed === 4, "all four fail");
    expect(sink.counters.taken).toBe(0);
  });

  it("waits for a stream that has the subject, with an alarm", async () => {
    const sink = await site.run(connector(), NUMBERS, { subject: "later.n" });
    await publishNumbers(await site.connect(), 0, 10);
    await until(() => sink.reason === "no stream has the subject" && site.isAway(), "nobody keeps it");
    await addStream("later");
    await until(() => sink.counters.success === 10, "all are kept");
    expect((await kept("later")).map(({ data }) => JSON.parse(data).n)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
    addsUp(sink);
  });

  it("dead-letters what is too large for the stream or the server, waits while a stream is full", async () => {
    await addStream("small", { max_msg_size: 1024, max_msgs: 3, discard: DiscardPolicy.New });
    const sink = await site.run(connector(), 'SELECT payload FROM "t/#"', { subject: "small.n" });
    const dead = await site.letters();
    const client = await site.connect();
    await publishNumbers(client, 0, 3);
    await client.publishAsync("t/1", "x".repeat(2048), { qos: 1 });
    await client.publishAsync("t/1", "x".repeat(1024 * 1024 + 1), { qos: 1 });
    await until(() => dead.length === 2, "two are refused");
    expect(dead.map(({ reason }) => reason).join()).toMatch(/10054.*MAX_PAYLOAD/s);
    await publishNumbers(client, 3, 5);
    await until(() => sink.reason?.includes("maximum messages exceeded") === true, "it is full");
    await ask(async (connection) => (await connection.jetstreamManager()).streams.purge("small"));
    await until(() => sink.counters.success === 5, "there is room");
    expect(sink.counters).toMatchObject({ failed: 2, failedRefused: 2 });
    addsUp(sink);
  });

  it("waits while it is not let in, and says why", async () => {
    const sink = await site.run(connector({ password: "wrong" }), NUMBERS, { subject: "readings.n" });
    await publishNumbers(await site.connect(), 0, 1);
    await until(() => /authorization/i.test(sink.reason ?? "") && site.isAway(), "it is refused");
    expect(sink.counters.failed).toBe(0);
  });

  it("without a stream is told as soon as the server has read it", async () => {
    const sink = await site.run(connector({ acknowledge: "server" }), NUMBERS, { subject: "plain.n" });
    await ask(async (connection) => {
      const heard: number[] = [];
      const subscription = connection.subscribe("plain.>", {
        callback: (_, message) => heard.push(message.json<{ n: number }>().n),
      });
      await connection.flush();
      await publishNumbers(await site.connect(), 0, 20);
      await until(() => sink.counters.success === 20 && heard.length === 20, "all are heard");
      expect(heard).toEqual(Array.from({ length: 20 }, (_, n) => n));
      subscription.unsubscribe();
    });
  });

  it("loses nothing when the server is killed under load, and keeps nothing twice", async () => {
    await addStream("killed");
    const sink = await site.run(connector(), NUMBERS, { subject: "killed.n" });
    const client = await site.connect();
    await publishNumbers(client, 0, 50);
    await server.kill();
    await publishNumbers(client, 50, 100);
    await until(() => site.isAway(), "it is noticed", 120_000);
    await server.restart();
    await until(() => sink.counters.success === 100, "all are acknowledged", 120_000);
    const numbers = (await kept("killed")).map(({ data }) => JSON.parse(data).n as number);
    expect(numbers).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(sink.counters).toMatchObject({ taken: 100, failed: 0 });
    addsUp(sink);
  }, 300_000);

  it("has what was acknowledged when the gateway is killed", async () => {
    await addStream("survived");
    await losesNothingWhenKilled({
      connector: connector({ password: "secret" }),
      action: { subject: "survived.n", payload: "${n}" },
      away: () => server.kill(),
      back: () => server.restart(),
      has: async () =>
        new Set(
          await kept("survived").then(
            (messages) => messages.map(({ data }) => Number(data)),
            () => [],
          ),
        ),
    });
  }, 900_000);

  bridgeCases(() => server, { username: "isthmus", password: "secret" });
});
