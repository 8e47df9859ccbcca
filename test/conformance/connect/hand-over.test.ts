/** How a connector hands over what waits: how much at once, in which order, and how large a batch is. */
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Sink } from "#core/connect/sink.ts";
import { addsUp, SinkSite } from "../../support/sink-site.ts";
import { until } from "../../support/store-process.ts";
import { WebSink } from "../../support/web-sink.ts";

const site = new SinkSite();
let web: WebSink;
/** Requests that have not been answered, in their order. */
let open: { readonly body: string; readonly response: ServerResponse }[];
/** As many as there ever were at the same time. */
let most: number;

beforeEach(async () => {
  web = await new WebSink().start();
  open = [];
  most = 0;
  web.answer = ({ body }, response) => {
    open.push({ body, response });
    most = Math.max(most, open.length);
  };
});
afterEach(async () => {
  for (const { response } of open) response.end();
  await site.stop();
  await web.stop();
});

const run = (more: object): Promise<Sink> =>
  site.run({ kind: "http", url: web.url, ...more }, 'SELECT payload FROM "t/#"', { body: "${payload}" });
const clientsIn = (): string[] => open.map(({ body }) => body.slice(0, 1)).sort();

/** Twenty messages of each of these clients wait, as a0, a1, …, b0. */
async function publish(clients: readonly string[], each = 20): Promise<number> {
  for (const name of clients) {
    const client = await site.connect(name);
    for (let n = 0; n < each; n++) await client.publishAsync("t/1", `${name}${n}`, { qos: 1 });
  }
  return clients.length * each;
}

/** One request after the other is answered, the oldest first. */
async function answerAll(sink: Sink, count: number, look: () => void = () => {}): Promise<void> {
  for (let answered = 0; answered < count; answered++) {
    await until(() => open.length > 0, "the next request");
    look();
    open.shift()!.response.end();
  }
  await until(() => sink.counters.success === count, "all are taken");
  addsUp(sink);
}

describe("a connector", () => {
  it("has no more requests under way than `concurrency` says, whatever waits", async () => {
    const sink = await run({ concurrency: 3, order: "none" });
    const count = await publish(["a"]);
    await until(() => open.length === 3, "as many as may be");
    expect(sink.inflight).toBe(3);
    await answerAll(sink, count);
    expect(most).toBe(3);
  });

  it("with `order: client` has one request of a client under way, and those of others beside it; each comes in its order", async () => {
    const sink = await run({ concurrency: 8 });
    // Their names lead to lanes of their own.
    const clients = ["a", "b", "c"];
    const count = await publish(clients);
    await until(() => open.length === clients.length, "one of each");
    expect(clientsIn()).toEqual(clients);
    await answerAll(sink, count, () => expect(new Set(clientsIn()).size).toBe(open.length));
    for (const name of clients)
      expect(web.bodies.filter((body) => body.startsWith(name))).toEqual(
        Array.from({ length: 20 }, (_, n) => `${name}${n}`),
      );
  });

  it("with `order: all` keeps one order of everything, over failures too", async () => {
    const sink = await run({ concurrency: 8, order: "all" });
    const count = await publish(["a", "b"], 5);
    await until(() => open.length === 1, "the first");
    open.shift()!.response.writeHead(503).end();
    await answerAll(sink, count);
    expect(most).toBe(1);
    const inOrder = ["a", "b"].flatMap((name) => Array.from({ length: 5 }, (_, n) => `${name}${n}`));
    expect(web.bodies).toEqual(["a0", ...inOrder]);
  });
});

describe("a batch", () => {
  const batched = (batch: object, more: object = {}): Promise<Sink> =>
    run({ batch, concurrency: 1, ...more });
  const sizes = (): number[] =>
    web.bodies.map((body) => JSON.parse(body.startsWith("[") ? body : "[0]").length);

  it("has `messages` at most", async () => {
    const sink = await batched({ messages: 4, time: "200ms" });
    web.answer = (_, response) => response.end();
    const client = await site.connect();
    await Promise.all(Array.from({ length: 10 }, (_, n) => client.publishAsync("t/1", `${n}`, { qos: 1 })));
    await until(() => sink.counters.success === 10, "all are taken");
    expect(Math.max(...sizes())).toBe(4);
  });

  it("has `bytes` at most, of what one has that is larger by itself", async () => {
    const sink = await batched({ messages: 100, bytes: "1KB", time: "200ms" });
    web.answer = (_, response) => response.end();
    const client = await site.connect();
    const payload = (length: number): string => JSON.stringify("x".repeat(length));
    await Promise.all(
      [300, 300, 300, 300, 3_000].map((length) => client.publishAsync("t/1", payload(length), { qos: 1 })),
    );
    await until(() => sink.counters.success === 5, "all are taken");
    // Two of them have less than 1 KB with what belongs to them, and three have more.
    expect(Math.max(...sizes())).toBe(2);
    expect(web.bodies.some((body) => body.length > 3_000 && !body.startsWith("["))).toBe(true);
  });

  it("waits `time` for others and goes before that when it is full", async () => {
    const sink = await batched({ messages: 3, time: "1m" });
    web.answer = (_, response) => response.end();
    const client = await site.connect();
    for (const body of ["1", "2"]) await client.publishAsync("t/1", body, { qos: 1 });
    expect([sink.inflight, sink.queuing, web.requests.length]).toEqual([0, 2, 0]);
    await client.publishAsync("t/1", "3", { qos: 1 });
    await until(() => sink.counters.success === 3, "they go together");
    expect(web.bodies).toEqual(["[1,2,3]"]);
  });
});
