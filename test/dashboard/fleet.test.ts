/** The simulated fleet from the empty page's button to its end, and its LwM2M devices: promises, and plots of what is observed. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { lwm2mRegister } from "./devices.ts";
import { button, enter, launch, look, row, type Site, startSite, told, urlOf, visit } from "./site.ts";

describe.skipIf(lacks("chromium"))("a node without devices", () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite("  lwm2m: { lifetimeGrace: 8s }"), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  async function on(run: (page: Page) => Promise<void>): Promise<void> {
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base);
    await run(page);
    expect(wrong).toEqual([]);
    await close();
  }

  it("offers a simulated fleet: by one click devices of all protocols are seen, observed and plotted; Stop leaves none", () =>
    on(async (page) => {
      await page.getByText("No client yet").waitFor();
      await button(page, "Start a simulated fleet").click();
      await page.getByText("A simulated fleet runs: 100 devices, cold chain").waitFor();
      await page.getByText("No client yet").waitFor({ state: "detached" });
      await visit(page, "/clients");
      await row(page, "sim-").first().waitFor();
      for (const gateway of ["mqtt-sn", "coap", "lwm2m", "stomp", "mqtt"]) {
        await visit(page, `/clients?gateway=${gateway}`);
        await row(page, "sim-").filter({ hasText: gateway }).first().waitFor();
      }
      await visit(page, "/lwm2m");
      await row(page, "sim-").first().getByRole("link").first().click();
      await page
        .locator("figure.clock figcaption")
        .getByText(/due in/)
        .waitFor();
      await visit(page, `${(await urlOf(page)).pathname}?path=%2F3303%2F0%2F5700`);
      // An application of the fleet observes it already.
      await button(page, "End observing").click();
      await button(page, "Observe").click();
      await page.locator(".last-value").waitFor();
      const plot = page.getByRole("img", { name: /Sensor Value/ });
      await plot.waitFor();
      await page.locator(".plot canvas").first().waitFor();
      await page.locator(".plot").getByRole("button", { name: "as a table" }).click();
      const rows = page.locator(".plot tbody tr");
      const before = await rows.count();
      // A point more with each notification.
      await rows.nth(before).waitFor();
      await button(page, "Stop").click();
      await told(page, "The simulated fleet is gone");
      await visit(page, "/");
      await page.getByText("No client yet").waitFor();
      expect(await site.ask("GET", "/clients")).toMatchObject({ items: [] });
      expect(await site.ask("GET", "/retained")).toMatchObject({ items: [] });
    }));

  it("a device whose registration has run out is overdue on its own page and in the list (D-050)", () =>
    on(async (page) => {
      await lwm2mRegister(site.ports, "meter-0044");
      await visit(page, "/lwm2m/meter-0044");
      await page
        .locator("figure.clock figcaption")
        .getByText(/due in/)
        .waitFor();
      // Anew, and only for so long that nobody could be sure to have seen it in time.
      await lwm2mRegister(site.ports, "meter-0044", 3);
      await page.locator("figure.clock figcaption").getByText("overdue").waitFor();
      await page.getByText("No device is registered under this endpoint name").waitFor();
      await visit(page, "/lwm2m");
      await row(page, "meter-0044").getByText("overdue").waitFor();
    }));
});
