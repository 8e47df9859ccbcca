/** Makes the pictures of README and guide (`npm run pictures`): a fleet that lives, as a newcomer sees it. Look at each. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { mqttClient } from "./devices.ts";
import { button, enter, launch, look, row, type Site, startSite, visit } from "./site.ts";

const PICTURES = fileURLToPath(new URL("../../docs/pictures/", import.meta.url));
/** So long the fleet has been whole before it is looked at: plots need something to show. */
const LIVED_MS = 45_000;
const READINGS = join(tmpdir(), "isthmus-pictures.log");
/** One of the sleeping boxes. */
const BOX = "sim-box-0004";

/** With a palette: what has few colours is a third as large. */
async function take(page: Page, name: string): Promise<void> {
  const path = `${PICTURES}${name}.png`;
  await page.mouse.move(0, 0);
  await page.screenshot({ path });
  execFileSync("pngquant", ["--force", "--strip", "--speed", "1", "--output", path, path]);
}

describe.skipIf(lacks("chromium", "pngquant"))("the pictures of the guide", () => {
  let site: Site;
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
    ({ page } = await look(browser, site.base));
    await enter(page, site.base);
    await button(page, "Start a simulated fleet").click();
    await page.getByText("A simulated fleet runs: 100 devices, cold chain").waitFor();
    await site.ask("PUT", "/connectors/readings", { kind: "file", path: READINGS });
    await site.ask("PUT", "/rules/too-warm", {
      description: "Boxes that are too warm",
      sql: 'SELECT clientid, topic, payload.temperature AS t, timestamp FROM "sim/cold-chain/#" WHERE t > 8',
      actions: [{ kind: "file", connector: "readings" }],
    });
    const here = async (): Promise<number> =>
      (await site.ask<{ count: number }>("GET", "/clients?prefix=sim-&count=true&limit=1")).count;
    while ((await here()) < 100) await new Promise((resolve) => setTimeout(resolve, 1_000));
    await new Promise((resolve) => setTimeout(resolve, LIVED_MS));
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
    rmSync(READINGS, { force: true });
  });

  it("overview", async () => {
    await visit(page, "/");
    await page.locator(".plot canvas").nth(5).waitFor();
    await take(page, "overview");
  });

  it("clients", async () => {
    await visit(page, "/clients");
    await row(page, "sim-").first().waitFor();
    await take(page, "clients");
  });

  it("translation: a message to one that sleeps", async () => {
    const [subscription] = await site.ask<{ filter: string }[]>("GET", `/clients/${BOX}/subscriptions`);
    const topic = subscription!.filter;
    const asleep = async (): Promise<boolean> =>
      (await site.ask<{ state: string }>("GET", `/clients/${BOX}`)).state === "asleep";
    while (!(await asleep())) await new Promise((resolve) => setTimeout(resolve, 100));
    const { id } = await site.ask<{ id: string }>("POST", "/traces", { topic, seconds: 600 });
    const dispatcher = await mqttClient(site.ports, "dispatcher");
    await dispatcher.publishAsync(topic, '{"every": 20}', { qos: 1 });
    await visit(page, `/translation/${id}`);
    await button(page, new RegExp(`${BOX}.* done`)).waitFor({ timeout: 120_000 });
    await site.ask("POST", `/traces/${id}/stop`);
    await page.getByText("ended: stopped").waitFor();
    await take(page, "translation");
    await dispatcher.endAsync();
  });

  it("an LwM2M device, and a value that it is observed for", async () => {
    await visit(page, "/lwm2m");
    await row(page, "sim-cold-room").first().getByRole("link").first().click();
    await page.locator("figure.clock").waitFor();
    await visit(page, `${new URL(page.url()).pathname}?path=%2F3303%2F0%2F5700`);
    await page.locator(".plot canvas").first().waitFor();
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    await take(page, "lwm2m");
  });

  it("a rule, and a try of it", async () => {
    await visit(page, "/rules/too-warm");
    await button(page, "Run it").waitFor();
    await page.getByLabel("Topic", { exact: true }).fill("sim/cold-chain/lorry-1/box-0004");
    await page.getByLabel("Client id").fill(BOX);
    await page.getByLabel("Payload").fill('{"temperature": 9.5}');
    await button(page, "Run it").click();
    await page.getByRole("heading", { name: "One output" }).waitFor();
    await page
      .getByRole("heading", { name: "Statement and actions" })
      .evaluate((one) => one.scrollIntoView());
    await take(page, "rule");
  });
});
