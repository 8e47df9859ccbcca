/** By keys alone (D-125, D-163): each order of each page is carried out, and no mouse is there. */
import type { MqttClient } from "mqtt";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { agree, noMouse, press, tabTo, write } from "./by-keys.ts";
import { mqttClient } from "./devices.ts";
import { lwm2mDevice } from "./lwm2m-device.ts";
import { dialog, enter, launch, look, row, type Site, startSite, told, urlOf, visit } from "./site.ts";

const PASSWORD = "a sentence that only ana knows";

describe.skipIf(lacks("chromium"))("by keys alone", () => {
  let site: Site;
  let browser: Browser;
  let backend: MqttClient;
  const clients: MqttClient[] = [];

  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
  });
  afterAll(async () => {
    for (const client of clients) client.end(true);
    await browser?.close();
    await site?.stop();
  });

  async function on(path: string, run: (page: Page) => Promise<void>): Promise<void> {
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base, path);
    await noMouse(page);
    await run(page);
    expect(wrong).toEqual([]);
    await close();
  }

  /** What the page asks for there is answered when that is said. */
  async function hold(page: Page, url: RegExp) {
    let answer = (): void => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route(url, async (route) => {
      await held;
      await route.continue().catch(() => undefined);
    });
    return { asked: page.waitForRequest(url), answer: () => answer() };
  }

  async function away(id: string): Promise<void> {
    const client = await mqttClient(site.ports, id, { clean: false });
    await client.subscribeAsync(`cmd/${id}`, { qos: 1 });
    await client.endAsync();
    for (const payload of ["one", "two"]) await backend.publishAsync(`cmd/${id}`, payload, { qos: 1 });
  }

  it("a fleet is started on the overview while nobody is there, and stopped", () =>
    on("/", async (page) => {
      await press(page, "main button", "Start a simulated fleet");
      await press(page, ".hint-bar button", "Stop");
      await told(page, "The simulated fleet is gone");
      backend = await mqttClient(site.ports, "backend");
      await backend.subscribeAsync("room/#", { qos: 1 });
      clients.push(backend);
    }));

  it("rows are gone through, opened, traced, chosen from and left by their keys (D-052, D-125)", async () => {
    for (const id of ["row-1", "row-2"]) await away(id);
    await on("/clients?prefix=row-&sort=clientId", async (page) => {
      await row(page, "row-2").waitFor();
      const at = () => page.evaluate("document.activeElement.closest('tr')?.textContent ?? ''");
      await page.keyboard.press("j");
      expect(await at()).toContain("row-1");
      await page.keyboard.press("]");
      expect(await at()).toContain("row-2");
      await page.keyboard.press("[");
      expect(await at()).toContain("row-1");
      await page.keyboard.press("Space");
      await page.getByText("1 selected").waitFor();
      await page.keyboard.press(".");
      await dialog(page).getByRole("button", { name: "translation of row-1" }).waitFor();
      await page.keyboard.press("Escape");
      await dialog(page).waitFor({ state: "detached" });
      expect(await at()).toContain("row-1");
      await page.keyboard.press(".");
      await press(page, "dialog[open] button", "row-1");
      await page.getByRole("heading", { level: 1, name: "row-1" }).waitFor();
      await page.getByRole("tablist").waitFor();
      // Back to the list, and from there to the translation of a row.
      await page.keyboard.press("Escape");
      await row(page, "row-1").waitFor();
      await page.keyboard.press("j");
      await page.keyboard.press("t");
      await page.getByRole("heading", { level: 1, name: "Translation" }).waitFor();
      expect((await urlOf(page)).search).toMatch(/client=/);
      // Of the page, where no row has the focus.
      await visit(page, "/clients/row-2?gateway=mqtt");
      await page.getByRole("tablist").waitFor();
      await page.keyboard.press("t");
      await page.getByRole("heading", { level: 1, name: "Translation" }).waitFor();
      expect((await urlOf(page)).search).toContain("client=row-2");
    });
  });

  it("a table is sorted: its rows stay until the others have come, and focus where it is (D-043)", () =>
    on("/clients?prefix=row-", async (page) => {
      await row(page, "row-2").waitFor();
      const held = await hold(page, /clients\?.*sort=-clientId/);
      await press(page, "main th button", "Client");
      await held.asked;
      expect(await row(page, "row-").count()).toBe(2);
      held.answer();
      await row(page, "row-").first().filter({ hasText: "row-2" }).waitFor();
      expect(await page.evaluate("document.activeElement.textContent")).toBe("Client");
    }));

  it("a table is filtered: its rows stay until the others have come (D-043)", () =>
    on("/changes", async (page) => {
      await row(page, "simulator").first().waitFor();
      const held = await hold(page, /changes\?.*who=/);
      await write(page, "By", "nobody");
      await held.asked;
      expect(await row(page, "simulator").count()).toBeGreaterThan(0);
      held.answer();
      await page.getByText("No change passes these filters").waitFor();
    }));

  it("a trace is started, its rows gone through with their cause, stopped and forgotten", () =>
    on("/translation?topic=room%2F%23", async (page) => {
      await press(page, "main form button[type=submit]", "Start");
      await page.getByText("recording").first().waitFor();
      await backend.publishAsync("room/1", "x", { qos: 1 });
      await page.locator("[data-trace-row]").nth(2).waitFor();
      await press(page, "[data-trace-row]");
      const chosen = () => page.locator("[aria-pressed=true][data-trace-row]").getAttribute("data-trace-row");
      const first = await chosen();
      await page.keyboard.press("]");
      await expect.poll(chosen).not.toBe(first);
      await page.keyboard.press("[");
      await expect.poll(chosen).toBe(first);
      await page.keyboard.press("Escape");
      await page.getByRole("complementary").waitFor({ state: "detached" });
      await press(page, "main button", "Stop");
      await told(page, "The trace has stopped");
      await press(page, "main .heading button", "Forget");
      await agree(page);
      await told(page, "The trace is forgotten");
    }));

  it("a client is published to, subscribed, rid of a subscription and of a message, kicked, banned and cleared", async () => {
    await away("held");
    await on("/clients/held?gateway=mqtt&tab=waiting", async (page) => {
      await row(page, "one").waitFor();
      await press(page, "main td button", "Delete");
      await agree(page);
      await row(page, "one").waitFor({ state: "detached" });
      await press(page, "main .heading button", "Publish to it");
      await tabTo(page, "main textarea");
      await page.keyboard.type("three");
      await press(page, "main form button[type=submit]", "Publish");
      await row(page, "three").waitFor();
      await visit(page, "/clients/held?gateway=mqtt&tab=subscriptions");
      await row(page, "cmd/held").waitFor();
      await write(page, "Subscribe it to", "more/#");
      await page.keyboard.press("Enter");
      await row(page, "more/#").waitFor();
      await press(page, "main td button", "End");
      await agree(page);
      await row(page, "cmd/held").waitFor({ state: "detached" });
      await press(page, "main .heading button", "Ban");
      await agree(page);
      await told(page, "Banned");
      await press(page, "main .heading button", "Clear session");
      await agree(page);
      await told(page, "Its session is cleared");
    });
    const client = await mqttClient(site.ports, "kicked");
    clients.push(client);
    const gone = new Promise<void>((resolve) => client.once("close", () => resolve()));
    await on("/clients?prefix=kicked", async (page) => {
      await row(page, "kicked").waitFor();
      await page.keyboard.press("j");
      await page.keyboard.press("Space");
      await press(page, "main button", "Kick");
      await agree(page);
      await gone;
    });
  });

  it("a message is published and heard by hand, and what is retained is cleared", () =>
    on("/messages", async (page) => {
      await write(page, "Topic filter", "by/#");
      await page.keyboard.press("Enter");
      await page.getByText(/^\d+(\.\d)?\/s$/).waitFor();
      await write(page, "Topic", "by/keys");
      await tabTo(page, "main textarea");
      await page.keyboard.type("heard");
      await tabTo(page, "main input[type=checkbox]");
      await page.keyboard.press("Space");
      await press(page, "main form button[type=submit]", "Publish");
      await page.locator(".arrived").getByText("by/keys").waitFor();
      await press(page, "main .chips button");
      await page.getByText("Subscribed to nothing yet").waitFor();
      await visit(page, "/topics?topic=by%2Fkeys");
      await press(page, "main button", "Clear retained");
      await agree(page);
      await expect.poll(() => site.ask("GET", "/retained?filter=by%2F%23")).toMatchObject({ items: [] });
    }));

  it("an LwM2M device is read, written to, observed and executed", async () => {
    const device = await lwm2mDevice(site.ports, "meter-1", { values: { "/3/0/0": "ACME", "/3/0/14": "Z" } });
    await on("/lwm2m/meter-1?path=%2F3%2F0%2F0", async (page) => {
      await press(page, "main button", "Read");
      await page.locator(".last-value").getByText("ACME").waitFor();
      await press(page, "main button", /^Observe$/);
      await page.getByRole("button", { name: "End observing" }).waitFor();
      await visit(page, "/lwm2m/meter-1?path=%2F3%2F0%2F14");
      await tabTo(page, "main .part form input");
      await page.keyboard.press("Control+a");
      await page.keyboard.type("+01:00");
      await press(page, "main button", "Write");
      await expect.poll(() => device.values.get("/3/0/14")).toMatch(/\+01:00$/);
      await visit(page, "/lwm2m/meter-1?path=%2F3%2F0%2F4");
      await press(page, "main button", "Execute");
      await agree(page);
      await expect.poll(() => device.asked.includes("POST /3/0/4")).toBe(true);
    });
    device.close();
  });

  it("listeners are closed and opened, gateways stopped, started and restarted", () =>
    on("/gateways", async (page) => {
      const runs = async (): Promise<boolean | undefined> =>
        (await site.ask<{ name: string; running: boolean }[]>("GET", "/gateways")).find(
          ({ name }) => name === "stomp",
        )?.running;
      await press(page, `main button[title="close stomp tcp"]`);
      await agree(page);
      await page.locator(`main button[title="open stomp tcp"]`).waitFor();
      await press(page, `main button[title="open stomp tcp"]`);
      await page.locator(`main button[title="close stomp tcp"]`).waitFor();
      await press(page, `main .part:has(button[title$="stomp tcp"]) > header button`, "Stop");
      await agree(page);
      await expect.poll(runs).toBe(false);
      await press(page, `main .part:has(button[title$="stomp tcp"]) > header button`, "Start");
      await expect.poll(runs).toBe(true);
    }));

  it("a key of the configuration is tried, changed and taken back", () =>
    on("/config?key=log.level", async (page) => {
      await press(page, `main button[title="change log.level"]`);
      await dialog(page).waitFor();
      await write(page, "Value", "warn");
      await press(page, "dialog[open] button", "Try it");
      await dialog(page).getByText("at once").waitFor();
      await press(page, "dialog[open] button", "Apply");
      await dialog(page).waitFor({ state: "detached" });
      await press(page, "main button", "Take back");
      await agree(page);
      await page.locator(`main button[title="take back log.level"]`).waitFor({ state: "detached" });
    }));

  it("a rule is tried, made, rested and deleted", () =>
    on("/rules?make=rule", async (page) => {
      await write(page, "Name", "by-keys");
      await press(page, "main button", "Try it");
      await press(page, "main button", "Apply");
      await page.getByRole("heading", { level: 1, name: "by-keys" }).waitFor();
      await press(page, "main .heading button", "Let it rest");
      await page.getByText("rests").first().waitFor();
      await press(page, "main .heading button", "Delete");
      await agree(page);
      await page.getByRole("heading", { level: 1, name: "Rules" }).waitFor();
    }));

  it("the first account is made with the code from the log, a user and a key too, and somebody signs out", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.goto(site.base);
    await write(page, "Code from the log", site.code);
    await write(page, "Name of the first administrator", "ana");
    await write(page, "Password", PASSWORD);
    await write(page, "Password again", PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await visit(page, "/access");
    await write(page, "Name", "ben");
    await write(page, "Password (12 characters at least)", "a sentence that only ben knows");
    await page.keyboard.press("Enter");
    await row(page, "ben").waitFor();
    await press(page, `main button[title="remove ben"]`);
    await agree(page);
    await row(page, "ben").waitFor({ state: "detached" });
    await visit(page, "/access?tab=keys");
    await write(page, "What for", "backend");
    await page.keyboard.press("Enter");
    await page.locator(".secret code").waitFor();
    await press(page, ".user button");
    await press(page, ".user-menu button", "Sign out");
    await page.getByRole("button", { name: "Sign in" }).waitFor();
    expect(wrong).toEqual([]);
    await close();
  });
});
