/** A page whose streams come from the test. */
import type { Locator, Page } from "playwright-core";
import { expect } from "vitest";

/**
 * Streams of these addresses come from the test: `feed(part, text)` gives them what it wants. With `kept` what is read again
 * and again is answered as it was the first time, or hours of it would be thousands of questions to the node.
 */
const feeding = (kept: boolean): string => `{
  const own = fetch;
  const encoder = new TextEncoder();
  const feeds = new Map();
  const kept = new Map();
  window.feed = (part, text) => feeds.get(part).enqueue(encoder.encode(text));
  window.feeds = feeds;
  window.fetch = (url, ...rest) => {
    const part = ["/series/events", "/traces/long/events"].find((one) => String(url).includes(one));
    const answered = new Response(kept.get(url), { headers: { "content-type": "application/json" } });
    if (part === undefined && kept.has(url)) return Promise.resolve(answered);
    if (part === undefined)
      return own(url, ...rest).then(async (answer) => {
        if (${kept} && answer.ok) kept.set(url, await answer.clone().text());
        return answer;
      });
    const body = new ReadableStream({ start: (to) => void feeds.set(part, to) });
    return Promise.resolve(new Response(body, { headers: { "content-type": "text/event-stream" } }));
  };
}`;
export const FEEDS = feeding(false);
export const FEEDS_KEPT = feeding(true);

/** What the node says each second, for `feed("/series/events", ...)`. */
export const point = (at: number, values: Readonly<Record<string, number>> = {}): string =>
  `event: point\ndata: ${JSON.stringify({ at, values })}\n\n`;

/** So many seconds pass at once for a page that is fed: what it reads every few of them it reads again. */
export async function pass(page: Page, seconds: number): Promise<void> {
  await page.waitForFunction("feeds.has('/series/events')");
  const points = Array.from({ length: seconds }, (_, second) => point(Date.now() + second * 1_000));
  await page.evaluate(`feed("/series/events", ${JSON.stringify(points.join(""))})`);
}

/** What the page reads is what it had asked for, and a moment later it may ask for more: seconds pass until this is there. */
export const passUntil = (page: Page, there: Locator): Promise<void> =>
  expect
    .poll(async () => {
      await pass(page, 10);
      return there.count();
    })
    .toBeGreaterThan(0);

/** A trace of which the node knows nothing, at `/translation/long`; its rows come by `feed`. */
export const madeTrace = (page: Page): Promise<unknown> =>
  page.route("**/api/v1/traces/long", (route) =>
    route.fulfill({
      json: {
        ...{ id: "long", name: "", owner: "ana", topic: "#", startedAt: new Date().toISOString() },
        ...{ until: new Date(Date.now() + 3_600_000).toISOString(), running: true },
        ...{ rows: 200_000, rowsMax: 50_000, bytes: 0 },
      },
    }),
  );
