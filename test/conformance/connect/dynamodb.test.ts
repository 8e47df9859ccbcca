/**
 * Rules whose outputs go to DynamoDB. Amazon's own service cannot be had here: dynalite, which others wrote, speaks its API,
 * and checks everything but signatures.
 */
import { createHash, createHmac } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Asked, DynamoDbServer } from "../../support/dynamodb-server.ts";
import { addsUp, guided, losesNothingWhenKilled, publishNumbers, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";

const SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NUMBERS = 'SELECT payload.n AS n, clientid FROM "t/#"';
const ITEM = { table: "numbers", item: { id: "n${n}", n: "${n}" } };

describe("DynamoDB's API", () => {
  const server = new DynamoDbServer();
  const site = new SinkSite();
  beforeAll(() => server.start());
  afterAll(() => server.stop());
  beforeEach(() => {
    server.asked.length = 0;
    server.answer = () => undefined;
    server.slow = false;
  });
  afterEach(() => site.stop());

  const connector = (more: object = {}) => ({
    ...{ kind: "dynamodb", url: server.url, region: "eu-central-1", timeout: "5s" },
    ...{ accessKeyId: "AKIDEXAMPLE", secretAccessKey: SECRET },
    ...more,
  });
  const writes = () => server.asked.filter(({ operation }) => operation === "BatchWriteItem");
  const numbers = async (table: string) =>
    new Set((await server.items(table)).map((item) => Number(item["n"]!["N"])));

  it("has the manual's item, by the guide's configuration, and a signature over all of the request", async () => {
    await server.makeTable("mqtt_msg", "msgid");
    const { connector: shown, sql, action } = guided("dynamodb", connector({ sessionToken: "of a session" }));
    const sink = await site.run(shown, sql, action);
    await (await site.connect()).publishAsync("sensors/1", "hello", { qos: 1 });
    await until(() => sink.counters.success === 1, "it is there");
    const msgid = { S: expect.stringMatching(/^[0-9a-f]+$/i) };
    expect(await server.items("mqtt_msg")).toEqual([
      { msgid, topic: { S: "sensors/1" }, payload: { S: "hello" } },
    ]);
    const [asked] = writes();
    expect(asked!.headers["x-amz-security-token"]).toBe("of a session");
    expect(asked!.headers.authorization).toContain("/eu-central-1/dynamodb/aws4_request");
    expect(asked!.headers.authorization).toContain("host");
    expect(signatureIn(asked!)).toBe(signatureOf(asked!));
    addsUp(sink);
  });

  it("keeps octets, numbers, lists and what is nested as they are, and leaves out what is missing", async () => {
    await server.makeTable("typed", "id");
    const sink = await site.run(
      connector(),
      "SELECT payload AS raw, 9007199254740993 AS n, [1, 'x', true] AS list FROM \"t/#\"",
      {
        table: "typed",
        item: { id: "1", raw: "${raw}", inner: { n: "${n}", none: "${none}" }, list: "${list}" },
      },
    );
    await (await site.connect()).publishAsync("t/1", Buffer.from([0xff, 0x00]), { qos: 1 });
    await until(() => sink.counters.success === 1, "it is there");
    expect(await server.items("typed")).toEqual([
      {
        ...{ id: { S: "1" }, raw: { B: "/wA=" } },
        inner: { M: { n: { N: "9007199254740993" } } },
        list: { L: [{ N: "1" }, { S: "x" }, { BOOL: true }] },
      },
    ]);
  });

  it("dead-letters what has no key, and no other of the batch; of one key the newest stays", async () => {
    await server.makeTable("keyed", "id");
    const batch = { messages: 100, time: "200ms" };
    const sink = await site.run(connector({ batch }), 'SELECT payload.id AS id, payload.n AS n FROM "t/#"', {
      table: "keyed",
      item: "${.}",
    });
    const dead = await site.letters();
    const client = await site.connect();
    const payloads = [{ id: "a", n: 1 }, { n: 2 }, { id: "b", n: 3 }, { id: "a", n: 4 }];
    await Promise.all(payloads.map((each) => client.publishAsync("t/1", JSON.stringify(each), { qos: 1 })));
    await until(() => dead.length === 1 && sink.counters.success === 3, "one is refused");
    expect(dead[0]!["reason"]).toMatch(/^ValidationException: /);
    const found = await server.items("keyed");
    expect(Object.fromEntries(found.map(({ id, n }) => [id!["S"], n!["N"]]))).toEqual({ a: "4", b: "3" });
    addsUp(sink);
  });

  it("has more than a request takes in several, and what it had no capacity for by itself", async () => {
    await server.makeTable("numbers", "id");
    let busy = true;
    server.answer = ({ operation, body }) => {
      if (operation !== "BatchWriteItem" || !busy) return undefined;
      busy = false;
      const { numbers: puts } = body["RequestItems"] as Record<string, unknown[]>;
      // The last of the first 25, its attributes in another order.
      const left = JSON.parse(JSON.stringify(puts!.at(-1)));
      const { id, n } = left.PutRequest.Item;
      left.PutRequest.Item = { n, id };
      return { status: 200, body: JSON.stringify({ UnprocessedItems: { numbers: [left] } }) };
    };
    const batch = { messages: 60, time: "300ms" };
    const sink = await site.run(connector({ batch, concurrency: 1 }), NUMBERS, ITEM);
    const client = await site.connect();
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => client.publishAsync("t/1", `{"n":${n}}`, { qos: 1 })),
    );
    await until(() => sink.counters.success === 60, "all are taken");
    const lengths = writes().map(
      ({ body }) => (body["RequestItems"] as Record<string, unknown[]>)["numbers"]!.length,
    );
    // The first 24 count as written; what stands behind the one that comes back waits for it.
    expect(lengths).toEqual([25, 25, 11]);
    expect(await numbers("numbers")).toEqual(new Set(Array.from({ length: 36 }, (_, n) => n + 24)));
    expect(sink.counters).toMatchObject({ retriedSuccess: 36, failed: 0 });
    addsUp(sink);
  });

  it("waits for a table that is not there yet, and holds up no other table", async () => {
    await server.makeTable("there", "id");
    const sink = await site.run(connector(), 'SELECT payload.to AS to FROM "t/#"', {
      table: "${to}",
      item: { id: "x" },
    });
    const client = await site.connect();
    for (const to of ["missing", "there"])
      await client.publishAsync("t/1", JSON.stringify({ to }), { qos: 1 });
    await client.publishAsync("t/1", '{"to":"a b"}', { qos: 1 });
    await until(() => sink.state === "disconnected", "it is noticed");
    expect(sink.reason).toMatch(/^ResourceNotFoundException/);
    await server.makeTable("missing", "id");
    await until(() => sink.counters.success === 2, "both are written");
    // No name of a table.
    expect(site.gateway!.composition.rules.rules.get("r")!.actions[0]!.counters).toMatchObject({ failed: 1 });
    addsUp(sink);
  });

  it("is away with keys that it does not know, and shows none of them", async () => {
    const refusal = { __type: "com.amazon.coral.service#UnrecognizedClientException", message: "Who?" };
    server.answer = () => ({ status: 400, body: JSON.stringify(refusal) });
    const sink = await site.run(connector(), NUMBERS, ITEM);
    await publishNumbers(await site.connect(), 0, 1);
    await until(() => site.isAway(), "an alarm");
    expect(sink.reason).toBe("UnrecognizedClientException: Who?");
    server.answer = () => undefined;
    await until(() => sink.counters.success === 1, "it is taken");
    expect(JSON.stringify(site.gateway!.log)).not.toContain(SECRET);
  });

  it("is asked again when it says nothing, and when it is gone and back; nothing is lost", async () => {
    await server.makeTable("away", "id");
    const sink = await site.run(connector({ timeout: "1s" }), NUMBERS, { ...ITEM, table: "away" });
    const client = await site.connect();
    server.slow = true;
    await publishNumbers(client, 0, 10);
    await until(() => site.isAway(), "it is noticed");
    server.slow = false;
    await until(() => sink.counters.success === 10, "they are there");
    await server.away();
    await publishNumbers(client, 10, 20);
    await until(() => sink.state === "disconnected", "it is noticed");
    await server.back();
    await until(() => sink.counters.success === 20, "all are there");
    expect(await numbers("away")).toEqual(new Set(Array.from({ length: 20 }, (_, n) => n)));
    addsUp(sink);
  });

  it("has what was acknowledged when the gateway is killed", async () => {
    await server.makeTable("survived", "id");
    await losesNothingWhenKilled({
      connector: connector({ timeout: "1s" }),
      action: { table: "survived", item: { id: "n${n}", n: "${n}" } },
      away: () => server.away(),
      back: () => server.back(),
      has: () => numbers("survived"),
    });
  }, 900_000);
});

const signatureIn = ({ headers }: Asked): string | undefined =>
  /Signature=([0-9a-f]{64})$/.exec(headers.authorization ?? "")?.[1];

/** docs.aws.amazon.com, "Signature Version 4": written here once more, by its text. */
function signatureOf({ headers, body }: Asked): string {
  const [, scope = "", signed = ""] =
    /Credential=[^/]+\/([^,]+), SignedHeaders=([^,]+)/.exec(headers.authorization ?? "") ?? [];
  const lines = signed.split(";").map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const sha = (text: string): string => createHash("sha256").update(text).digest("hex");
  const canonical = ["POST", "/", "", lines.join(""), signed, sha(JSON.stringify(body))].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, sha(canonical)].join("\n");
  const key = scope
    .split("/")
    .reduce<string | Buffer>(
      (former, part) => createHmac("sha256", former).update(part).digest(),
      `AWS4${SECRET}`,
    );
  return createHmac("sha256", key).update(toSign).digest("hex");
}
