/** Every page, in light and dark, on a desktop and on a phone: nothing goes wrong on it, and axe-core finds nothing. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { type FullSite, pagesOf, startFullSite } from "./full-site.ts";
import { enter, launch, look, type Site, shoot, visit } from "./site.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** By all rules that axe-core has, or those of levels A and AA. Scripts of others the policy lets nobody put into the page. */
const axeRun = (
  rules: string,
  place = "html",
): string => `axe.run("${place}", ${rules}).then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ": " + nodes.slice(0, 3).map(({ html, failureSummary }) => html.slice(0, 200) + " " + failureSummary).join(" | ")))`;

const ALL = axeRun("{}");
/** In another theme the same elements have other colours, and nothing else. */
const COLOURS = axeRun(`{ runOnly: { type: "rule", values: ["color-contrast"] } }`);
const LEVELS = `{ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }`;
const AXE = axeRun(LEVELS);
/** What is behind a dialog is looked at on its own page. */
const AXE_DIALOG = axeRun(LEVELS, "dialog[open]");

/** Everything that was asked for is there. */
const settled = (page: Page): Promise<void> =>
  page.locator("main .lines").first().waitFor({ state: "detached" });

const SIDEWAYS = "document.documentElement.scrollWidth - innerWidth";
/** Plots take a new width with one of the next frames: what is too wide after a hundred stays so. */
const sidewaysOf = async (page: Page): Promise<number> =>
  Number(
    await page.evaluate(`new Promise((done) => {
      let frames = 0;
      const look = () => ${SIDEWAYS} <= 0 || ++frames > 100 ? done(${SIDEWAYS}) : requestAnimationFrame(look);
      look();
    })`),
  );

/** On a phone a cell without anything is out of sight: its title, too, or it lies over what others say. */
const TITLED = `[...document.querySelectorAll("td:empty")].filter((one) =>
  getComputedStyle(one).position === "absolute" && getComputedStyle(one, "::before").content !== "none").length`;

/** 400 % of a desktop (WCAG 2.2 §1.4.10). */
const NARROWEST = { width: 320, height: 640 };

const VIEWS = [
  { name: "1280-light", viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  { name: "1280-dark", viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  { name: "360-light", viewport: { width: 360, height: 780 }, colorScheme: "light" },
  { name: "360-dark", viewport: { width: 360, height: 780 }, colorScheme: "dark" },
] as const;

describe.skipIf(lacks("chromium"))("every page", () => {
  let full: FullSite;
  let site: Site;
  let browser: Browser;
  let trace: string;

  beforeAll(async () => {
    [full, browser] = await Promise.all([startFullSite(), launch()]);
    ({ site, trace } = full);
  });
  afterAll(async () => {
    await browser?.close();
    await full?.stop();
  });

  const pages = () => pagesOf(trace);

  it.each(VIEWS)("is whole at $name", async ({ name, ...options }) => {
    const { colorScheme } = options;
    const { page, wrong, close } = await look(browser, site.base, { ...options, bypassCSP: true });
    await page.goto(site.base);
    await page.getByRole("heading", { name: "First run" }).waitFor();
    await shoot(page, `setup-${name}`);
    await page.evaluate(axe);
    expect(["setup", await page.evaluate(AXE)]).toEqual(["setup", []]);
    await enter(page, site.base);
    await page.evaluate(axe);
    const problems: string[] = [];
    for (const [title, path] of pages()) {
      await visit(page, path);
      await settled(page);
      const rules = name === "1280-light" ? ALL : colorScheme === "dark" ? COLOURS : AXE;
      const found = (await page.evaluate(rules)) as string[];
      problems.push(...found.map((one) => `${title}: ${one}`));
      const sideways = await sidewaysOf(page);
      if (sideways > 0) problems.push(`${title}: ${sideways} pixels sideways`);
      if (Number(await page.evaluate(TITLED)) > 0) problems.push(`${title}: titles of empty cells`);
      await shoot(page, `${title}-${name}`);
      if (name !== "360-light") continue;
      await page.setViewportSize(NARROWEST);
      const narrow = await sidewaysOf(page);
      if (narrow > 0) problems.push(`${title}, narrowed: ${narrow} pixels sideways`);
      await page.setViewportSize(options.viewport);
    }
    await visit(page, "/config?key=log.level");
    await page.getByRole("button", { name: "change log.level" }).click();
    await page.getByLabel("Value").fill("error");
    await page.getByRole("button", { name: "Try it" }).click();
    await page.locator("dialog[open]").getByText("at once").waitFor();
    const found = (await page.evaluate(AXE)) as string[];
    problems.push(...found.map((one) => `a change: ${one}`));
    const sideways = await sidewaysOf(page);
    if (sideways > 0) problems.push(`a change: ${sideways} pixels sideways`);
    await shoot(page, `config-change-${name}`);
    expect(problems).toEqual([]);
    expect(wrong).toEqual([]);
    await close();
  });

  /** What asks before it acts, and the button that leads there. */
  const dialogs = (): readonly (readonly [string, string | RegExp])[] => [
    ["/clients/pump-7?gateway=mqtt-sn", "Ban"],
    ["/clients/pump-7?gateway=mqtt-sn", "Clear session"],
    ["/clients/backend?gateway=mqtt", "Kick"],
    ["/clients/backend?gateway=mqtt&tab=subscriptions", /^end cmd/],
    [`/translation/${trace}`, "Forget"],
    ["/translation", /^forget the trace/],
    ["/topics?topic=room%2F8%2Ftemp", "Clear retained"],
    ["/lwm2m/meter-0044?path=%2F3%2F0%2F4", "Execute"],
    ["/lwm2m/meter-0044", "Bootstrap"],
    ["/gateways", "close stomp tcp"],
    ["/bans", /^lift the ban/],
    ["/rules/warm", "Delete"],
    ["/connectors/hook", "Delete"],
    ["/logins", "change meter-7"],
    ["/logins", "remove meter-7"],
    ["/config?key=log.level", "change log.level"],
    ["/config?key=log.level", "Read it again"],
  ];

  it.each(VIEWS)(
    "asks in dialogs that Enter opens and Escape leaves, with focus back where it was, at $name",
    async ({ name: _, ...options }) => {
      const { page, wrong, close } = await look(browser, site.base, { ...options, bypassCSP: true });
      await enter(page, site.base, "/about");
      await page.evaluate(axe);
      const problems: string[] = [];
      for (const [path, name] of dialogs()) {
        await visit(page, path);
        await settled(page);
        const opener = page.locator("main").getByRole("button", { name }).first();
        await opener.focus();
        const label = await opener.evaluate((one) => one.textContent);
        await page.keyboard.press("Enter");
        await page.locator("dialog[open]").waitFor();
        const found = (await page.evaluate(AXE_DIALOG)) as string[];
        problems.push(...found.map((one) => `${path} ${name}: ${one}`));
        const sideways = await sidewaysOf(page);
        if (sideways > 0) problems.push(`${path} ${name}: ${sideways} pixels sideways`);
        if (!(await page.evaluate("document.activeElement.closest('dialog') !== null")))
          problems.push(`${path} ${name}: focus is not in the dialog`);
        await page.keyboard.press("Escape");
        await page.locator("dialog[open]").waitFor({ state: "detached" });
        const back = await page.evaluate("document.activeElement.textContent");
        if (back !== label) problems.push(`${path} ${name}: focus goes to ${String(back).slice(0, 40)}`);
      }
      expect(problems).toEqual([]);
      expect(wrong).toEqual([]);
      await close();
    },
  );

  it.each(["light", "dark"] as const)(
    "can be read where it is not live, and beside a row of a translation that is chosen, in %s",
    async (colorScheme) => {
      const { page, close } = await look(browser, site.base, { colorScheme, bypassCSP: true });
      await enter(page, site.base, `/translation/${trace}`);
      await page.evaluate(axe);
      await page.getByRole("button", { name: "one line a cause" }).click();
      await page.locator("[data-trace-row]").first().click();
      await page.locator(".rows .dimmed").first().waitFor();
      expect(await page.evaluate(AXE)).toEqual([]);
      await page.route("**/api/v1/series/events", (route) => route.abort());
      await page.getByRole("button", { name: /^pause, now/ }).click();
      await page.getByRole("button", { name: /^go on, now/ }).click();
      await page.locator("main.not-live").waitFor();
      for (const path of ["/", "/clients", "/gateways"]) {
        await visit(page, path);
        await settled(page);
        expect([path, await page.evaluate(AXE)]).toEqual([path, []]);
        await shoot(page, `not-live${path.replace("/", "-")}-${colorScheme}`);
      }
      await close();
    },
  );
});
