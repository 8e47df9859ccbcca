/**
 * By keys alone (D-163), the orders that are given seldom: of refusals, alarms, logins, connectors, gateways, accounts, and
 * of LwM2M devices.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { agree, choose, noMouse, press, tabTo, write } from "./by-keys.ts";
import { mqttClient } from "./devices.ts";
import { type HandDevice, lwm2mDevice, WITH_SENML } from "./lwm2m-device.ts";
import { dialog, enter, launch, look, row, type Site, startSite, told, visit } from "./site.ts";

const PASSWORD = "a sentence that only ana knows";

describe.skipIf(lacks("chromium"))("by keys alone", () => {
  let site: Site;
  let browser: Browser;
  let folder: string;
  let sink: Server;
  let sinkUrl: string;
  const devices: HandDevice[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-by-keys-"));
    writeFileSync(join(folder, "v2.bin"), Buffer.alloc(1_000, 7));
    sink = createServer((request, response) => {
      request.resume();
      response.end();
    });
    await new Promise<void>((resolve) => sink.listen(0, "127.0.0.1", resolve));
    sinkUrl = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`;
    [site, browser] = await Promise.all([
      // Of any memory one part in a hundred is in use.
      startSite(`  lwm2m: { firmware: { folder: ${folder} } }
alarms: { interval: 1s, memory: 0.01 }
authentication: { chains: { ours: { chain: [{ kind: user-list }, { kind: client-id-list }] } } }
authorization: { rules: [{ permission: deny, who: all, action: publish, topics: ["secret/#"] }] }`),
      launch(),
    ]);
  });
  afterAll(async () => {
    for (const device of devices) device.close();
    await browser?.close();
    await site?.stop();
    sink?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function on(path: string, run: (page: Page) => Promise<void>): Promise<void> {
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base, path);
    await noMouse(page);
    await run(page);
    expect(wrong).toEqual([]);
    await close();
  }

  async function device(...[endpoint, options]: [string, Parameters<typeof lwm2mDevice>[2]?]) {
    const made = await lwm2mDevice(site.ports, endpoint, options);
    devices.push(made);
    return made;
  }

  it("who is refused is banned by its address, and the ban is lifted", async () => {
    const writer = await mqttClient(site.ports, "pump-9", { protocolVersion: 5 });
    await writer.publishAsync("secret/x", "1", { qos: 1 }).catch(() => undefined);
    const gone = new Promise<void>((resolve) => writer.once("close", () => resolve()));
    await on("/refusals", async (page) => {
      await row(page, "pump-9").waitFor();
      await press(page, `main button[title="ban 127.0.0.1"]`);
      await agree(page);
      await told(page, "127.0.0.1 is banned");
      await gone;
      await visit(page, "/bans");
      await row(page, "127.0.0.1").waitFor();
      await press(page, "main td button", "Lift");
      await agree(page);
      await row(page, "127.0.0.1").waitFor({ state: "detached" });
    });
  });

  it("an alarm is cleared, found among those that are over, and they are forgotten", async () => {
    await on("/alarms", async (page) => {
      const alarm = page.locator("main .part", { has: page.getByText("high-memory") });
      await alarm.waitFor();
      await press(page, `main .part:has(bdi:text-is("high-memory")) button`, "Clear");
      await told(page, "high-memory is cleared");
      await tabTo(page, "main [role=tab][aria-selected=true]");
      await page.keyboard.press("ArrowRight");
      await page.getByRole("tab", { name: "Over", selected: true }).waitFor();
      await alarm.first().waitFor();
      await press(page, "main .heading button", "Forget them");
      await agree(page);
      await page.getByText("None in the last 24 hours").waitFor();
    });
  });

  it("a login is added, changed and removed, and many come from a file", () =>
    on("/logins", async (page) => {
      await write(page, "User name", "meter-7");
      await write(page, "Password", "correct horse");
      await page.keyboard.press("Enter");
      await row(page, "meter-7").waitFor();
      await press(page, `main button[title="change meter-7"]`);
      await dialog(page).waitFor();
      await write(page, "Only as client (any, if empty)", "m7");
      await page.keyboard.press("Enter");
      await row(page, "meter-7").filter({ hasText: "m7" }).waitFor();
      await press(page, `main button[title="remove meter-7"]`);
      await agree(page);
      await row(page, "meter-7").waitFor({ state: "detached" });
      await tabTo(page, "main [role=tab][aria-selected=true]");
      await page.keyboard.press("ArrowRight");
      await page.getByLabel("Client id", { exact: true }).waitFor();
      const [chooser] = await Promise.all([
        // Before the page is looked at again: the browser takes keys before it takes this order.
        page.waitForEvent("filechooser"),
        tabTo(page, "main input[type=file]").then(() => page.keyboard.press("Space")),
      ]);
      const csv = Buffer.from("user_id,password\nlamp-1,correct horse\n");
      await chooser.setFiles({ name: "lamps.csv", mimeType: "text/csv", buffer: csv });
      await row(page, "lamp-1").waitFor();
    }));

  it("a connector is made, its sink asked, let rest and deleted", () =>
    on("/connectors", async (page) => {
      await press(page, "main .heading button", "Make a connector");
      await write(page, "Name", "hook");
      await choose(page, "Kind", "http");
      await write(page, "Keys", JSON.stringify({ url: sinkUrl }));
      await press(page, "main button", "Try it");
      await page.locator(".effects").getByText("at once").first().waitFor();
      await press(page, "main button", "Apply");
      await page.getByRole("heading", { level: 1, name: "hook" }).waitFor();
      await press(page, "main .heading button", "Ask the sink");
      await told(page, /has answered in/);
      await press(page, "main .heading button", "Let it rest");
      await page.locator(".heading").getByText("rests").waitFor();
      await press(page, "main .heading button", "Delete");
      await agree(page);
      await page.getByRole("heading", { level: 1, name: "Connectors" }).waitFor();
      await row(page, "hook").waitFor({ state: "detached" });
    }));

  it("a gateway is restarted, and Changes of it are one link away (D-092)", () =>
    on("/gateways", async (page) => {
      const client = await mqttClient(site.ports, "gone-with-it");
      const gone = new Promise<void>((resolve) => client.once("close", () => resolve()));
      await press(page, `main .part:has(button[title="close mqtt tcp"]) > header button`, "Restart");
      await agree(page);
      await told(page, "Restart: done");
      await gone;
      await press(page, `main a[aria-label="Changes of gateway mqtt"]`);
      await page.getByRole("heading", { level: 1, name: "Changes" }).waitFor();
      await row(page, "gateway mqtt").first().waitFor();
    }));

  it("several values of an LwM2M device are read together, observed together, and no longer", async () => {
    const meter = await device("meter-1", {
      ...{ links: WITH_SENML, values: { "/3/0/0": "ACME", "/3303/0/5700": "21.5" } },
    });
    await on("/lwm2m/meter-1", async (page) => {
      await press(page, "main .part > header button", "Several at once");
      for (const level of ["/3", "/3303"]) await press(page, `main button[aria-label="open ${level}"]`);
      for (const path of ["/3/0/0", "/3303/0/5700"]) {
        await tabTo(page, `main .level-row:has(button[aria-label^="${path} "]) input`);
        await page.keyboard.press("Space");
      }
      await page.getByText("2 chosen").waitFor();
      await press(page, "main button", "Read together");
      for (const value of ["ACME", "21.5"]) await page.locator(".value-now").getByText(value).waitFor();
      expect(meter.asked.filter((one) => one.startsWith("FETCH"))).toEqual(["FETCH /"]);
      await press(page, "main button", "Observe together");
      await page.getByText("observed together: /3/0/0, /3303/0/5700").waitFor();
      await press(page, "main .several p button", "End");
      await page.getByText("observed together").waitFor({ state: "detached" });
      await page.locator(".log li").filter({ hasText: "cancel-observe-composite" }).waitFor();
    });
  });

  it("an instance is created and deleted on an LwM2M device, its attributes are set, and it is bid to bootstrap", async () => {
    const valve = await device("valve-1", { values: { "/3303/0/5700": "21.5" } });
    await on("/lwm2m/valve-1?path=%2F3303", async (page) => {
      await press(page, "main button", "Create an instance");
      await expect.poll(() => valve.asked).toContain("POST /3303");
      await visit(page, "/lwm2m/valve-1?path=%2F3303%2F0");
      await press(page, "main .part .actions button", "Delete");
      await agree(page);
      await expect.poll(() => valve.asked).toContain("DELETE /3303/0");
      await visit(page, "/lwm2m/valve-1?path=%2F3303%2F0%2F5700");
      await press(page, "main button", "When it notifies");
      await write(page, "pmin", "10");
      await page.keyboard.press("Enter");
      await expect.poll(() => valve.asked).toContain("PUT /3303/0/5700");
      await press(page, "main button", "Discover");
      await page.locator(".log li").filter({ hasText: "discover" }).first().waitFor();
      await press(page, "main .heading button", "Bootstrap");
      await agree(page);
      await expect.poll(() => valve.asked).toContain("POST /1/0/9");
    });
  });

  it("new firmware is ordered, and followed to its end", async () => {
    const pump = await device("pump-1");
    await on("/firmware", async (page) => {
      await write(page, "Endpoint", "pump-1");
      await choose(page, "How", "push");
      await write(page, "Package in firmware.folder", "v2.bin");
      await press(page, "main button", "Order");
      await agree(page);
      await told(page, "The update is ordered");
      await expect.poll(() => pump.asked, { timeout: 60_000 }).toContain("POST /5/0/2");
      pump.updated();
      await row(page, "pump-1").filter({ hasText: "success" }).waitFor();
    });
  });

  it("a user gets another role and another password, sessions are ended, and one's own password is changed", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.goto(site.base);
    await write(page, "Code from the log", site.code);
    await write(page, "Name of the first administrator", "ana");
    for (const label of ["Password", "Password again"]) await write(page, label, PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await noMouse(page);
    await visit(page, "/access");
    await write(page, "Name", "ben");
    await write(page, "Password (12 characters at least)", "a sentence that only ben knows");
    await page.keyboard.press("Enter");
    await row(page, "ben").waitFor();
    await tabTo(page, `main select[aria-label="role of ben"]`);
    // Its first letter: more of them would be taken for other roles where they come late.
    await page.keyboard.press("o");
    await told(page, "ben has the role operator");
    await press(page, `main button[title="new password for ben"]`);
    await dialog(page).waitFor();
    await write(page, "Password", "another sentence of ben alone");
    await page.keyboard.press("Enter");
    await told(page, "The password is set");
    const other = await look(browser, site.base);
    // A link that would lead elsewhere leads to the overview.
    await other.page.goto(`${site.base}/login?to=//elsewhere.example/about`);
    await write(other.page, "Name", "ben");
    await write(other.page, "Password", "another sentence of ben alone");
    await other.page.keyboard.press("Enter");
    await other.page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await visit(page, "/access?tab=sessions");
    await row(page, "ben").waitFor();
    await press(page, `main button[title="end the session of ben"]`);
    await row(page, "ben").waitFor({ state: "detached" });
    await other.page.getByRole("heading", { name: "Sign in" }).waitFor();
    await visit(page, "/access?tab=password");
    await write(page, "Password now", PASSWORD);
    for (const label of ["New password (12 characters at least)", "New password again"])
      await write(page, label, `${PASSWORD} now`);
    await page.keyboard.press("Enter");
    await told(page, "Your password is changed");
    await visit(page, "/access?tab=sessions");
    await press(page, "main button", "End all");
    await agree(page);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect([...wrong, ...other.wrong]).toEqual([]);
    await other.close();
    await close();
  });
});
