/** Live events: who reads, who reads too slowly, and a thousand at once. */
import { connect, type Socket } from "node:net";
import mqtt from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { askAt, startApi, type TestApi } from "../../support/api.ts";
import { eventsOf, type SentEvent } from "../../support/event-reader.ts";

let api: TestApi;
let device: mqtt.MqttClient;
beforeAll(async () => {
  api = await startApi({}, { streams: 8, connections: 2_000 });
  device = await mqtt.connectAsync(`mqtt://127.0.0.1:${api.gateway.port("mqtt", "tcp")}`);
}, 120_000);
afterAll(async () => {
  device.end(true);
  await api.stop();
});

const open = (path: string, end: AbortSignal) =>
  fetch(`${api.base}/api/v1${path}`, {
    headers: { authorization: `Bearer ${api.keys.operator}` },
    signal: end,
  });

async function until(
  events: AsyncGenerator<SentEvent>,
  fits: (event: SentEvent) => boolean,
): Promise<SentEvent> {
  for (;;) {
    const next = await events.next();
    if (next.done === true) throw new Error("the stream has ended");
    if (fits(next.value)) return next.value;
  }
}

test("messages come as they are published, binary ones in base64, with properties and who published", async () => {
  const end = new AbortController();
  const answer = await open(`/subscribe?qos=1&filter=${encodeURIComponent("room/#\nhall/+")}`, end.signal);
  expect(answer.headers.get("content-type")).toBe("text/event-stream");
  const events = eventsOf(answer);
  const subscribed = await until(events, () => true);
  expect(subscribed).toEqual({
    event: "subscribed",
    data: {
      filters: [
        { filter: "room/#", qos: 1 },
        { filter: "hall/+", qos: 1 },
      ],
    },
  });
  await device.publishAsync("room/7", "héllo\nworld", { qos: 1 });
  expect((await until(events, ({ event }) => event === "message")).data).toMatchObject({
    topic: "room/7",
    payload: "héllo\nworld",
    encoding: "text",
    qos: 1,
    bytes: 12,
    from: `mqtt:${device.options.clientId}`,
  });
  await device.publishAsync("hall/1", Buffer.from([0xff, 0x00]));
  expect((await until(events, ({ event }) => event === "message")).data).toMatchObject({
    payload: "/wA=",
    encoding: "base64",
    qos: 0,
  });
  end.abort();
  await expect
    .poll(async () => (await api.ask("GET", "/api/v1/clients?gateway=http")).body.items, { timeout: 60_000 })
    .toEqual([]);
}, 120_000);

test("a filter that nobody may use is refused before anything streams", async () => {
  const refused = await api.ask("GET", `/api/v1/subscribe?filter=${encodeURIComponent("a/#/b")}`);
  expect([refused.status, refused.body.code, refused.body.refusal]).toEqual([403, "refused", "malformed"]);
  const many = await api.ask(
    "GET",
    `/api/v1/subscribe?filter=${encodeURIComponent(Array(9).fill("a").join("\n"))}`,
  );
  expect([many.status, many.body.code]).toEqual([400, "invalid-request"]);
});

test("over the rate that was asked for messages are counted and not sent", async () => {
  const end = new AbortController();
  const events = eventsOf(await open("/subscribe?filter=fast&rate=1", end.signal));
  await until(events, ({ event }) => event === "subscribed");
  const told = (async () => {
    let missed = 0;
    while (missed === 0) missed += (await until(events, ({ event }) => event === "message")).data.missed ?? 0;
    return missed;
  })();
  let going = true;
  void told.then(() => {
    going = false;
  });
  while (going) {
    await device.publishAsync("fast", "x");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(await told).toBeGreaterThan(0);
  end.abort();
}, 120_000);

test("a thousand streams: half of what there is for one who asks, a refusal for the rest, and the port goes on", async () => {
  const end = new AbortController();
  // An answer that nobody holds is collected, and its connection closed: its place would be another's.
  const held: Response[] = [];
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, async () => {
      const answer = await open("/subscribe?filter=x", end.signal);
      if (answer.status === 200) {
        held.push(answer);
        return { status: 200, retry: undefined };
      }
      await answer.text();
      return { status: answer.status, retry: answer.headers.get("retry-after") };
    }),
  );
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(4);
  expect(answers.filter(({ status, retry }) => status === 429 && retry === "10")).toHaveLength(996);
  expect((await api.ask("GET", "/api/v1/node")).status).toBe(200);
  expect(held.map(({ bodyUsed }) => bodyUsed)).toEqual([false, false, false, false]);
  end.abort();
  // What was refused has left no client behind, and what has ended neither.
  await expect
    .poll(async () => (await api.ask("GET", "/api/v1/clients?gateway=http")).body.items, { timeout: 60_000 })
    .toEqual([]);
}, 180_000);

test("a reader who reads nothing costs a bounded backlog, gets QoS 1 when it reads again, and keeps nobody waiting", async () => {
  const slow: Socket = connect(new URL(api.base).port as never, "127.0.0.1");
  slow.pause();
  slow.write(
    `GET /api/v1/subscribe?filter=bulk&qos=1&rate=10000 HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${api.keys.operator}\r\n\r\n`,
  );
  await expect
    .poll(async () => (await api.ask("GET", "/api/v1/topics?topic=bulk")).body.items.length, {
      timeout: 60_000,
    })
    .toBe(1);
  const payload = "y".repeat(60_000);
  const count = 300;
  for (let number = 0; number < count; number++)
    await device.publishAsync("bulk", `${number} ${payload}`, { qos: 1 });
  const waiting = await api.ask("GET", "/api/v1/clients?gateway=http");
  const backlog = waiting.body.items.map((row: { waiting: number }) => row.waiting);
  expect(Math.max(...backlog)).toBeGreaterThan(0);
  let text = "";
  const numbers = new Set<number>();
  slow.on("data", (chunk) => {
    text += chunk;
    for (const [, number] of text.matchAll(/"payload":"(\d+) y/g)) numbers.add(Number(number));
    text = text.slice(-100);
  });
  slow.resume();
  await expect.poll(() => numbers.size, { timeout: 120_000 }).toBe(count);
  slow.destroy();
}, 300_000);

test("a stream needs a role that may subscribe", async () => {
  const viewer = await askAt(api.base, "GET", "/api/v1/subscribe?filter=x", { key: api.keys.viewer });
  expect(viewer.status).toBe(403);
});
