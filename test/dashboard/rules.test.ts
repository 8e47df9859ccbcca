/** Rules, connectors and lists of logins, by clicks: made, tried, changed, rested and ended; and no secret on any page. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { mqttClient } from "./devices.ts";
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
  told,
  visit,
} from "./site.ts";

const fact = (page: Page, name: string) =>
  page
    .locator("dl.facts > div")
    .filter({ has: page.getByText(name, { exact: true }) })
    .locator("dd");

describe.skipIf(lacks("chromium")).each(CLICKED)("by clicks, at $name", ({ name: _, ...view }) => {
  let site: Site;
  let browser: Browser;
  let service: Server;
  let url: string;
  let answer = 200;

  beforeAll(async () => {
    // What the secrets of new connectors are read from at first.
    process.env["DB_PASSWORD"] = "a secret";
    service = createServer((request, response) => {
      request.resume();
      response.writeHead(answer).end();
    });
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
    [site, browser] = await Promise.all([
      startSite(`authentication: { chains: { ours: { chain: [{ kind: user-list }, { kind: client-id-list }] } } }
connectors: { filed: { kind: http, url: "${url}", headers: { authorization: "a secret of the file" } } }
rules: { filed: { sql: 'SELECT * FROM "filed/#"', actions: [{ kind: http, connector: filed }] } }`),
      launch(),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
    service?.close();
    delete process.env["DB_PASSWORD"];
  });

  async function on(path: string, run: (page: Page) => Promise<void>): Promise<void> {
    const { page, wrong, close } = await look(browser, site.base, view);
    await enter(page, site.base, path);
    await run(page);
    expect(wrong).toEqual([]);
    await close();
  }

  it("a rule is refused with the place of its mistake, tried on an event, made, counted, changed and deleted", () =>
    on("/rules", async (page) => {
      await button(page, "Make a rule").click();
      await page.getByLabel(/^Name/).fill("warm");
      await page.getByLabel("Statement").fill("SELECT payload.t AS FROM");
      await button(page, "Try it").click();
      await page
        .locator(".failed")
        .getByText(/column/)
        .first()
        .waitFor();
      await page.getByLabel("Statement").fill('SELECT payload.t AS t FROM "room/#" WHERE payload.t > 30');
      await page.getByLabel("Actions").fill("[{");
      await page.getByText("is no JSON").waitFor();
      await page
        .getByLabel("Actions")
        .fill('[{"kind": "republish", "topic": "alerts/${t}", "payload": "warm"}]');
      await page.getByLabel("Payload").fill('{"t": 20}');
      await button(page, "Run it").click();
      await page.getByText("the conditions say no").waitFor();
      await page.getByLabel("Payload").fill('{"t": 31}');
      await button(page, "Run it").click();
      await page.locator("[role=status]").getByText("alerts/31").waitFor();
      await page.getByLabel("Payload").fill("no JSON");
      await button(page, "Run it").click();
      await page.getByText("The run fails").waitFor();
      await button(page, "Try it").click();
      await page.locator(".effects").getByText("at once").first().waitFor();
      await expect(site.ask("GET", "/rules/warm")).rejects.toThrow("404");
      await button(page, "Apply").click();
      await told(page, "warm runs");
      await page.getByRole("heading", { name: "warm" }).waitFor();
      const client = await mqttClient(site.ports, "thermometer");
      await client.publishAsync("room/1", '{"t": 31}', { qos: 1 });
      await fact(page, "Run for").filter({ hasText: "1" }).waitFor();
      await fact(page, "With an output").filter({ hasText: "1" }).waitFor();
      await page.getByLabel("Statement").fill('SELECT payload.t AS t FROM "hall/#"');
      await button(page, "Try it").click();
      await button(page, "Apply").click();
      await told(page, "warm is changed");
      await button(page, "Let it rest").click();
      await button(page, "Let it run").waitFor();
      await client.publishAsync("hall/1", '{"t": 31}', { qos: 1 });
      expect(await site.ask("GET", "/rules/warm")).toMatchObject({ enable: false, matched: 1 });
      client.end(true);
      await button(page, "Delete").click();
      await dialog(page).getByRole("button", { name: "Delete" }).click();
      await told(page, "The rule is deleted");
      await row(page, "filed").waitFor();
      await row(page, "warm").waitFor({ state: "detached" });
    }));

  it("a name that is taken makes no new rule, and what stands in the file is not deleted here", () =>
    on("/rules?make=rule", async (page) => {
      await page.getByLabel(/^Name/).fill("filed");
      await button(page, "Try it").click();
      await page.getByText("There is one already").waitFor();
      await visit(page, "/rules/filed");
      const remove = button(page, /^delete: the rule stands in/);
      await remove.waitFor();
      expect(await remove.getAttribute("aria-disabled")).toBe("true");
    }));

  it("a connector is made, asked whether its sink is there, shows its queue, its latency and why it failed", () =>
    on("/connectors", async (page) => {
      await button(page, "Make a connector").click();
      await page.getByLabel(/^Name/).fill("hook");
      await page
        .getByLabel("Keys")
        .fill(JSON.stringify({ url, retry: { first: "100ms", longest: "100ms" } }));
      await button(page, "Try it").click();
      await page.locator(".effects").getByText("at once").first().waitFor();
      await button(page, "Apply").click();
      await page.getByRole("heading", { name: "hook" }).waitFor();
      await button(page, "Ask the sink").click();
      await told(page, /has answered in/);
      await site.ask("PUT", "/rules/to-hook", {
        sql: 'SELECT * FROM "hook/#"',
        actions: [{ kind: "http", connector: "hook" }],
      });
      const client = await mqttClient(site.ports, "thermometer");
      await client.publishAsync("hook/1", "a", { qos: 1 });
      await fact(page, "Arrived").filter({ hasText: "1" }).waitFor();
      await fact(page, "The last batch took")
        .filter({ hasText: /\d (ms|s)/ })
        .waitFor();
      answer = 503;
      await client.publishAsync("hook/1", "b", { qos: 1 });
      await page.locator(".level.bad").getByText("away").waitFor();
      await fact(page, "Last failure").filter({ hasText: "503" }).waitFor();
      answer = 200;
      await fact(page, "Arrived").filter({ hasText: "2" }).waitFor();
      await fact(page, "Last failure").filter({ hasText: "503" }).waitFor();
      client.end(true);
      await site.ask("DELETE", "/rules/to-hook");
      await button(page, "Delete").click();
      await dialog(page).getByRole("button", { name: "Delete" }).click();
      await told(page, "The connector is deleted");
    }));

  it("each kind of connector begins with keys that the node takes", () =>
    on("/connectors?make=connector", async (page) => {
      await page.getByLabel(/^Name/).fill("new");
      for (const kind of await page.getByLabel("Kind").locator("option").allTextContents()) {
        await page.getByLabel("Kind").selectOption(kind);
        await button(page, "Try it").click();
        await page.locator(".effects").getByText(kind, { exact: true }).first().waitFor();
      }
    }));

  it("no secret of the configuration is on the page, nor in what the page was sent", () =>
    on("/connectors", async (page) => {
      const answers: Promise<string>[] = [];
      page.on("response", (response) => {
        if (response.url().includes("/connectors")) answers.push(response.text().catch(() => ""));
      });
      await page.getByRole("link", { name: "filed" }).click();
      await page.getByLabel("Keys").waitFor();
      expect(await page.getByLabel("Keys").inputValue()).toContain("(hidden)");
      const seen = [await page.content(), ...(await Promise.all(answers))].join("\n");
      expect(seen).toContain("filed");
      expect(seen).not.toContain("a secret of the file");
    }));

  it("a user is added, changed, found, exported and removed; client ids likewise, many at once from a file", () =>
    on("/logins", async (page) => {
      await page.getByLabel("User name").fill("meter-7");
      await page.getByLabel("Password").fill("correct horse");
      await button(page, "Add").click();
      await told(page, "meter-7 may connect");
      await button(page, "change meter-7").click();
      await dialog(page)
        .getByLabel(/Only as client/)
        .fill("m7");
      await dialog(page).getByRole("button", { name: "Change" }).click();
      await row(page, "meter-7").filter({ hasText: "m7" }).waitFor();
      await page.getByLabel("Name holds").fill("nobody");
      await page.getByText("None holds that text").waitFor();
      await page.getByLabel("Name holds").fill("meter");
      await row(page, "meter-7").waitFor();
      expect(await page.content()).not.toContain("scrypt");
      const [file] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("link", { name: "Export with hashes" }).click(),
      ]);
      expect(file.suggestedFilename()).toMatch(/\.json$/);
      await button(page, "remove meter-7").click();
      await dialog(page).getByRole("button", { name: "Remove" }).click();
      await told(page, "meter-7 is removed");
      await page.getByRole("tab").nth(1).click();
      await page.getByLabel("Client id", { exact: true }).waitFor();
      await page.getByLabel("Import JSON or CSV").setInputFiles({
        ...{ name: "lamps.csv", mimeType: "text/csv" },
        buffer: Buffer.from("user_id,password\nlamp-1,correct horse\nlamp-2,correct horse\n"),
      });
      await told(page, "lamps.csv is taken");
      await row(page, "lamp-2").waitFor();
      await page.getByLabel("Import JSON or CSV").setInputFiles({
        ...{ name: "wrong.json", mimeType: "application/json" },
        buffer: Buffer.from('[{"password_hash": "x"}]'),
      });
      await page.locator(".notices .bad").waitFor();
    }));
});
