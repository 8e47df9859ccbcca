/** What a page says when the node is gone, when clocks differ, when it is busy, and when it has a hundred thousand clients. */
import { readFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClientSummary, Clients } from "#core/operate/clients.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { lacks } from "../support/programs.ts";
import { mqttClient } from "./devices.ts";
import { enter, launch, look, type Site, startSite } from "./site.ts";

describe.skipIf(lacks("chromium"))("a node that goes and comes", () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  it("without it the page says since when, goes grey, and shows no number that looks live; then it is fresh again", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base, "/clients");
    await page.locator(".live.live").waitFor();
    await site.kill();
    await page.getByText(/Not live since/).waitFor();
    expect(await page.locator("main.not-live").count()).toBe(1);
    await page.getByRole("link", { name: "Refusals" }).click();
    await page.getByText("The node does not answer").waitFor();
    await site.start();
    await page.getByRole("button", { name: "Try now" }).click();
    await page.locator(".live.live").waitFor();
    await page.getByText(/Not live since/).waitFor({ state: "detached" });
    await page.getByText("Nothing was refused since the start").waitFor();
    expect(wrong).toEqual([]);
    await close();
  });

  it("a clock of the browser that is two hours wrong harms no age", async () => {
    const { page, close } = await look(browser, site.base);
    await page.addInitScript("const now = Date.now; Date.now = () => now() - 7_200_000;");
    const client = await mqttClient(site.ports, "clocked", { keepalive: 600 });
    await enter(page, site.base, "/clients/clocked?gateway=mqtt");
    await page.getByText("The clock of this browser is off").waitFor();
    const said = page.locator("figure.clock figcaption");
    await said.filter({ hasText: /heard \d+(\.\d)? (s|min) ago.*due in \d+ min/s }).waitFor();
    client.end(true);
    await close();
  });

  it("what fails says so in its own place, with its code, and the rest of the page lives", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.route("**/api/v1/health", (route) =>
      route.fulfill({
        ...{ status: 500, contentType: "application/problem+json" },
        body: '{"title":"Internal error","code":"internal"}',
      }),
    );
    await enter(page, site.base);
    await page.getByText("internal (500)").waitFor();
    await page.locator(".plot").first().waitFor();
    expect(wrong).toEqual([]);
    await close();
  });

  it("of thousands of messages a second few are sent to it, all are counted, and the page stays small", async () => {
    const { page, close } = await look(browser, site.base);
    await enter(page, site.base, "/messages?filter=flood%2F%23");
    const publisher = await mqttClient(site.ports, "flood");
    let going = true;
    const flood = (async () => {
      while (going) {
        for (let count = 0; count < 100; count++) publisher.publish(`flood/${count % 10}`, "x".repeat(50));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    await page.getByText(/one in \d+ shown/).waitFor();
    expect(Number(await page.evaluate("document.querySelectorAll('*').length"))).toBeLessThan(5_000);
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    going = false;
    await flood;
    publisher.end(true);
    await close();
  });
});

const ALL = 100_000;
const NOW = Date.now();

/** Clients that are there in name only: what a node with so many would list. */
function crowd(clients: Clients): Clients {
  const summary = (number: number): ClientSummary =>
    ({
      ...{ number, gateway: number % 2 === 0 ? "mqtt" : "coap", listener: "tcp" },
      ...{ clientId: `meter-${String(number).padStart(6, "0")}`, presence: "connected", state: "connected" },
      ...{ transport: "udp", address: "10.0.0.1", port: number % 65_536, since: 0, keepAlive: 60 },
      ...{ heardAt: NOW - number, dueAt: NOW + 600_000 - number, cleanStart: false },
      ...{ subscriptions: 1, queued: number % 7, queuedBytes: 0, unsettled: 0, lost: 0 },
    }) as unknown as ClientSummary;
  const page = (filter: { gateway?: string }, { after = 0, limit = 100, looks = 10_000 } = {}) => {
    const items: ClientSummary[] = [];
    let number = after + 1;
    for (let seen = 0; number <= ALL && items.length < limit && seen < looks; number++, seen++) {
      const one = summary(number);
      if (filter.gateway === undefined || filter.gateway === one.gateway) items.push(one);
    }
    return { items, next: number > ALL ? undefined : number - 1 };
  };
  return Object.assign(Object.create(clients) as object, {
    page,
    get: () => undefined,
  }) as unknown as Clients;
}

describe.skipIf(lacks("chromium"))("a hundred thousand clients", () => {
  let api: TestApi;
  let browser: Browser;
  beforeAll(async () => {
    browser = await launch();
    api = await startApi({}, { dashboard: true, accounts: false });
    const { operator } = api.ports as { operator: { clients: Clients } };
    operator.clients = crowd(operator.clients);
  });
  afterAll(async () => {
    await browser?.close();
    await api?.stop();
  });

  it("are listed a hundred at a time, sorted, filtered and paged by the node; the page holds no more", async () => {
    const { page, wrong, close } = await look(browser, api.base);
    await enter(page, api.base, "/clients");
    await page.getByText("100 of 100,000").waitFor();
    expect(await page.locator("tr[data-row]").count()).toBe(100);
    // Soonest due first.
    await page.locator("tr[data-row]").first().filter({ hasText: "meter-100000" }).waitFor();
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText("page 2").waitFor();
    await page.locator("tr[data-row]").first().filter({ hasText: "meter-099900" }).waitFor();
    await page.getByRole("button", { name: "Previous" }).click();
    await page.locator("tr[data-row]").first().filter({ hasText: "meter-100000" }).waitFor();
    await page.getByLabel("Gateway").selectOption("coap");
    await page.getByText("100 of 50,000").waitFor();
    expect(Number(await page.evaluate("document.querySelectorAll('*').length"))).toBeLessThan(8_000);
    expect(wrong).toEqual([]);
    await close();
  });
});

it("the bundle is within its budgets, packed: 120 KB of scripts, 70 KB of them first, 12 KB of styles", () => {
  const { sizes } = JSON.parse(readFileSync("dist/dashboard/sizes.json", "utf8"));
  expect(sizes.scripts).toBeLessThanOrEqual(120 * 1024);
  expect(sizes.first).toBeLessThanOrEqual(70 * 1024);
  expect(sizes.styles).toBeLessThanOrEqual(12 * 1024);
});
