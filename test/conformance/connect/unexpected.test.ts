/** Connectors that fail with an error that nobody has thought of: a bug, or a library that has changed. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { Message } from "#core/bus/message.ts";
import type { Item } from "#core/connect/connector.ts";
import { http } from "#core/connect/http.ts";
import { addsUp, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

const site = new SinkSite();
afterEach(async () => {
  vi.restoreAllMocks();
  await site.stop();
});

const isError = ({ event }: { event: string }): boolean => event === "connector-error";
const bodyOf = ({ parameters }: Item): string => String(parameters["body"]);

/** A connector of ours in place of the real one. */
async function run(send: (items: readonly string[]) => void, more: object = {}) {
  vi.spyOn(http, "open").mockReturnValue({
    send: async (items: readonly Item[]) => {
      send(items.map(bodyOf));
      return undefined;
    },
    async check() {},
    async close() {},
  });
  return site.run({ kind: "http", url: "http://127.0.0.1:1", ...more }, 'SELECT payload FROM "t/#"', {
    body: "${payload}",
  });
}

describe("an error of a connector itself", () => {
  it("is tried again, and named in log and state, until the connector has come to itself", async () => {
    let fails = 3;
    const sink = await run(() => {
      if (fails-- > 0) throw new TypeError("x is not a function");
    });
    const reasons: (string | undefined)[] = [];
    const lines = () => site.gateway!.log.map((line) => JSON.parse(line)).filter(isError);
    await (await site.connect()).publishAsync("t/1", "1", { qos: 1 });
    await until(() => {
      reasons.push(sink.reason);
      return sink.counters.success === 1;
    }, "it is taken");
    expect(reasons).toContain("unexpected TypeError: x is not a function");
    expect(sink.counters).toMatchObject({ success: 1, retriedSuccess: 1, failed: 0 });
    await until(() => lines().length > 0, "the log says it");
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toMatchObject({
      connector: "out",
      error: expect.stringContaining("unexpected.test.ts"),
    });
    addsUp(sink);
  });

  it("that stays is dead-lettered after seven tries, with its name; nothing else of the batch is", async () => {
    const tries: string[] = [];
    const sink = await run(
      (bodies) => {
        tries.push(...bodies);
        if (bodies.includes("bad")) throw new RangeError("this is too much");
      },
      { batch: { messages: 10, time: "200ms" }, concurrency: 1 },
    );
    const dead = await site.letters();
    const client = await site.connect();
    await Promise.all(["good", "bad", "better"].map((body) => client.publishAsync("t/1", body, { qos: 1 })));
    await until(() => dead.length === 1 && sink.counters.success === 2, "one is buried, two are taken");
    expect(dead[0]).toMatchObject({ reason: "unexpected RangeError: this is too much" });
    expect(sink.counters).toMatchObject({
      failed: 1,
      failedUnexpected: 1,
      failedRefused: 0,
      retriedFailed: 1,
    });
    // Once with the others, then by itself.
    expect(tries.filter((body) => body === "bad")).toHaveLength(8);
    addsUp(sink);
  });

  it("is none of what another version has written: that is dead-lettered as its octets, and nobody waits", async () => {
    const taken: string[] = [];
    const sink = await run((bodies) => void taken.push(...bodies));
    const letters = await site.letters();
    const session = site.gateway!.composition.sessions.get("connector", "out")!;
    const [now, grant] = [site.gateway!.composition.core.now, { qos: 1, retainAsPublished: false } as const];
    const strange = new Message("$connector/out", Buffer.from([0x91, 0x07]), 1, false, now);
    session.deliver(strange, { ...grant, identifiers: [], group: undefined });
    await (await site.connect()).publishAsync("t/1", "1", { qos: 1 });
    await until(() => sink.counters.success === 1 && letters.length === 1, "both are over");
    expect(taken).toEqual(["1"]);
    expect(letters[0]).toMatchObject({
      ...{ topic: "$dead-letter/out/", connector: "out", rule: "", octets: "kQc=" },
      reason: "it cannot be read: another version has written it",
    });
    expect(sink.counters).toMatchObject({ failed: 1, failedUnread: 1, taken: 1 });
  });

  it("is none where a header would have what no header can have: the action fails, and nobody waits", async () => {
    const web = await new WebSink().start();
    try {
      const sink = await site.run({ kind: "http", url: web.url }, 'SELECT payload FROM "t/#"', {
        headers: { "x-payload": "${payload}" },
        body: "${payload}",
      });
      const client = await site.connect();
      for (const body of ["good", "10 €", "better"]) await client.publishAsync("t/1", body, { qos: 1 });
      await until(() => sink.counters.success === 2, "the others are there");
      expect(web.bodies).toEqual(["good", "better"]);
      // What no header can have fails the rule's action, before anything is queued.
      expect(sink.counters).toMatchObject({ taken: 2, failed: 0 });
      expect(site.gateway!.composition.rules.rules.get("r")!.actions[0]!.counters).toMatchObject({
        failed: 1,
      });
    } finally {
      await web.stop();
    }
  });
});
