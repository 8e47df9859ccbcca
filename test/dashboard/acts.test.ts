/** What operators come for (D-161): who was refused and why, what waits, what an LwM2M device is asked, updates, topics. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MqttClient } from "mqtt";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { coapPublish, mqttClient, mqttSnDevice } from "./devices.ts";
import { FEEDS, pass } from "./feeds.ts";
import { lwm2mDevice } from "./lwm2m-device.ts";
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

const MANY = 10_000;

describe.skipIf(lacks("chromium", "tshark")).each(CLICKED)("by clicks, at $name", ({ name: _, ...view }) => {
  let site: Site;
  let browser: Browser;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-firmware-"));
    writeFileSync(join(folder, "v2.bin"), Buffer.alloc(3_000, 7));
    [site, browser] = await Promise.all([
      startSite(`  lwm2m: { firmware: { folder: ${folder} }, queueMode: { awake: 1s } }`),
      launch(),
    ]);
    await site.ask("PATCH", "/config", { gateways: { "mqtt-sn": { retryInterval: "300ms" } } });
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function on(path: string, run: (page: Page) => Promise<void>, fed = false): Promise<void> {
    const { page, wrong, close } = await look(browser, site.base, view);
    if (fed) await page.addInitScript(FEEDS);
    await enter(page, site.base, path);
    await run(page);
    expect(wrong).toEqual([]);
    await close();
  }

  it("clients: the sort and the place are kept on the way back, text that is selected stays, three are banned at once", async () => {
    // All of them before the list is read: it stands still from then on.
    const lamps = await Promise.all(["lamp-1", "lamp-2", "lamp-3"].map((id) => mqttClient(site.ports, id)));
    const gone = lamps.map((lamp) => new Promise<void>((resolve) => lamp.once("close", () => resolve())));
    const run = async (page: Page): Promise<void> => {
      await row(page, "lamp-2").getByRole("link", { name: "lamp-2", exact: true }).click();
      await page.getByRole("tablist").waitFor();
      for (const tab of [/^Waiting/, /^Subscriptions/, "Live messages", "Protocol", "Session"]) {
        await page.getByRole("tab", { name: tab }).click();
        await page.getByRole("tab", { name: tab, selected: true }).waitFor();
      }
      await page.getByRole("link", { name: "Clients", exact: true }).first().click();
      await page.goBack();
      await page.goBack();
      await row(page, "lamp-1").waitFor();
      expect((await urlOf(page)).search).toContain("sort=-waiting");
      let reads = 0;
      await page.evaluate(
        `getSelection().selectAllChildren(document.querySelector("tr[data-row] td:nth-child(3)"))`,
      );
      const selected = await page.evaluate("String(getSelection())");
      page.on("request", (request) => {
        if (request.url().includes("/clients?")) reads++;
      });
      // The list is read again every two seconds: five have passed, and it was not; without what is selected it is.
      await pass(page, 5);
      await page.locator(".live.live").waitFor({ state: "attached" });
      expect(await page.evaluate("String(getSelection())")).toBe(selected);
      expect(reads).toBe(0);
      await page.evaluate("getSelection().removeAllRanges()");
      await expect
        .poll(async () => {
          await pass(page, 5);
          return reads;
        })
        .toBeGreaterThan(0);
      for (const id of ["lamp-1", "lamp-2", "lamp-3"]) await row(page, id).getByRole("checkbox").check();
      await page.getByText("3 selected").waitFor();
      await button(page, "Ban").click();
      await dialog(page).getByText("lamp-3").waitFor();
      await dialog(page).getByRole("button", { name: "Ban" }).click();
      await told(page, "3 banned");
      await Promise.all(gone);
      await visit(page, "/bans");
      for (const id of ["lamp-1", "lamp-2", "lamp-3"]) await row(page, id).waitFor();
    };
    await on("/clients?prefix=lamp-&sort=-waiting", run, true);
  });

  it("a CoAP PUT waits for a sleeper; REGISTER, an answer that stays away, and what is sent again are under its cause", () =>
    on("/translation?client=pump-7", async (page) => {
      const sleeper = await mqttSnDevice(site.ports, {
        ...{ id: "pump-7", user: "", topic: "room/7/temp", payload: "21" },
      });
      await sleeper.subscribe("cmd/pump-7/#");
      await sleeper.sleep(600);
      await button(page, "Start").click();
      await page.getByText("recording").first().waitFor();
      await coapPublish(site.ports, {
        id: "cam-3",
        user: "",
        topic: "cmd/pump-7/set",
        payload: "1200",
        qos: 1,
      });
      const waits = button(page, /pump-7: cmd\/pump-7\/set QoS 1 waits: asleep/);
      await waits.waitFor();
      await sleeper.wakeLate();
      await button(page, /pump-7: cmd\/pump-7\/set QoS 1 done/).waitFor();
      const causeOf = async (name: RegExp): Promise<string | undefined> =>
        /cause (\d+)/.exec(await textOf(button(page, name).first()))?.[1];
      const cause = await causeOf(/waits: asleep/);
      expect(cause).toBeDefined();
      for (const step of [/REGISTER/, /PUBLISH .*again|again.*PUBLISH/i, /QoS 1 done/])
        expect([String(step), await causeOf(step)]).toEqual([String(step), cause]);
      await button(page, "only trouble").click();
      await expect.poll(() => button(page, /PINGREQ/).count()).toBe(0);
      await button(page, /again/i).first().waitFor();
      const [file] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("link", { name: "pcapng" }).click(),
      ]);
      const seen = execFileSync("tshark", ["-n", "-d", "udp.port==1884,mqttsn", "-r", await file.path()], {
        encoding: "utf8",
      });
      expect(seen).toMatch(/CoAP[\s\S]*MQTT-SN/);

      sleeper.close();
    }));

  it("five hundred messages are a line each, found by their words, and only those in view are drawn (D-065)", async () => {
    const { id } = await site.ask<{ id: string }>("POST", "/traces", { topic: "many/#", seconds: 600 });
    const writer = await mqttClient(site.ports, "many");
    const all = Array.from({ length: 500 }, (_one, number) => writer.publishAsync(`many/${number}`, "x"));
    await Promise.all(all);
    await on(`/translation/${id}`, async (page) => {
      // A message and where it went: two rows each, or more.
      await expect
        .poll(async () => (await page.locator(".filters").textContent()) ?? "", { timeout: 60_000 })
        .toMatch(/of [1-9],?\d{3} rows/);
      const lines = page.locator(".rows ol > li");
      expect(await lines.count()).toBeLessThan(60);
      expect(await button(page, "one line a cause").getAttribute("aria-pressed")).toBe("true");
      await page.getByLabel("Find").fill("many/499");
      await expect.poll(() => lines.count()).toBeLessThan(10);
      await lines.filter({ hasText: "many/499" }).first().waitFor();
      await page.getByLabel("Find").fill("");
      await button(page, "only trouble").click();
      await page.getByText(/^0 of /).waitFor();
    });
    writer.end(true);
  });

  it("an LwM2M device is read, written to by its definition, observed and executed", async () => {
    const device = await lwm2mDevice(site.ports, "meter-1", {
      values: { "/3/0/0": "ACME", "/3303/0/5700": "21.5" },
    });
    await on("/lwm2m/meter-1?path=%2F3%2F0%2F0", async (page) => {
      await button(page, "Read").click();
      await page.locator(".last-value").getByText("ACME").waitFor();
      await page.locator(".log li").filter({ hasText: "read" }).filter({ hasText: "2.05" }).waitFor();
      await visit(page, "/lwm2m/meter-1?path=%2F3%2F0%2F14");
      await page.getByLabel(/New value/).fill("+01:00");
      await button(page, "Write").click();
      await page.locator(".log li").filter({ hasText: "write" }).filter({ hasText: "2.04" }).waitFor();
      expect(device.values.get("/3/0/14")).toMatch(/\+01:00$/);
      await visit(page, "/lwm2m/meter-1?path=%2F3303%2F0%2F5700");
      await button(page, "Observe").click();
      await button(page, "End observing").waitFor();
      device.values.set("/3303/0/5700", "22.25");
      device.notify("/3303/0/5700");
      await page.locator(".last-value").getByText("22.25").waitFor();
      await visit(page, "/lwm2m/meter-1?path=%2F3%2F0%2F4");
      await button(page, "Execute").click();
      await dialog(page).getByText("The device executes /3/0/4").waitFor();
      expect(device.asked).not.toContain("POST /3/0/4");
      await dialog(page).getByRole("button", { name: "Execute" }).click();
      await page.locator(".log li").filter({ hasText: "execute" }).filter({ hasText: "2.04" }).waitFor();
      expect(device.asked).toContain("POST /3/0/4");
    });
    device.close();
  });

  it("a request to an LwM2M device that sleeps waits, and changes in place when it was answered (D-073)", async () => {
    const device = await lwm2mDevice(site.ports, "leak-1", {
      ...{ binding: "UQ", values: { "/3/0/0": "ACME" } },
    });
    await on("/lwm2m/leak-1?path=%2F3%2F0%2F0", async (page) => {
      device.sleep();
      await page.locator(".heading").getByText("asleep").waitFor();
      await button(page, "Read").click();
      const request = page.locator(".log li").filter({ hasText: "read" });
      await request.filter({ hasText: "waits" }).waitFor();
      await device.wake();
      await request.filter({ hasText: "2.05" }).waitFor();
      expect(await request.count()).toBe(1);
      await page.locator(".last-value").getByText("ACME").waitFor();
    });
    device.close();
  });

  it("new firmware is ordered after a question, followed step by step to its end, and a package that is not there refused", async () => {
    const device = await lwm2mDevice(site.ports, "valve-1");
    await on("/firmware?device=valve-1", async (page) => {
      const order = async (file: string): Promise<void> => {
        await page.getByLabel("Package in firmware.folder").fill(file);
        await button(page, "Order").click();
        await dialog(page).getByText(file).waitFor();
        await dialog(page).getByRole("button", { name: "Order it" }).click();
      };
      await order("v3.bin");
      await dialog(page).locator(".failed").waitFor();
      await dialog(page).getByRole("button", { name: "Leave it" }).click();
      await order("v2.bin");
      await told(page, "The update is ordered");
      await expect.poll(() => device.asked.includes("POST /5/0/2"), { timeout: 60_000 }).toBe(true);
      expect(device.firmware).toBe(3_000);
      await page.locator("ol.log li").filter({ hasText: "downloaded" }).first().waitFor();
      device.updated();
      await row(page, "valve-1").filter({ hasText: "success" }).filter({ hasText: "100 %" }).waitFor();
      await expect.poll(() => page.getByRole("progressbar").getAttribute("value")).toBe("100");
    });
    device.close();
  });

  it("six levels of topics are opened; of ten thousand below one a thousand are shown, and clearing them asks for their number", () =>
    on("/topics", async (page) => {
      const writer: MqttClient = await mqttClient(site.ports, "writer");
      const temp = "house/1/2/3/4/temp";
      await writer.publishAsync(temp, "21.5", { qos: 1, retain: true });
      const all: Promise<unknown>[] = [];
      for (let number = 0; number < MANY; number++)
        all.push(writer.publishAsync(`meters/${number}`, "1", { qos: 0, retain: true }));
      await Promise.all(all);
      await writer.publishAsync("meters/last", "1", { qos: 1, retain: true });
      for (const level of ["house", "house/1", "house/1/2", "house/1/2/3", "house/1/2/3/4"])
        await button(page, `open ${level}, 1 topics below`).click();
      await page.locator(".level-row .name").filter({ hasText: "temp" }).click();
      await page.locator(".last-value").filter({ hasText: "21.5" }).waitFor();
      await page.locator(".level-row .name").filter({ hasText: "meters" }).click();
      await button(page, /^open meters, /).click();
      await button(page, /^meters\/\d+ has nothing below/)
        .nth(199)
        .waitFor();
      await button(page, "more").first().click();
      await button(page, /^meters\/\d+ has nothing below/)
        .nth(399)
        .waitFor();
      await button(page, "Clear all below").click();
      const clear = dialog(page).getByRole("button", { name: "Clear them" });
      await dialog(page)
        .getByText(/10,0\d\d.* topics below/)
        .waitFor();
      expect(await clear.getAttribute("aria-disabled")).toBe("true");
      const label =
        (await dialog(page)
          .getByText(/^Type \d+ to go on/)
          .textContent()) ?? "";
      await dialog(page).getByLabel(/^Type/).fill(/\d+/.exec(label)![0]);
      await clear.click();
      await told(page, /10,0\d\d retained messages are cleared/);
      expect(await site.ask("GET", "/retained?filter=meters/%23")).toMatchObject({ items: [] });
      writer.end(true);
    }));

  it("a message by hand to nobody, and one to a client that is away, say which it was", () =>
    on("/messages", async (page) => {
      const away = await mqttClient(site.ports, "away-1", { clean: false });
      await away.subscribeAsync("cmd/away-1", { qos: 1 });
      await away.endAsync();
      const publish = async (topic: string): Promise<void> => {
        await page.getByLabel("Topic", { exact: true }).fill(topic);
        await button(page, "Publish").click();
      };
      await publish("nobody/hears");
      await page
        .locator("output")
        .getByText(/nobody is subscribed/i)
        .waitFor();
      await publish("cmd/away-1");
      await page
        .locator("output")
        .getByText(/1 .*wait/)
        .waitFor();
      await visit(page, "/clients/away-1?gateway=mqtt&tab=waiting");
      await row(page, "cmd/away-1").waitFor();
      await button(page, /^delete message 1/).click();
      await dialog(page).getByText("it never reaches this client").waitFor();
      await dialog(page).getByRole("button", { name: "Delete" }).click();
      await told(page, "Deleted");
      await page.getByText("Nothing waits for it.").waitFor();
    }));
});
