/**
 * Rules whose outputs go to Cassandra, by the real driver: no server of Cassandra can be had here, so that this is no proof
 * of what one does, only of what it is asked and of how its documented answers are taken.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CqlServer } from "../../support/cql-server.ts";
import { addsUp, guided, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

const LOCAL_QUORUM = 6;

describe("Cassandra's documented protocol", () => {
  const site = new SinkSite();
  let server: CqlServer;
  let port: number;
  beforeEach(async () => {
    server = new CqlServer();
    port = await server.start();
    server.tables["t_mqtt_msg"] = {
      ...{ topic: "text", msgid: "text", qos: "int", payload: "text", arrived: "bigint" },
    } as const;
    server.tables["n"] = { n: "int" };
  });
  afterEach(async () => {
    await site.stop();
    await server.stop();
  });
  const connector = (more: object = {}) => ({
    ...{ kind: "cassandra", nodes: [`127.0.0.1:${port}`], timeout: "5s" },
    ...more,
  });
  const NUMBERS = 'SELECT payload.n AS n FROM "t/#"';
  const INSERT = { cql: "insert into n (n) values (${n})" };

  it("has the manual's row, by the guide's configuration, with bound values and a name that signs in", async () => {
    server.login = ["gateway", "secret"];
    const login = { username: "gateway", password: "secret" };
    const { connector: shown, sql, action } = guided("cassandra", connector(login));
    const sink = await site.run(shown, sql, action);
    const said = "it's; drop table t_mqtt_msg";
    await (await site.connect()).publishAsync("sensors/1", said, { qos: 1 });
    await until(() => sink.counters.success === 1, "it is there");
    expect(server.rows["t_mqtt_msg"]).toEqual([
      {
        ...{ topic: "sensors/1", qos: 1, payload: said },
        ...{ msgid: expect.stringMatching(/^[0-9a-f]+$/i), arrived: expect.any(BigInt) },
      },
    ]);
    expect(server.executed[0]!.consistency).toBe(LOCAL_QUORUM);
    addsUp(sink);
  });

  it("has octets, numbers and what is missing as their columns want them", async () => {
    server.tables["typed"] = { raw: "blob", small: "double", large: "bigint", list: "text", none: "text" };
    const sink = await site.run(
      connector(),
      "SELECT payload AS raw, 1.5 AS small, 9007199254740993 AS large, [1, 'x'] AS list FROM \"t/#\"",
      {
        cql: "insert into typed (raw, small, large, list, none) values (${raw}, ${small}, ${large}, ${list}, ${none})",
      },
    );
    await (await site.connect()).publishAsync("t/1", Buffer.from([0xff, 0x00]), { qos: 1 });
    await until(() => sink.counters.success === 1, "it is there");
    expect(server.rows["typed"]).toEqual([
      { raw: Buffer.from([0xff, 0]), small: 1.5, large: 9007199254740993n, list: '[1,"x"]', none: null },
    ]);
  });

  it("dead-letters a value that does not fit its column and what the cluster refuses, and no other of the batch", async () => {
    server.refuse = ({ n }) => (n === 2 ? { code: 0x2200, message: "no such thing" } : undefined);
    const batch = { messages: 10, time: "200ms" };
    const sink = await site.run(connector({ batch, concurrency: 1 }), NUMBERS, INSERT);
    const dead = await site.letters();
    const client = await site.connect();
    await Promise.all(
      ["0", '"x"', "2", "3"].map((n) => client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 })),
    );
    await until(() => dead.length === 2 && sink.counters.success === 2, "two are refused");
    const reasons = dead.map(({ reason }) => reason);
    expect(reasons).toContain("no such thing (0x2200)");
    expect(reasons).toContain("Expected Number, obtained 'x'");
    expect(new Set(server.rows["n"]!.map(({ n }) => n))).toEqual(new Set([0, 3]));
    expect(sink.counters).toMatchObject({ failedRefused: 2 });
    addsUp(sink);
  });

  it("writes what was refused for now again, and behind it the newer one of the same client: that one stays", async () => {
    // WriteTimeout: of consistency LOCAL_QUORUM, no replica has it, two are wanted.
    const more = Buffer.from([0, LOCAL_QUORUM, 0, 0, 0, 0, 0, 0, 0, 2, 0, 6, ...Buffer.from("SIMPLE")]);
    let busy = true;
    server.refuse = ({ n }) => {
      if (n !== 0 || !busy) return undefined;
      busy = false;
      return { code: 0x1100, message: "Operation timed out", more };
    };
    const sink = await site.run(connector({ batch: { messages: 2, time: "200ms" } }), NUMBERS, INSERT);
    const client = await site.connect();
    await Promise.all([0, 1].map((n) => client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 })));
    await until(() => sink.counters.success === 2, "both are taken");
    const inTime = [...server.executed].sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
    expect(inTime.map(({ row }) => row["n"])).toEqual([0, 1, 0, 1]);
    expect(sink.counters).toMatchObject({ retriedSuccess: 2, failed: 0 });
    addsUp(sink);
  });

  it("is away with a name that it does not know, and lets what waits in when it does", async () => {
    server.login = ["gateway", "other"];
    const login = { username: "gateway", password: "secret" };
    const sink = await site.run(connector(login), NUMBERS, INSERT);
    await publishNumbers(await site.connect(), 0, 1);
    await until(() => site.isAway(), "an alarm");
    expect(sink.reason).toContain("incorrect");
    expect(sink.reason).not.toContain("secret");
    server.login = ["gateway", "secret"];
    await until(() => sink.counters.success === 1, "it is taken");
    addsUp(sink);
  });

  it.each([
    ["a result of no kind", 0x08, "7fffffff"],
    ["rows whose columns are not there", 0x08, "00000002 00000001 00000005 ffff"],
    ["an error that breaks off", 0x00, "00001100 ffff"],
    ["an event of no kind", 0x0c, "0003 414243"],
    ["what no server says", 0x7f, "00"],
  ])("is asked again when it answers with %s, and nothing ends by it", async (_, opcode, body) => {
    server.nonsense = [opcode, Buffer.from(body.replaceAll(" ", ""), "hex")];
    const sink = await site.run(connector({ timeout: "1s" }), NUMBERS, INSERT);
    await publishNumbers(await site.connect(), 0, 1);
    await until(() => sink.counters.tries > 1, "it is tried again");
    server.nonsense = undefined;
    await until(() => sink.counters.success === 1, "it is taken");
    addsUp(sink);
  });

  it("is asked again when it says nothing, and when it is gone and back; nothing is lost", async () => {
    const sink = await site.run(connector({ timeout: "1s" }), NUMBERS, INSERT);
    const client = await site.connect();
    await publishNumbers(client, 0, 10);
    await until(() => sink.counters.success === 10, "the first are there");
    server.slow = true;
    await publishNumbers(client, 10, 20);
    await until(() => site.isAway(), "it is noticed");
    server.slow = false;
    await until(() => sink.counters.success === 20, "the next are there");
    await server.stop();
    await publishNumbers(client, 20, 30);
    await until(() => sink.state === "disconnected", "it is noticed");
    await server.start(port);
    await until(() => sink.counters.success === 30, "all are there");
    expect(new Set(server.rows["n"]!.map(({ n }) => n))).toEqual(
      new Set(Array.from({ length: 30 }, (_, n) => n)),
    );
    addsUp(sink);
  }, 120_000);

  it("has what was acknowledged when the gateway is killed", async () => {
    await losesNothingWhenKilled({
      connector: connector({ timeout: "1s" }),
      action: INSERT,
      away: () => server.stop(),
      back: async () => void (await server.start(port)),
      has: async () => new Set((server.rows["n"] ?? []).map(({ n }) => n as number)),
    });
  }, 900_000);
});
