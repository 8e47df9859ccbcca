/** The picture of a translation (D-060 to D-067), of rows that the test has made. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { FEEDS, madeTrace } from "./feeds.ts";
import { button, enter, launch, look, type Site, startSite, textOf, urlOf } from "./site.ts";

/** What a trace holds: a PUT for a sleeper, which wakes eleven minutes later and does not answer. */
const MINUTES = 60_000;
const BEGUN = 1.7e12;
const bus = { topic: "cmd/pump-7/set", qos: 1 };
const pump = { channel: 2, gateway: "mqtt-sn", client: "pump-7" };
const PICTURE = [
  {
    ...{
      cause: 12,
      at: BEGUN,
      kind: "frame",
      from: "device",
      channel: 1,
      gateway: "coap",
      clients: ["cam-3"],
    },
    ...{ name: "PUT", summary: "/ps/cmd/pump-7/set", exchange: "41a2", expects: true, again: 0, length: 21 },
    ...{ bytes: "400341a2ff31", masked: true, fields: { messageId: 16_802 }, text: "cam-3 to coap: PUT" },
  },
  { cause: 12, at: BEGUN + 0.3, kind: "message", channel: 1, ...bus, text: "bus cmd/pump-7/set by cam-3" },
  { cause: 12, at: BEGUN + 0.4, kind: "routed", matched: true, given: 2, waits: 1, text: "matched" },
  {
    ...{ cause: 12, at: BEGUN + 0.9, kind: "delivery", ...pump, ...bus, state: "waits", asleep: true },
    text: "pump-7 waits: asleep",
  },
  {
    ...{ cause: 31, at: BEGUN + 11 * MINUTES + 1_000, kind: "frame", from: "device", ...pump },
    ...{ name: "PINGREQ", text: "pump-7 to mqtt-sn: PINGREQ" },
  },
  {
    ...{
      cause: 12,
      at: BEGUN + 11 * MINUTES + 1_058,
      kind: "frame",
      from: "gateway",
      ...pump,
      exchange: "7",
    },
    ...{ expects: true, name: "PUBLISH", summary: "id 7 QoS 1", text: "mqtt-sn to pump-7: PUBLISH" },
  },
].map((row, index) => ({ number: index + 1, ...row }));

const sent = (rows: readonly { readonly number: number }[]): string =>
  rows.map((row) => `id: ${row.number}\nevent: row\ndata: ${JSON.stringify(row)}\n\n`).join("");

describe.skipIf(lacks("chromium"))("a translation", () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  it("is drawn on five lanes: who said what to whom, what waits, what has no answer, pauses, and what is chosen (D-061 to D-067)", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.addInitScript(FEEDS);
    await madeTrace(page);
    await enter(page, site.base, "/translation/long");
    await page.waitForFunction("feeds.has('/traces/long/events')");
    await page.evaluate(`feed("/traces/long/events", ${JSON.stringify(sent(PICTURE))})`);
    const line = (number: number) => page.locator(`.rows li:has([data-trace-row="${number}"])`);
    await line(6).waitFor();
    expect(await page.locator(".lanes-head b").allInnerTexts()).toEqual([
      ...["device", "its channel", "bus", "channel", "device"],
    ]);
    for (const [number, drawn, said] of [
      [1, ".frame.right.from-0.to-1", "PUT /ps/cmd/pump-7/set"],
      [2, ".step.right.from-1.to-2", "cmd/pump-7/set QoS 1"],
      [3, ".point.none.from-2.to-2", "2 given, 1 wait"],
      [4, ".point.none.from-3.to-3.asleep", "pump-7 waits: asleep"],
      [5, ".frame.left.from-3.to-4", "PINGREQ"],
      [6, ".frame.right.from-3.to-4.warning", "PUBLISH id 7 QoS 1 ? no answer"],
    ] as const)
      expect(await textOf(line(number).locator(`.drawn${drawn}`))).toContain(said);
    expect(await page.locator(".rows li.pause").allInnerTexts()).toEqual(["11 min 00 s"]);
    // One row is chosen: those of other causes step back, and may be left out (D-062, D-066).
    await line(1).getByRole("button").click();
    const drawer = page.getByRole("complementary");
    await drawer.getByText("Fields, secrets masked").waitFor();
    await drawer.getByText("16802").waitFor();
    await drawer.getByText(/0000 {2}40 03 41 a2 ff 31 +@\.A\.\.1/).waitFor();
    await expect.poll(() => page.locator(".rows li.dimmed").count()).toBe(1);
    await drawer.getByRole("button", { name: "only this cause" }).click();
    await line(5).waitFor({ state: "detached" });
    expect((await urlOf(page)).search).toBe("?cause=12");
    await page.getByText("5 of 6 rows").waitFor();
    await button(page, "only cause 12").click();
    await line(5).waitFor();
    await drawer.getByRole("button", { name: "close" }).click();
    // It stays at the end only while the end is in view (D-067).
    const more = (from: number) =>
      sent(
        Array.from({ length: 100 }, (_, index) => ({
          ...{ number: from + index, cause: 31, at: BEGUN + 12 * MINUTES + from + index },
          ...{ kind: "timer", channel: 2, text: `timer ${from + index}` },
        })),
      );
    const box = page.locator(".rows");
    await page.evaluate(`feed("/traces/long/events", ${JSON.stringify(more(100))})`);
    await line(199).waitFor();
    await box.evaluate((one) => one.scrollTo(0, 0));
    await line(1).waitFor();
    await page.evaluate(`feed("/traces/long/events", ${JSON.stringify(more(200))})`);
    await page.getByText("206 of 206 rows").waitFor();
    expect(await box.evaluate((one) => one.scrollTop)).toBe(0);
    expect(wrong).toEqual([]);
    await close();
  });
});
