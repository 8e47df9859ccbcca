/** What a screen reader is told, by Chromium's own accessibility tree; and that Tab alone reaches what can be done. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { agree, press, write } from "./by-keys.ts";
import { coapPublish, mqttClient } from "./devices.ts";
import { button, dialog, enter, launch, look, row, type Site, startSite, visit } from "./site.ts";

interface Node {
  readonly ignored: boolean;
  readonly role?: { readonly value: string };
  readonly name?: { readonly value: string };
}

/** Roles and names as a screen reader gets them. */
async function heard(page: Page): Promise<readonly { readonly role: string; readonly name: string }[]> {
  const devtools = await page.context().newCDPSession(page);
  const { nodes } = (await devtools.send("Accessibility.getFullAXTree")) as unknown as { nodes: Node[] };
  await devtools.detach();
  return nodes
    .filter(({ ignored }) => !ignored)
    .map(({ role, name }) => ({ role: role?.value ?? "", name: name?.value ?? "" }));
}

/** More than any page has, and as many as are gone through at once. */
const STOPS = 400;
const HELD = 10;

/** What Tab does not come to on its way from the first control of the page to the last, of what can be seen there. */
async function unreached(page: Page): Promise<readonly string[]> {
  await page.evaluate(`{
    window.reached ?? addEventListener("focusin", ({ target }) => {
      around ||= reached.has(target);
      reached.add(target);
    });
    window.reached = new Set();
    window.around = false;
    document.querySelector(".skip").focus();
  }`);
  for (let step = 0; step < STOPS; step += HELD) {
    await Promise.all(Array.from({ length: HELD }, () => page.keyboard.press("Tab")));
    if (await page.evaluate("around")) break;
  }
  // Rows of a table and of a translation, and tabs, are one stop each: arrows go on from there.
  return (await page.evaluate(`[...document.querySelectorAll("main :is(button, a[href], input, select, textarea)")]
    .filter((one) => one.checkVisibility() && !one.disabled && !reached.has(one))
    .filter((one) => one.getAttribute("role") !== "tab" && one.closest("[data-trace-row]") === null)
    .map((one) => one.outerHTML.slice(0, 120))`)) as string[];
}

describe.skipIf(lacks("chromium"))("a screen reader and a keyboard", () => {
  let site: Site;
  let browser: Browser;
  let trace: string;
  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
    ({ id: trace } = await site.ask<{ id: string }>("POST", "/traces", { topic: "#", seconds: 600 }));
    const backend = await mqttClient(site.ports, "backend");
    await backend.subscribeAsync("room/#", { qos: 1 });
    await coapPublish(site.ports, { id: "cam-3", user: "", topic: "room/9/temp", payload: "20.1" });
    await site.ask("POST", "/bans", { clientId: "intruder" });
    await site.ask("PUT", "/rules/warm", { sql: 'SELECT * FROM "room/#"', actions: [] });
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  it("hear each row of a translation as one sentence: time, cause, who and what (D-067)", async () => {
    const { page, close } = await look(browser, site.base);
    await enter(page, site.base, `/translation/${trace}`);
    await button(page, /room\/9\/temp/)
      .first()
      .waitFor();
    const spoken = async () =>
      (await heard(page)).filter(({ role, name }) => role === "button" && /cause \d+: /.test(name));
    // More rows of the same message may come a moment later.
    await expect
      .poll(async () => (await spoken()).length - (await page.locator("[data-trace-row]").count()))
      .toBe(0);
    const sentences = await spoken();
    expect(sentences.length).toBeGreaterThan(0);
    for (const { name } of sentences) expect(name).toMatch(/^\d\d:\d\d:\d\d\.\d{3}, cause \d+: \S+ .*\S$/);
    await close();
  });

  it("are told of what was done and what failed without going there, and by which column a table is sorted", async () => {
    const { page, close } = await look(browser, site.base);
    await enter(page, site.base, "/clients");
    await page.locator("tr[data-row]").first().waitFor();
    const nodes = await heard(page);
    expect(nodes.filter(({ role }) => role === "status").length).toBeGreaterThan(0);
    const headers = nodes.filter(({ role }) => role === "columnheader").map(({ name }) => name);
    expect(headers).toEqual(
      expect.arrayContaining(["State", "Client", "Gateway", "Heard", "Due", "Waiting"]),
    );
    expect(headers).not.toContain("");
    expect(await page.locator("th[aria-sort=ascending]").textContent()).toContain("Due");
    await visit(page, "/bans");
    await page.getByRole("button", { name: "lift the ban" }).click();
    await page.locator("dialog").getByRole("button", { name: "Lift it" }).click();
    const notices = page.locator(".notices[aria-live=polite]");
    await notices.getByText("The ban is lifted").waitFor();
    await close();
  });

  it("come by Tab to every control of every page", async () => {
    const { page, close } = await look(browser, site.base);
    await enter(page, site.base);
    await page.locator(".live.live").waitFor();
    // While it walks nothing may move.
    await page.locator("body").press("p");
    for (const path of [
      ...[
        "/",
        "/clients",
        "/refusals",
        "/translation",
        "/topics",
        "/messages",
        "/lwm2m",
        "/firmware",
        "/gateways",
      ],
      ...[
        "/upstream",
        "/rules",
        "/rules/warm",
        "/connectors",
        "/logins",
        "/alarms",
        "/bans",
        "/changes",
        "/access",
      ],
    ]) {
      await visit(page, path);
      await page.locator("main .lines").first().waitFor({ state: "detached" });
      // What came while it walked is reached the next time.
      await expect.poll(() => unreached(page), { message: `Tab does not reach, on ${path}` }).toEqual([]);
    }
    await close();
  });

  it("bans are made and lifted by keys alone, and focus comes back from the dialog, or goes to what has taken the place of what is gone", async () => {
    const { page, close } = await look(browser, site.base);
    await enter(page, site.base, "/bans");
    const at = () =>
      page.evaluate("document.activeElement.closest('tr')?.textContent ?? document.activeElement.tagName");
    for (const id of ["by-keys-1", "by-keys-2"]) {
      await write(page, "client id", id);
      await page.keyboard.press("Enter");
      await row(page, id).waitFor();
    }
    await press(page, `main button[title="lift the ban: client by-keys-1"]`);
    await dialog(page).waitFor();
    await page.keyboard.press("Escape");
    await dialog(page).waitFor({ state: "detached" });
    expect(await at()).toContain("by-keys-1");
    // What is gone leaves it to what has taken its place, and the last of all to the heading.
    for (const [id, next] of [
      ["by-keys-1", "by-keys-2"],
      ["by-keys-2", "H1"],
    ] as const) {
      await page.keyboard.press("Enter");
      await agree(page);
      await row(page, id).waitFor({ state: "detached" });
      await expect.poll(at).toContain(next);
    }
    await close();
  });
});
