/** Rules whose outputs go to RabbitMQ's own server. */
import { type AsyncMessage, Connection } from "rabbitmq-client";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type MessageServer, startRabbitmq } from "../../support/message-servers.ts";
import { lacks } from "../../support/programs.ts";
import { addsUp, guided, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { bridgeCases } from "./bridge-cases.ts";

const site = new SinkSite();
afterEach(() => site.stop());

describe.skipIf(lacks("rabbitmq-server"))("RabbitMQ", () => {
  let server: MessageServer;
  beforeAll(async () => {
    process.env["RABBITMQ_TEST_SECRET"] = "guest";
    server = await startRabbitmq();
  }, 240_000);
  afterAll(() => server.stop());

  const connector = (more: object = {}) => ({
    ...{ kind: "rabbitmq", port: server.port, password: "env:RABBITMQ_TEST_SECRET" },
    ...more,
  });
  const NUMBERS = 'SELECT payload.n AS n, payload FROM "t/#"';

  async function ask<Answer>(work: (connection: Connection) => Promise<Answer>): Promise<Answer> {
    const connection = new Connection(`amqp://guest:guest@127.0.0.1:${server.port}`);
    connection.on("error", () => {});
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  }
  /** A durable queue that hears these keys of an exchange. */
  const addQueue = (queue: string, routingKey: string, more: Record<string, unknown> = {}) =>
    ask(async (connection) => {
      await connection.queueDeclare({ queue, durable: true, arguments: more });
      await connection.queueBind({ queue, exchange: "amq.topic", routingKey });
    });

  /** Takes all that a queue has. */
  const taken = (queue: string) =>
    ask(async (connection) => {
      const found: (Omit<AsyncMessage, "body" | "consumerTag"> & { body: Buffer })[] = [];
      for (;;) {
        const message = await connection.basicGet({ queue, noAck: true });
        if (message === undefined) return found;
        found.push(message as never);
      }
    });
  const numbersIn = async (queue: string) =>
    (await taken(queue)).map(({ body }) => JSON.parse(Buffer.from(body as never).toString()).n as number);

  it("gives messages to an exchange, persistent, with headers and the delivery's id; octets stay octets", async () => {
    await addQueue("readings", "readings.#");
    const sink = await site.run(connector(), 'SELECT payload, clientid, topic FROM "t/#"', {
      routingKey: "readings/${topic}",
      headers: { "x-emq-client-id": "${clientid}" },
      contentType: "application/octet-stream",
    });
    await (await site.connect()).publishAsync("t/1", Buffer.from([0xff, 0x00]), { qos: 1 });
    await until(() => sink.counters.success === 1, "it is confirmed");
    const [message] = await taken("readings");
    expect(message).toMatchObject({
      ...{ routingKey: "readings.t.1", contentType: "application/octet-stream", durable: true },
      headers: { "x-emq-client-id": "c1" },
      messageId: expect.stringMatching(/-r-0-0$/),
    });
    expect(Buffer.from(message!.body)).toEqual(Buffer.from([0xff, 0x00]));
    addsUp(sink);
  });

  it("gives messages as the guide's configuration says", async () => {
    await addQueue("sensors", "sensors.#");
    const { connector: shown, sql, action } = guided("rabbitmq", connector());
    const sink = await site.run(shown, sql, action);
    await (await site.connect()).publishAsync("sensors/1", "21.5", { qos: 1 });
    await until(() => sink.counters.success === 1, "it is confirmed");
    expect(await taken("sensors")).toMatchObject([{ routingKey: "sensors.1", headers: { device: "c1" } }]);
  });

  it("waits for an exchange, and for a queue that takes it, with an alarm", async () => {
    const sink = await site.run(connector(), NUMBERS, { exchange: "later", routingKey: "n" });
    await publishNumbers(await site.connect(), 0, 10);
    await until(
      () => sink.reason?.includes("no exchange 'later'") === true && site.isAway(),
      "there is none",
    );
    await ask((connection) =>
      connection.exchangeDeclare({ exchange: "later", type: "direct", durable: true }),
    );
    await until(() => sink.reason?.includes("NO_ROUTE") === true, "nobody hears it");
    await ask(async (connection) => {
      await connection.queueDeclare({ queue: "later", durable: true });
      await connection.queueBind({ queue: "later", exchange: "later", routingKey: "n" });
    });
    await until(() => sink.counters.success === 10, "all are confirmed");
    expect([...new Set(await numbersIn("later"))]).toEqual(Array.from({ length: 10 }, (_, n) => n));
    expect(sink.counters.failed).toBe(0);
    addsUp(sink);
  });

  it("leaves out what no queue takes, where that is wished", async () => {
    const sink = await site.run(connector(), NUMBERS, { routingKey: "nobody.hears", mandatory: false });
    await publishNumbers(await site.connect(), 0, 3);
    await until(() => sink.counters.success === 3, "the server says yes");
  });

  it("gives again what a full queue refuses, until it has room", async () => {
    await addQueue("small", "small", { "x-max-length": 3, "x-overflow": "reject-publish" });
    const sink = await site.run(connector(), NUMBERS, { routingKey: "small" });
    await publishNumbers(await site.connect(), 0, 6);
    await until(() => sink.reason?.includes("rejected by server") === true && site.isAway(), "it is full");
    const found: number[] = [];
    await until(async () => {
      found.push(...(await numbersIn("small")));
      return sink.counters.success === 6;
    }, "all are confirmed");
    found.push(...(await numbersIn("small")));
    expect([...new Set(found)].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    addsUp(sink);
  });

  it("dead-letters what the server refuses for good, and nothing else of the batch", async () => {
    await addQueue("good", "good.#");
    const sink = await site.run(
      connector({ batch: { messages: 10, time: "200ms" }, concurrency: 2 }),
      'SELECT payload, payload.user AS user FROM "t/#"',
      { routingKey: "good.x", headers: { BCC: "${user}" } },
    );
    const dead = await site.letters();
    const client = await site.connect();
    for (let count = 0; count < 3; count++) await client.publishAsync("t/1", '{"user":"x"}', { qos: 1 });
    // CC and BCC must be lists (RabbitMQ: sender-selected distribution).
    await until(() => dead.length === 3, "they are refused");
    expect(dead[0]!["reason"]).toContain("PRECONDITION_FAILED");
    expect(sink.counters).toMatchObject({ success: 0, failedRefused: 3 });
    addsUp(sink);
  });

  it("fails the action for a routing key that is too long", async () => {
    const sink = await site.run(connector(), 'SELECT payload FROM "t/#"', { routingKey: "${payload}" });
    await (await site.connect()).publishAsync("t/1", "x".repeat(256), { qos: 1 });
    const { counters } = site.gateway!.composition.rules.rules.get("r")!.actions[0]!;
    await until(() => counters.failed === 1, "it fails");
    expect(sink.counters.taken).toBe(0);
  });

  it("waits while it is not let in, and says why", async () => {
    const sink = await site.run(connector({ password: "wrong" }), NUMBERS, { routingKey: "readings.n" });
    await publishNumbers(await site.connect(), 0, 1);
    await until(() => sink.reason?.includes("ACCESS_REFUSED") === true && site.isAway(), "it is refused");
    expect(sink.counters.failed).toBe(0);
  });

  it("loses nothing when the server is killed under load", async () => {
    await addQueue("killed", "killed");
    const sink = await site.run(connector(), NUMBERS, { routingKey: "killed" });
    const client = await site.connect();
    await publishNumbers(client, 0, 50);
    await server.kill();
    await publishNumbers(client, 50, 100);
    await until(() => site.isAway(), "it is noticed", 120_000);
    await server.restart();
    await until(() => sink.counters.success === 100, "all are confirmed", 120_000);
    expect([...new Set(await numbersIn("killed"))]).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(sink.counters).toMatchObject({ taken: 100, failed: 0 });
    addsUp(sink);
  }, 300_000);

  it("has what was acknowledged when the gateway is killed", async () => {
    await addQueue("survived", "survived");
    const found = new Set<number>();
    await losesNothingWhenKilled({
      connector: connector({ password: "guest" }),
      action: { routingKey: "survived", payload: '{"n":${n}}' },
      away: () => server.kill(),
      back: () => server.restart(),
      async has() {
        for (const number of await numbersIn("survived")) found.add(number);
        return found;
      },
    });
  }, 900_000);

  bridgeCases(() => server, { username: "guest", password: "guest" });
});
