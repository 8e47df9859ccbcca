/** A page that is open for long, and many pages at once (D-136, D-137, D-164). Hours pass as fast as the page takes them. */
import type { Browser, CDPSession, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { coapPublish, mqttClient } from "./devices.ts";
import { FEEDS_KEPT, madeTrace } from "./feeds.ts";
import { button, enter, launch, look, type Site, startSite } from "./site.ts";

const MB = 1024 * 1024;

/** Seconds of the node with a beat every so often, 60 beats at a time, and let the page paint in between. */
const beats = (seconds: number, every = 1): string => `(async () => {
  window.second ??= Math.floor(Date.now() / 1000);
  const names = ["in.mqtt", "out.mqtt", "in.coap", "clients.awake", "clients.asleep", "waiting", "refused.forbidden", "lost.expired"];
  for (let left = ${seconds} / ${every}; left > 0; left -= 60) {
    let text = "";
    for (let count = 0; count < 60; count++) {
      const values = Object.fromEntries(names.map((name, at) => [name, Math.random() * 100 * at]));
      text += "event: point\\ndata: " + JSON.stringify({ at: (second += ${every}) * 1000, values }) + "\\n\\n";
    }
    feed("/series/events", text);
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
})()`;

/** Rows of a busy trace, with their bytes. */
const rows = (count: number): string => `(async () => {
  window.row ??= 0;
  for (let left = ${count}; left > 0; left -= 500) {
    let text = "";
    for (let one = 0; one < 500; one++) {
      const number = ++row;
      text += "id: " + number + "\\nevent: row\\ndata: " + JSON.stringify({
        number, cause: Math.ceil(number / 4), at: 1.7e12 + number * 20, kind: "frame", from: "device", channel: number % 9,
        gateway: "mqtt", name: "PUBLISH", summary: "PUBLISH room/" + number % 50, length: 60,
        text: "meter-" + number % 9 + " to mqtt: PUBLISH room/" + number % 50 + " QoS 1, 60 bytes",
        bytes: "30".repeat(60), fields: { topic: "room/" + number % 50, qos: 1, payload: "x".repeat(40) },
      }) + "\\n\\n";
    }
    feed("/traces/long/events", text);
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
})()`;

/** What the page holds once everything that can go is gone, in bytes. */
async function held(page: Page, devtools: CDPSession): Promise<number> {
  // Paints that were gathered have been, and what they hold is let go.
  await page.evaluate("new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve), 600))");
  await devtools.send("HeapProfiler.collectGarbage");
  return (await devtools.send("Runtime.getHeapUsage")).usedSize;
}

describe.skipIf(lacks("chromium"))("for long", () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  it("eight hours of the overview hold no more than its first one (D-136, D-164)", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.addInitScript(FEEDS_KEPT);
    await enter(page, site.base);
    await page.locator(".plot canvas").first().waitFor();
    const devtools = await page.context().newCDPSession(page);
    await page.evaluate(beats(3_600));
    const first = await held(page, devtools);
    // By a beat in ten seconds: each is a gap and a point.
    await page.evaluate(beats(7 * 3_600, 10));
    const last = await held(page, devtools);
    console.log(
      `overview: ${(first / MB).toFixed(1)} MB after an hour, ${(last / MB).toFixed(1)} MB after eight`,
    );
    expect(last - first).toBeLessThan(4 * MB);
    expect(last).toBeLessThan(80 * MB);
    expect(wrong).toEqual([]);
    await close();
  });

  it("a live translation holds its 5,000 rows, however many there were", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.addInitScript(FEEDS_KEPT);
    await madeTrace(page);
    await enter(page, site.base, "/translation/long");
    await page.waitForFunction("feeds.has('/traces/long/events')");
    const devtools = await page.context().newCDPSession(page);
    await page.evaluate(rows(10_000));
    const first = await held(page, devtools);
    await page.evaluate(rows(100_000));
    await page.getByText("the first 105,000 are not kept on this page").waitFor();
    const last = await held(page, devtools);
    console.log(
      `translation: ${(first / MB).toFixed(1)} MB with 10,000 rows, ${(last / MB).toFixed(1)} MB with 110,000`,
    );
    expect(last - first).toBeLessThan(4 * MB);
    expect(last).toBeLessThan(80 * MB);
    expect(Number(await page.evaluate("document.querySelectorAll('*').length"))).toBeLessThan(3_000);
    expect(wrong).toEqual([]);
    await close();
  });

  it("a tab that nobody looks at lets go of its streams, and goes on where it was when it is looked at", async () => {
    const { id } = await site.ask<{ id: string }>("POST", "/traces", { topic: "hidden/#", seconds: 600 });
    const { page, wrong, close } = await look(browser, site.base);
    await page.clock.install();
    await enter(page, site.base, `/translation/${id}`);
    const open = new Set<unknown>();
    page.on("request", (request) => request.url().includes("/events") && open.add(request));
    page.on("requestfailed", (request) => open.delete(request));
    page.on("requestfinished", (request) => open.delete(request));
    await coapPublish(site.ports, { id: "cam-3", user: "", topic: "hidden/1", payload: "1" });
    await button(page, /hidden\/1/)
      .first()
      .waitFor();
    const toFirst = button(page, /hidden\/1/);
    // All that the node has written down of it, which may come in more than one piece.
    const { items } = await site.ask<{ items: { text: string }[] }>("GET", `/traces/${id}/rows`);
    const rowsOfFirst = items.filter(({ text }) => text.includes("hidden/1")).length;
    await expect.poll(() => toFirst.count()).toBe(rowsOfFirst);
    const hide = (hidden: boolean): Promise<unknown> =>
      page.evaluate(`Object.defineProperty(document, "hidden", { configurable: true, value: ${hidden} });
        document.dispatchEvent(new Event("visibilitychange"))`);
    const ended = page.waitForEvent("requestfailed", (request) => request.url().includes(`${id}/events`));
    await hide(true);
    await page.clock.fastForward(11_000);
    await ended;
    await coapPublish(site.ports, { id: "cam-3", user: "", topic: "hidden/2", payload: "2" });
    await page.clock.fastForward(30_000);
    await expect.poll(() => open.size).toBe(0);
    await hide(false);
    await button(page, /hidden\/2/)
      .first()
      .waitFor();
    expect(await toFirst.count()).toBe(rowsOfFirst);
    await page.locator(".live.live").waitFor();
    expect(wrong).toEqual([]);
    await close();
  });

  it("two pages and eighteen streams as of more of them are all live at once, and a message is not later for them", async () => {
    const client = await mqttClient(site.ports, "echo");
    await client.subscribeAsync("echo/#", { qos: 1 });
    const echo = async (): Promise<number> => {
      const begun = performance.now();
      const back = new Promise<void>((resolve) => client.once("message", () => resolve()));
      await client.publishAsync("echo/x", "x", { qos: 1 });
      await back;
      return performance.now() - begun;
    };
    const median = async (): Promise<number> => {
      const times: number[] = [];
      for (let count = 0; count < 50; count++) times.push(await echo());
      return times.sort((a, b) => a - b)[25]!;
    };
    const before = await median();
    const end = new AbortController();
    const streams = await Promise.all(
      Array.from({ length: 18 }, () => fetch(`${site.base}/api/v1/series/events`, { signal: end.signal })),
    );
    const points = streams.map(() => 0);
    const all = streams.map(async (stream, index) => {
      for await (const chunk of stream.body!)
        if (Buffer.from(chunk).includes("event: point")) points[index]!++;
    });
    const looking = await Promise.all([look(browser, site.base), look(browser, site.base)]);
    for (const { page } of looking) await enter(page, site.base, "/bans");
    for (const { page } of looking) await page.locator(".live.live").waitFor();
    const among = await median();
    console.log(`echo: ${before.toFixed(1)} ms alone, ${among.toFixed(1)} ms with 20 streams of pages open`);
    // Their browser shares the processors with the node: a stream that each message had to pass would be seconds.
    expect(among).toBeLessThan(before * 20 + 500);
    // Each of them has been told of two seconds at least.
    await expect.poll(() => Math.min(...points)).toBeGreaterThanOrEqual(2);
    expect(looking.flatMap(({ wrong }) => wrong)).toEqual([]);
    end.abort();
    await Promise.allSettled(all);
    for (const { close } of looking) await close();
    client.end(true);
  });
});
