/** What an operator does by clicks and keys, from the first account to the message that waits for a sleeper. */
import { readFileSync } from "node:fs";
import type { MqttClient } from "mqtt";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { lwm2mRegister, mqttClient, mqttSnDevice } from "./devices.ts";
import { enter, launch, look, type Site, startSite, visit } from "./site.ts";

const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name });
const row = (page: Page, text: string) => page.locator("main tr[data-row]").filter({ hasText: text });
const dialog = (page: Page) => page.locator("dialog[open]");
const told = (page: Page, text: string | RegExp) =>
  page.locator(".notices").getByText(text).first().waitFor();

describe.skipIf(lacks("chromium"))("by clicks", () => {
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
  async function on(path: string, run: (page: Page) => Promise<void>): Promise<void> {
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base);
    await visit(page, path);
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
      expect(page.url()).toContain("prefix=pump");
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

  it("a message to a sleeper is seen waiting, and acknowledged when it wakes, under one cause", () =>
    on("/translation?client=pump-7", async (page) => {
      const sleeper = await mqttSnDevice(site.ports, {
        ...{ id: "pump-7", user: "", topic: "room/7/temp", payload: "21" },
      });
      await sleeper.subscribe("cmd/pump-7/set");
      await sleeper.sleep(600);
      await button(page, "Start").click();
      await page.getByText("recording").first().waitFor();
      const here = new URL(page.url()).pathname;
      await backend.publishAsync("cmd/pump-7/set", '{"rpm":1200}', { qos: 1 });
      await button(page, /pump-7: cmd\/pump-7\/set QoS 1 waits: asleep/).waitFor();
      await visit(page, "/clients/pump-7?gateway=mqtt-sn&tab=waiting");
      await row(page, '{"rpm":1200}').waitFor();
      await sleeper.wake();
      await visit(page, here);
      const done = button(page, /pump-7: cmd\/pump-7\/set QoS 1 done/);
      await done.waitFor();
      const causeOf = async (name: RegExp): Promise<string | undefined> =>
        /cause (\d+)/.exec((await button(page, name).first().getAttribute("aria-label")) ?? "")?.[1];
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
      await page.getByRole("link", { name: "meter-0044" }).click();
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
      await row(page, "api.port").waitFor();
      await button(page, "Read it again").click();
      await dialog(page).getByRole("button", { name: "Read it" }).click();
      await told(page, "Nothing has changed");
    }));

  it("the first account is made with the code from the log; then keys do without a mouse", async () => {
    const { page, wrong, close } = await look(browser, site.base);
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
    const inside = page.getByRole("heading", { name: "Overview" });
    // After a failure the next attempt has to wait.
    while ((await inside.count()) === 0) {
      await fill(site.code);
      await Promise.race([
        inside.waitFor().catch(() => {}),
        page
          .getByText("too many failed attempts")
          .waitFor()
          .catch(() => {}),
      ]);
      await page.waitForTimeout(500);
    }
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
    const answer = await fetch(`${site.base}/api/v1/publish`, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      body: JSON.stringify({ topic: "a", payload: "b" }),
    });
    expect(answer.status).toBe(200);
    await visit(page, "/clients");
    await visit(page, "/access?tab=keys");
    await row(page, "backend").waitFor();
    expect(await page.locator(".secret").count()).toBe(0);
    // A viewer sees what may not be done, and why.
    await visit(page, "/access?tab=users");
    await page.getByLabel("Name").fill("vic");
    await page.getByLabel(/Password/).fill("a sentence that only vic knows");
    await button(page, "Make").click();
    await row(page, "vic").waitFor();
    const other = await look(browser, site.base);
    await other.page.goto(`${site.base}/login?to=/clients`);
    await other.page.getByLabel("Name").fill("vic");
    await other.page.getByLabel("Password").fill("a sentence that only vic knows");
    await other.page.keyboard.press("Enter");
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
