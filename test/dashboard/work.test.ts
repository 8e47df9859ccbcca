/**
 * What the page does for what comes (D-136): how often it paints, how many elements it makes, how many of its functions are
 * called. A busy machine changes none of these counts, but how many paints there are in the end, which is counted too.
 */
import type { Browser, CDPSession, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { FEEDS_KEPT, madeTrace } from "./feeds.ts";
import { enter, launch, look, type Site, startSite } from "./site.ts";
import { sum } from "./traced.ts";

/** Notes from now on how often something below `place` changes, how many elements are new then at most, and since when. */
const notePaints = (place: string): string => `{
  window.painted = { times: 0, most: 0, since: performance.now() };
  new MutationObserver((records) => {
    painted.times++;
    const fresh = records.flatMap(({ addedNodes }) => [...addedNodes]).filter((one) => one instanceof Element);
    const all = fresh.reduce((count, one) => count + 1 + one.querySelectorAll("*").length, 0);
    painted.most = Math.max(painted.most, all);
  }).observe(document.querySelector(${JSON.stringify(place)}), { childList: true, subtree: true });
}`;
interface Painted {
  readonly times: number;
  readonly most: number;
  readonly seconds: number;
}
const paintedOn = (page: Page): Promise<Painted> =>
  page.evaluate("({ ...painted, seconds: (performance.now() - painted.since) / 1000 })");

/** From now on calls of functions are counted. */
async function counting(page: Page): Promise<CDPSession> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Profiler.enable");
  await devtools.send("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  return devtools;
}

/** How often functions of the dashboard were called since this was asked last. */
async function callsSince(devtools: CDPSession): Promise<number> {
  const { result } = await devtools.send("Profiler.takePreciseCoverage");
  const own = result.filter(({ url }) => url.includes("/assets/"));
  return sum(own.flatMap(({ functions }) => functions.map(({ ranges }) => ranges[0]?.count ?? 0)));
}

/** Rows of a busy trace, a hundred at a time; each of them four frames of one cause. */
const rows = (count: number): string => `(async () => {
  for (let number = 0; number < ${count};) {
    let text = "";
    for (let one = 0; one < 100; one++) {
      number++;
      text += "id: " + number + "\\nevent: row\\ndata: " + JSON.stringify({
        number, cause: Math.ceil(number / 4), at: 1.7e12 + number * 20, kind: "frame", channel: number % 9,
        from: number % 2 === 0 ? "gateway" : "device", expects: true, exchange: String(number), gateway: "mqtt",
        name: "PUBLISH", summary: "room/" + number % 50, length: 60, text: "meter-" + number % 9 + " to mqtt: PUBLISH",
      }) + "\\n\\n";
    }
    feed("/traces/long/events", text);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
})()`;

/** Seconds of the node, so many between two paints. */
const beats = (count: number, each = 1): string => `(async () => {
  window.second ??= Math.floor(Date.now() / 1000);
  const names = ["in.mqtt", "out.mqtt", "in.coap", "clients.awake", "clients.asleep", "waiting"];
  for (let left = ${count}; left > 0; left -= ${each}) {
    let text = "";
    for (let one = 0; one < ${each}; one++) {
      const values = Object.fromEntries(names.map((name, at) => [name, (second * (at + 1)) % 100]));
      text += "event: point\\ndata: " + JSON.stringify({ at: ++second * 1000, values }) + "\\n\\n";
    }
    feed("/series/events", text);
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  }
})()`;

describe.skipIf(lacks("chromium"))("the work of the page", () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  it("for rows of a translation: four paints a second at most, of what is in view, and few calls for each row (D-136)", async () => {
    const ROWS = 5_000;
    const { page, wrong, close } = await look(browser, site.base);
    await page.addInitScript(FEEDS_KEPT);
    await madeTrace(page);
    await enter(page, site.base, "/translation/long");
    await page.waitForFunction("feeds.has('/traces/long/events')");
    await page.evaluate(
      `feed("/traces/long/events", 'id: 0\\nevent: row\\ndata: {"number":0,"cause":0,"at":1,"kind":"timer","text":"x"}\\n\\n')`,
    );
    await page.locator("[data-trace-row]").waitFor();
    const devtools = await counting(page);
    await page.evaluate(notePaints(".rows"));
    await callsSince(devtools);
    await page.evaluate(rows(ROWS));
    await page.getByText("5,000 of 5,000 rows; the first 1 are not kept on this page").waitFor();
    const { times, most, seconds } = await paintedOn(page);
    const calls = await callsSince(devtools);
    console.log(
      `${ROWS} rows: ${times} paints in ${seconds.toFixed(1)} s, ${most} elements at most; ${calls} calls`,
    );
    // A paint may come in two: rows, and the place to which they are scrolled.
    expect(times).toBeLessThanOrEqual(2 * (Math.ceil(seconds * 4) + 1));
    expect(most).toBeLessThan(1_500);
    expect(calls).toBeLessThan(30 * ROWS + 30_000 * times);
    expect(wrong).toEqual([]);
    await close();
  });

  it("for a second of the overview: few elements are made, and functions are called as often as there are points (D-136)", async () => {
    const BEATS = 30;
    const { page, wrong, close } = await look(browser, site.base);
    await page.addInitScript(FEEDS_KEPT);
    await enter(page, site.base);
    await page.locator(".plot canvas").nth(5).waitFor();
    // What is kept is full: from here on each second lets the oldest go.
    await page.evaluate(beats(1_000, 100));
    const devtools = await counting(page);
    await page.evaluate(notePaints("main"));
    await callsSince(devtools);
    await page.evaluate(beats(BEATS));
    const { most } = await paintedOn(page);
    const calls = await callsSince(devtools);
    console.log(`a second of the overview: ${Math.round(calls / BEATS)} calls, ${most} elements at most`);
    expect(calls).toBeGreaterThan(0);
    expect(calls / BEATS).toBeLessThan(200_000);
    expect(most).toBeLessThan(50);
    expect(wrong).toEqual([]);
    await close();
  });
});
