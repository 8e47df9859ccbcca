/** The dashboard below a path, behind a proxy that knows of no other (D-164): nothing on it may ask beside that path. */
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { mqttClient } from "./devices.ts";
import { button, dialog, launch, look, row, type Site, startSite, told, urlOf, visit } from "./site.ts";

const BASE = "/iot";
const PASSWORD = "a sentence that only ana knows";

describe.skipIf(lacks("chromium"))("below /iot/ of a proxy", () => {
  let site: Site;
  let browser: Browser;
  let proxy: Server;
  let outside: string;
  /** What was asked beside the path. */
  const astray: string[] = [];

  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite("", BASE), launch()]);
    proxy = createServer((asked, answer) => {
      const { url = "/", method, headers } = asked;
      if (!url.startsWith(`${BASE}/`)) {
        astray.push(url);
        answer.writeHead(404).end();
        return;
      }
      const onward = request({ port: site.ports.api, host: "127.0.0.1", path: url, method, headers });
      onward.on("response", (response) => {
        answer.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(answer);
      });
      onward.on("error", () => answer.destroy());
      answer.on("close", () => onward.destroy());
      asked.pipe(onward);
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    outside = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    await browser?.close();
    proxy?.closeAllConnections();
    proxy?.close();
    await site?.stop();
  });

  it("it is signed in to, lives, changes its address, is opened by a link, and does what is asked", async () => {
    const client = await mqttClient(site.ports, "pump/1");
    const { page, wrong, close } = await look(browser, outside);
    await page.goto(`${outside}${BASE}/`);
    await page.getByLabel("Code from the log").fill(site.code);
    await page.getByLabel("Name of the first").fill("ana");
    await page.getByLabel("Password", { exact: false }).first().fill(PASSWORD);
    await page.getByLabel("Password again").fill(PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.locator(".live.live").waitFor();
    await page.locator(".plot canvas").first().waitFor();
    for (const [name, path] of [
      ["Clients", "/clients"],
      ["Translation", "/translation"],
      ["Configuration", "/config"],
    ] as const) {
      await page.getByRole("navigation", { name: "pages" }).getByRole("link", { name }).first().click();
      await page.getByRole("heading", { name, level: 1 }).waitFor();
      expect((await urlOf(page)).pathname).toBe(`${BASE}${path}`);
    }
    await visit(page, `${BASE}/clients`);
    await row(page, "pump/1").getByRole("link", { name: "pump/1", exact: true }).click();
    await page.getByRole("tablist").waitFor();
    expect((await urlOf(page)).pathname).toBe(`${BASE}/clients/pump%2F1`);
    // A link that somebody sends, and the browser's own way back.
    await page.reload();
    await page.getByRole("tab", { name: /^Subscriptions/ }).click();
    await page.goBack();
    await page.getByRole("heading", { name: "Clients", level: 1 }).waitFor();
    await visit(page, `${BASE}/bans`);
    await page.getByRole("textbox", { name: "client id" }).fill("intruder");
    await page.locator("form").getByRole("button", { name: "Ban" }).click();
    await row(page, "intruder").getByRole("button").click();
    await dialog(page).getByRole("button", { name: "Lift it" }).click();
    await told(page, "The ban is lifted");
    const cookies = await page.context().cookies();
    expect(cookies.map(({ path, httpOnly, sameSite }) => [path, httpOnly, sameSite])).toEqual([
      [BASE, true, "Strict"],
    ]);
    await button(page, /^ana/).click();
    await button(page, /^Sign out$/).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(astray).toEqual([]);
    expect(wrong).toEqual([]);
    client.end(true);
    await close();
  });
});
