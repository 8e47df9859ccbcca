/** What an operator does by clicks and keys, from the first account to the message that waits for a sleeper. */
import { readFileSync } from "node:fs";
import type { MqttClient } from "mqtt";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { lwm2mRegister, mqttClient, mqttSnDevice } from "./devices.ts";
import { FEEDS, passUntil } from "./feeds.ts";
import {
  button,
  CLICKED,
  dialog,
  enter,
  launch,
  look,
  row,
  type Site,
  startSite,
  textOf,
  told,
  urlOf,
  visit,
} from "./site.ts";

/** After a failure the next attempts have to wait: tries again until the node takes one. */
async function untilTaken(page: Page, path: string, attempt: () => Promise<void>): Promise<void> {
  for (;;) {
    const answered = page.waitForResponse(
      (answer) => answer.request().method() === "POST" && answer.url().endsWith(path),
    );
    await attempt();
    if ((await answered).ok()) return;
    await page.waitForTimeout(500);
  }
}

describe.skipIf(lacks("chromium")).each(CLICKED)("by clicks, at $name", ({ name: _, ...view }) => {
  let site: Site;
  let browser: Browser;
  let backend: MqttClient;

  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
    backend = await mqttClient(site.ports, "backend", { clean: false });
    await backend.subscribeAsync("room/#", { qos: 1 });
  });
  afterAll(async () => {
    backend?.end(true);
    await browser?.close();
    await site?.stop();
  });

  /** On a page, as this machine; and nothing may have gone wrong at the end. */
  async function on(path: string, run: (page: Page) => Promise<void>, fed = false): Promise<void> {
    const { page, wrong, close } = await look(browser, site.base, view);
    if (fed) await page.addInitScript(FEEDS);
    await enter(page, site.base, path);
    await run(page);
    expect(wrong).toEqual([]);
    await close();
  }

  it("clients are filtered by words that stand above the table, and kicked after a question", () =>
    on("/clients", async (page) => {
      const other = await mqttClient(site.ports, "pump-1");
      const gone = new Promise<void>((resolve) => other.once("close", () => resolve()));
      await page.getByLabel("add a filter").fill("id:pump* gateway:mqtt");
      await button(page, "Add").click();
      await button(page, /remove the filter begins with pump/).waitFor();
      await row(page, "pump-1").waitFor();
      await row(page, "backend").waitFor({ state: "detached" });
      expect((await urlOf(page)).search).toContain("prefix=pump");
      // What is downloaded is what is seen.
      expect(await page.getByRole("link", { name: "CSV" }).getAttribute("href")).toMatch(
        /clients\.csv\?.*prefix=pump/,
      );
      await page.getByLabel("add a filter").fill("colour:red");
      await button(page, "Add").click();
      await page.getByText('"colour" is no filter').waitFor();
      await row(page, "pump-1").getByRole("checkbox").check();
      await button(page, "Kick").click();
      await dialog(page).getByText("sessions live on by their expiry").waitFor();
      await dialog(page).getByRole("button", { name: "Leave it" }).click();
      await button(page, "Kick").click();
      await dialog(page).getByRole("button", { name: "Kick" }).click();
      await told(page, "1 kicked");
      await gone;
    }));

  it("a list that is read stands still: who comes is announced, and shown when that is asked for (D-047)", () =>
    on(
      "/clients?prefix=comes",
      async (page) => {
        await page.getByText("No client passes these filters").waitFor();
        const first = await mqttClient(site.ports, "comes-b");
        await passUntil(page, row(page, "comes-b"));
        const second = await mqttClient(site.ports, "comes-a", { keepalive: 10 });
        await passUntil(page, button(page, "2 changed: show them"));
        expect(await row(page, "comes-a").count()).toBe(0);
        await button(page, "2 changed: show them").click();
        await row(page, "comes-a").waitFor();
        for (const client of [first, second]) client.end(true);
      },
      true,
    ));

  it("a message to a sleeper is seen waiting, and acknowledged when it wakes, under one cause", () =>
    on("/translation?client=pump-7", async (page) => {
      const sleeper = await mqttSnDevice(site.ports, {
        ...{ id: "pump-7", user: "", topic: "room/7/temp", payload: "21" },
      });
      await sleeper.subscribe("cmd/pump-7/set");
      await sleeper.sleep(600);
      await button(page, "Start").click();
      await page.getByText("recording").first().waitFor();
      const here = (await urlOf(page)).pathname;
      await backend.publishAsync("cmd/pump-7/set", '{"rpm":1200}', { qos: 1 });
      await button(page, /pump-7: cmd\/pump-7\/set QoS 1 waits: asleep/).waitFor();
      await visit(page, "/clients/pump-7?gateway=mqtt-sn&tab=waiting");
      await row(page, '{"rpm":1200}').waitFor();
      await sleeper.wake();
      await visit(page, here);
      const done = button(page, /pump-7: cmd\/pump-7\/set QoS 1 done/);
      await done.waitFor();
      const causeOf = async (name: RegExp): Promise<string | undefined> =>
        /cause (\d+)/.exec(await textOf(button(page, name).first()))?.[1];
      const begun = await causeOf(/bus cmd\/pump-7\/set QoS 1 by client/);
      expect(await causeOf(/set QoS 1 waits/)).toBe(begun);
      expect(await causeOf(/set QoS 1 given, waited|set QoS 1 given/)).toBeDefined();
      await done.click();
      await page.getByRole("complementary").getByText("cmd/pump-7/set").first().waitFor();
      const [file] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("link", { name: "pcapng" }).click(),
      ]);
      // The block type of a section header (pcapng §4.1).
      expect(readFileSync(await file.path()).readUInt32LE(0)).toBe(0x0a0d0d0a);
      await button(page, "Forget").click();
      await dialog(page).getByRole("button", { name: "Forget it" }).click();
      await page.getByRole("heading", { name: "Translation" }).waitFor();
      sleeper.close();
    }));

  it("a message published by hand is said to have been accepted, refused, or to be no JSON", () =>
    on("/messages?filter=room%2F%23", async (page) => {
      await page.getByText(/^\d+(\.\d)?\/s$/).waitFor();
      await page.getByLabel("Topic", { exact: true }).fill("room/9/light");
      await page.getByLabel("Payload").fill("on");
      await button(page, "Publish").click();
      await page.locator("output.ok").waitFor();
      await page.locator(".arrived").getByText("room/9/light").waitFor();
      await page.getByLabel("Topic", { exact: true }).fill("$SYS/x");
      await button(page, "Publish").click();
      await page.locator("main [role=alert]").waitFor();
      await page
        .locator("label.field", { has: page.getByText("As", { exact: true }) })
        .locator("select")
        .selectOption("JSON");
      await page.getByLabel("Payload").fill("{");
      await button(page, "Publish").click();
      await page.locator(".bad-text").waitFor();
    }));

  it("topics are opened level by level, and what is retained is cleared", () =>
    on("/topics", async (page) => {
      await backend.publishAsync("house/1/2/3/temp", "21.5", { retain: true, qos: 1 });
      for (const level of ["house", "house/1", "house/1/2", "house/1/2/3"])
        await button(page, `open ${level}, 1 topics below`).click();
      await page.locator(".level-row .name").filter({ hasText: "temp" }).click();
      await page.locator(".last-value").filter({ hasText: "21.5" }).waitFor();
      await button(page, "Clear retained").click();
      await dialog(page).getByRole("button", { name: "Clear it" }).click();
      await told(page, "The retained message is cleared");
    }));

  it("an LwM2M device is shown with names, and a wrong value is not sent", async () => {
    await lwm2mRegister(site.ports, "meter-0044");
    await on("/lwm2m", async (page) => {
      await page.getByRole("link", { name: "meter-0044", exact: true }).click();
      await page.getByText("unknown object").waitFor();
      await button(page, "open /1").click();
      await page.locator(".level-row .name").filter({ hasText: "Lifetime" }).click();
      await page.getByLabel(/New value/).fill("much");
      await page.getByText("a whole number is needed").waitFor();
      expect(await button(page, "Write").getAttribute("aria-disabled")).toBe("true");
    });
  });

  it("a listener is closed and opened again, a ban made and lifted, the configuration read again", () =>
    on("/gateways", async (page) => {
      await button(page, "close stomp tcp").click();
      await dialog(page).getByRole("button", { name: "Close it" }).click();
      await button(page, "open stomp tcp").click();
      await told(page, "stomp tcp is open");
      await visit(page, "/bans");
      await page.getByRole("textbox", { name: "client id" }).fill("intruder");
      await page.locator("form").getByRole("button", { name: "Ban" }).click();
      await row(page, "intruder").getByRole("button").click();
      await dialog(page).getByRole("button", { name: "Lift it" }).click();
      await told(page, "The ban is lifted");
      await visit(page, "/changes");
      await row(page, "ban").first().waitFor();
      await visit(page, "/config?key=api.port");
      await row(page, "api.port").first().waitFor();
      await button(page, "Read it again").click();
      await dialog(page).getByRole("button", { name: "Read it" }).click();
      await told(page, "Nothing has changed");
    }));

  it("a key of the configuration is refused, tried, changed and taken back, and Changes shows it", () =>
    on("/config?key=log.level", async (page) => {
      await button(page, "change log.level").click();
      await page.getByLabel("Value").fill("loud");
      await dialog(page).getByRole("button", { name: "Try it" }).click();
      await dialog(page).getByText("one of trace, debug").first().waitFor();
      await page.getByLabel("Value").fill("error");
      await dialog(page).getByRole("button", { name: "Try it" }).click();
      await dialog(page).getByText("at once").waitFor();
      const { items } = await site.ask<{ items: { key: string; value: unknown }[] }>(
        "GET",
        "/config?key=log.level",
      );
      expect(items.find(({ key }) => key === "log.level")?.value).not.toBe("error");
      await dialog(page).getByRole("button", { name: "Apply" }).click();
      await told(page, "log.level is changed");
      await row(page, "error").first().waitFor();
      await visit(page, "/changes");
      await row(page, "config").first().waitFor();
      await visit(page, "/config?key=log.level");
      await button(page, "take back log.level").click();
      await dialog(page).getByRole("button", { name: "Take it back" }).click();
      await told(page, "Taken back");
      await button(page, "take back log.level").waitFor({ state: "detached" });
    }));

  it("the first account is made with the code from the log; then keys do without a mouse", async () => {
    const { page, wrong, close } = await look(browser, site.base, view);
    await page.goto(`${site.base}/clients`);
    await page.getByRole("heading", { name: "First run" }).waitFor();
    const password = "a sentence that only ana knows";
    const fill = async (code: string): Promise<void> => {
      await page.getByLabel("Code from the log").fill(code);
      await page.getByLabel("Name of the first").fill("ana");
      await page.getByLabel("Password", { exact: false }).first().fill(password);
      await page.getByLabel("Password again").fill(password);
      await page.keyboard.press("Enter");
    };
    await fill("AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA");
    await page.getByText("the code is not the one that the log shows").waitFor();
    await untilTaken(page, "/setup", () => fill(site.code));
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.locator("body").press("g");
    await page.locator("body").press("c");
    await page.getByRole("heading", { name: "Clients" }).waitFor();
    await row(page, "backend").waitFor();
    await page.locator("body").press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("tablist").waitFor();
    await page.locator("body").press("?");
    await dialog(page).getByRole("heading", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await dialog(page).waitFor({ state: "detached" });
    // A key is shown once, and works.
    await visit(page, "/access?tab=keys");
    await page.getByLabel("What for").fill("backend");
    await button(page, "Make").click();
    const secret = await page.locator(".secret code").textContent();
    const byKey = (): Promise<Response> =>
      fetch(`${site.base}/api/v1/publish`, {
        method: "POST",
        headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
        body: JSON.stringify({ topic: "a", payload: "b" }),
      });
    expect((await byKey()).status).toBe(200);
    await visit(page, "/clients");
    await visit(page, "/access?tab=keys");
    await row(page, "backend").waitFor();
    expect(await page.locator(".secret").count()).toBe(0);
    await row(page, "backend").getByRole("button").click();
    await dialog(page).locator("button[type=submit]").click();
    await row(page, "backend").waitFor({ state: "detached" });
    expect((await byKey()).status).toBe(401);
    // A viewer sees what may not be done, and why.
    await visit(page, "/access?tab=users");
    await page.getByLabel("Name").fill("vic");
    await page.getByLabel(/Password/).fill("a sentence that only vic knows");
    await button(page, "Make").click();
    await row(page, "vic").waitFor();
    const other = await look(browser, site.base, view);
    await other.page.goto(`${site.base}/login?to=/clients`);
    await other.page.getByLabel("Name").fill("vic");
    await other.page.getByLabel("Password").fill("a sentence that vic does not know");
    await other.page.keyboard.press("Enter");
    await other.page.locator(".failed").waitFor();
    await untilTaken(other.page, "/session", async () => {
      await other.page.getByLabel("Password").fill("a sentence that only vic knows");
      await other.page.keyboard.press("Enter");
    });
    await row(other.page, "backend").waitFor();
    expect(await button(other.page, "Kick").getAttribute("aria-disabled")).toBe("true");
    expect(await button(other.page, "Kick").getAttribute("title")).toBe("needs the role operator");
    await visit(other.page, "/access?tab=users");
    await other.page.getByText("need the role administrator").waitFor();
    // Signing out in one tab ends the other.
    const second = await other.page.context().newPage();
    await second.goto(`${site.base}/about`);
    await second.getByRole("button", { name: /^vic/ }).click();
    await second.getByRole("button", { name: "Sign out", exact: true }).click();
    await second.getByRole("heading", { name: "Sign in" }).waitFor();
    await other.page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect([...wrong, ...other.wrong]).toEqual([]);
    await other.close();
    await close();
  });
});
