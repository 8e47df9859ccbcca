/** The page of what is upstream, with sessions at a broker of somebody else. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { type Server, startMosquitto } from "../support/servers.ts";
import { agree, noMouse, press } from "./by-keys.ts";
import { mqttClient } from "./devices.ts";
import { button, CLICKED, dialog, enter, launch, look, row, type Site, startSite, told } from "./site.ts";

describe.skipIf(lacks("chromium", "mosquitto"))("before a mosquitto", () => {
  let site: Site;
  let browser: Browser;
  let broker: Server;
  let spare: Server;
  beforeAll(async () => {
    [broker, spare] = await Promise.all([startMosquitto(), startMosquitto()]);
    const servers = [broker, spare]
      .map(({ port }, priority) => `{ url: "tcp://127.0.0.1:${port}", priority: ${priority} }`)
      .join(", ");
    [site, browser] = await Promise.all([
      startSite(`bus:
  engine: upstream
  upstream:
    groups: { default: { servers: [${servers}], balance: primary-backup } }
    routes: [{ id: meters, clientId: "meter-*", group: default }]`),
      launch(),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
    await broker?.stop();
    await spare?.stop();
  });

  it.each(CLICKED)(
    "servers are seen with their sessions, drained and taken back; one that is gone says why, at $name",
    async ({ name: _, ...view }) => {
      const client = await mqttClient(site.ports, "meter-1");
      const { page, wrong, close } = await look(browser, site.base, view);
      await enter(page, site.base, "/upstream");
      const first = row(page, `127.0.0.1:${broker.port}`);
      await first.filter({ hasText: "well" }).waitFor();
      await first
        .locator("td[data-title=Sessions]")
        .getByText(/^[1-9]/)
        .waitFor();
      await row(page, "meters").filter({ hasText: "the configuration" }).waitFor();
      await button(page, `drain tcp://127.0.0.1:${broker.port}`).click();
      await dialog(page)
        .getByText(/its [1-9]\d* sessions move away/)
        .waitFor();
      await dialog(page).getByRole("button", { name: "Drain" }).click();
      await told(page, "The server drains");
      await first.filter({ hasText: "draining" }).waitFor();
      await row(page, `127.0.0.1:${spare.port}`)
        .locator("td[data-title=Sessions]")
        .getByText(/^[1-9]/)
        .waitFor();
      await button(page, "Take back").click();
      await told(page, "Sessions may go there again");
      await first.filter({ hasText: "draining" }).waitFor({ state: "detached" });
      client.end(true);
      expect(wrong).toEqual([]);
      await close();
    },
  );

  it.each(CLICKED)(
    "a message that waits is the broker's: nobody deletes it here, the API says 409 and the page why, at $name",
    async ({ name: _, ...view }) => {
      const client = await mqttClient(site.ports, "meter-stuck");
      // As a device that fails at a message: it never acknowledges it.
      client.handleMessage = () => {};
      await client.subscribeAsync("stuck/#", { qos: 1 });
      await site.ask("POST", "/publish", { topic: "stuck/x", payload: "poison", qos: 1 });
      const { page, wrong, close } = await look(browser, site.base, view);
      await enter(page, site.base, "/clients/meter-stuck?gateway=mqtt&tab=waiting");
      await page.getByText("What waits for it is at a server of the cluster").waitFor();
      const listed = { id: "1-0", topic: "stuck/x", bytes: 6, qos: 1, retain: false, stage: "handed-out" };
      await page.route("**/clients/meter-stuck/waiting?*", (route) =>
        route.fulfill({ json: [{ ...listed, from: "", publishedAt: new Date().toISOString() }] }),
      );
      await button(page, /^delete message 1/).click();
      await dialog(page).getByRole("button", { name: "Disconnect and delete" }).click();
      const why = "its messages wait at a server of the cluster, where they cannot be deleted";
      await dialog(page).getByText(why).waitFor();
      await dialog(page).getByText("conflict (409)").waitFor();
      await dialog(page).getByRole("button", { name: "Leave it" }).click();
      await row(page, "stuck/x").waitFor();
      const refused = site.ask("DELETE", "/clients/meter-stuck/waiting/1-0?gateway=mqtt&disconnect=true");
      await expect(refused).rejects.toThrow(new RegExp(`409 .*"code":"conflict".*${why}`));
      // Refused before anything was done: the client is still there.
      expect(await site.ask("GET", "/clients/meter-stuck?gateway=mqtt")).toMatchObject({ state: "awake" });
      client.end(true);
      expect(wrong).toEqual([]);
      await close();
    },
  );

  it("by keys alone a server is drained and taken back, and a route that was made here is ended (D-163)", async () => {
    await site.ask("PUT", "/upstream/routes/guests", { clientId: "guest-*", group: "default" });
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base, "/upstream");
    await noMouse(page);
    const first = row(page, `127.0.0.1:${broker.port}`);
    await first.waitFor();
    await press(page, `main button[title="drain tcp://127.0.0.1:${broker.port}"]`);
    await agree(page);
    await first.filter({ hasText: "draining" }).waitFor();
    await press(page, "main td button", "Take back");
    await first.filter({ hasText: "draining" }).waitFor({ state: "detached" });
    await press(page, `main button[title="end the route guests"]`);
    await agree(page);
    await row(page, "guests").waitFor({ state: "detached" });
    expect(wrong).toEqual([]);
    await close();
  });

  it("a server that is gone shows why, and that nobody is sent there", async () => {
    const { page, close } = await look(browser, site.base);
    await enter(page, site.base, "/upstream");
    await row(page, `127.0.0.1:${broker.port}`).waitFor();
    await broker.kill();
    await spare.kill();
    const tries = await Promise.allSettled(
      Array.from({ length: 8 }, (_one, number) =>
        mqttClient(site.ports, `late-${number}`, { connectTimeout: 2_000 }),
      ),
    );
    await row(page, `127.0.0.1:${broker.port}`)
      .locator("td[data-title='Last failure']")
      .getByText(/refused|closed|reset|ended/i)
      .first()
      .waitFor();
    for (const one of tries) if (one.status === "fulfilled") one.value.end(true);
    await close();
  });
});
