/** What a screen reader is led to and told by itself (D-126). */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { mqttClient } from "./devices.ts";
import { type FullSite, startFullSite } from "./full-site.ts";
import { enter, launch, look, textOf, visit } from "./site.ts";

/** Everything that was asked for is there. */
const settled = (page: Page): Promise<void> =>
  page.locator("main .lines").first().waitFor({ state: "detached" });

/** Texts of live regions as they change, from now on. */
const LISTEN = `{
  window.spoken = [];
  const LIVE = "[aria-live]:not([aria-live=off]),[role=status],[role=alert],[role=log],output";
  new MutationObserver((records) => {
    for (const { target } of records) {
      const region = (target instanceof Element ? target : target.parentElement)?.closest(LIVE);
      if (region != null && spoken.at(-1) !== region.textContent) spoken.push(region.textContent);
    }
  }).observe(document.body, { childList: true, characterData: true, subtree: true });
}`;

describe.skipIf(lacks("chromium"))("a screen reader", () => {
  let full: FullSite;
  let browser: Browser;
  beforeAll(async () => {
    [full, browser] = await Promise.all([startFullSite(), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await full?.stop();
  });

  it("is entered at the heading of each page that is gone to, also where its parts come later", async () => {
    const { page, close } = await look(browser, full.site.base);
    await enter(page, full.site.base);
    const links = page.locator("nav.menu a");
    const problems: string[] = [];
    for (let index = (await links.count()) - 1; index >= 0; index--) {
      await links.nth(index).focus();
      await page.keyboard.press("Enter");
      const arrived = page.locator("main h1:focus");
      const name = await textOf(links.nth(index));
      await arrived.waitFor({ timeout: 10_000 }).catch(() => problems.push(name));
    }
    expect(problems).toEqual([]);
    // A client has another heading before it is known.
    await visit(page, "/clients");
    await page.getByRole("link", { name: "backend", exact: true }).press("Enter");
    await page.getByRole("tablist").waitFor();
    await page.locator("main h1:focus").getByText("backend").waitFor();
    await close();
  });

  it("speaks by itself at most every 5 s, however much changes (D-126)", async () => {
    const client = await mqttClient(full.site.ports, "talker");
    const talking = setInterval(() => client.publish("room/9/temp", String(Math.random())), 100);
    const paths = [
      "/",
      "/clients",
      "/messages?filter=room%2F%23",
      `/translation/${full.trace}`,
      "/lwm2m/meter-0044",
    ];
    const looking = await Promise.all(paths.map(() => look(browser, full.site.base)));
    for (const [index, { page }] of looking.entries()) {
      await enter(page, full.site.base, paths[index]);
      await settled(page);
    }
    await Promise.all(looking.map(({ page }) => page.locator(".live.live").waitFor()));
    // Rows of the flood are there before it is listened.
    await looking[2]!.page.locator(".arrived li").nth(5).waitFor();
    for (const { page } of looking) await page.evaluate(LISTEN);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const spoken = await Promise.all(looking.map(({ page }) => page.evaluate("spoken") as Promise<string[]>));
    expect(paths.map((path, index) => [path, spoken[index]]).filter(([, said]) => said!.length > 1)).toEqual(
      [],
    );
    clearInterval(talking);
    client.end(true);
    for (const { close } of looking) await close();
  });
});
