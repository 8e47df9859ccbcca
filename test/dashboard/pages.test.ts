/** Every page, in light and dark, on a desktop and on a phone: nothing goes wrong on it, and axe-core finds nothing. */
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MqttClient } from "mqtt";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { coapPublish, lwm2mRegister, mqttClient, mqttSnDevice, stompClient } from "./devices.ts";
import { enter, launch, look, type Site, shoot, startSite, visit } from "./site.ts";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Rules of levels A and AA. Scripts of others may not be put into the page by its policy: it runs past it. */
const AXE = `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }).then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ": " + nodes.slice(0, 3).map(({ html, failureSummary }) => html.slice(0, 200) + " " + failureSummary).join(" | ")))`;

/** Everything that was asked for is there. */
const settled = (page: Page): Promise<void> =>
  page.locator("main .lines").first().waitFor({ state: "detached" });

const VIEWS = [
  { name: "1280-light", viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  { name: "1280-dark", viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  { name: "360-light", viewport: { width: 360, height: 780 }, colorScheme: "light" },
  { name: "360-dark", viewport: { width: 360, height: 780 }, colorScheme: "dark" },
] as const;

/** What a connector writes: a device that is no disk takes no fsync. */
const READINGS = join(tmpdir(), `isthmus-readings-${process.pid}.jsonl`);

/** Who may connect, for nobody. */
const LISTS =
  "authentication: { chains: { ours: { chain: [{ kind: user-list }, { kind: client-id-list }] } } }";

describe.skipIf(lacks("chromium"))("every page", () => {
  let site: Site;
  let browser: Browser;
  let trace: string;
  const clients: { end(force?: boolean): unknown }[] = [];

  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(LISTS), launch()]);
    ({ id: trace } = await site.ask<{ id: string }>("POST", "/traces", { topic: "#", seconds: 600 }));
    const backend: MqttClient = await mqttClient(site.ports, "backend", { clean: false });
    await backend.subscribeAsync("cmd/#", { qos: 1 });
    const sleeper = await mqttSnDevice(site.ports, {
      id: "pump-7",
      user: "",
      topic: "room/7/temp",
      payload: "21.5",
    });
    await sleeper.subscribe("cmd/pump-7/set");
    await sleeper.sleep(600);
    await backend.publishAsync("cmd/pump-7/set", '{"rpm":1200}', { qos: 1 });
    await backend.publishAsync("room/8/temp", "22.5", { retain: true, qos: 1 });
    await coapPublish(site.ports, { id: "cam-3", user: "", topic: "room/9/temp", payload: "20.1" });
    await lwm2mRegister(site.ports, "meter-0044");
    const stomp = await stompClient(site.ports, {
      id: "scada",
      user: "scada",
      topic: "/topic/room/1",
      payload: "hello",
    });
    await site.ask("POST", "/bans", { clientId: "intruder", reason: "it floods" });
    await site.ask("PUT", "/connectors/readings", { kind: "file", path: READINGS });
    await site.ask("PUT", "/connectors/hook", { kind: "http", url: "http://127.0.0.1:9" });
    await site.ask("PUT", "/rules/warm", {
      sql: 'SELECT clientid, float(payload) AS t, timestamp FROM "room/#" WHERE t > 21',
      actions: [
        { kind: "file", connector: "readings" },
        { kind: "http", connector: "hook" },
      ],
    });
    await backend.publishAsync("room/8/temp", "22.5", { retain: true, qos: 1 });
    for (const username of ["meter-7", "meter-8"])
      await site.ask("POST", "/authentication/users", { username, password: "correct horse" });
    // One is taken at once, one waits for a restart.
    await site.ask("PATCH", "/config", { log: { level: "warn" }, node: { sysInterval: "2m" } });
    clients.push(backend, { end: () => sleeper.close() }, { end: () => stomp.destroy() });
  });

  afterAll(async () => {
    for (const client of clients) client.end(true);
    await browser?.close();
    await site?.stop();
    rmSync(READINGS, { force: true });
  });

  const pages = (): readonly (readonly [string, string])[] => [
    ["overview", "/"],
    ["clients", "/clients"],
    ["client-session", "/clients/pump-7?gateway=mqtt-sn"],
    ["client-waiting", "/clients/pump-7?gateway=mqtt-sn&tab=waiting"],
    ["client-subscriptions", "/clients/backend?gateway=mqtt&tab=subscriptions"],
    ["client-messages", "/clients/backend?gateway=mqtt&tab=messages"],
    ["client-protocol", "/clients/pump-7?gateway=mqtt-sn&tab=protocol"],
    ["refusals", "/refusals"],
    ["traces", "/translation"],
    ["translation", `/translation/${trace}`],
    ["topics", "/topics?topic=room%2F8%2Ftemp"],
    ["messages", "/messages?filter=room%2F%23"],
    ["lwm2m", "/lwm2m"],
    ["lwm2m-device", "/lwm2m/meter-0044?path=%2F3%2F0"],
    ["firmware", "/firmware"],
    ["gateways", "/gateways"],
    ["upstream", "/upstream"],
    ["rules", "/rules"],
    ["rule", "/rules/warm"],
    ["rule-new", "/rules?make=rule"],
    ["connectors", "/connectors"],
    ["connector", "/connectors/hook"],
    ["connector-new", "/connectors?make=connector"],
    ["logins", "/logins"],
    ["alarms", "/alarms"],
    ["bans", "/bans"],
    ["changes", "/changes"],
    ["config", "/config?key=api"],
    ["access", "/access"],
    ["about", "/about"],
    ["more", "/more"],
    ["nowhere", "/clients/nobody%2Fhere"],
  ];

  it.each(VIEWS)("is whole at $name", async ({ name, ...options }) => {
    const { page, wrong, close } = await look(browser, site.base, { ...options, bypassCSP: true });
    await page.goto(site.base);
    await page.getByRole("heading", { name: "First run" }).waitFor();
    await shoot(page, `setup-${name}`);
    await page.evaluate(axe);
    expect(["setup", await page.evaluate(AXE)]).toEqual(["setup", []]);
    await enter(page, site.base);
    const problems: string[] = [];
    for (const [title, path] of pages()) {
      await visit(page, path);
      await settled(page);
      if (name !== "360-dark") await page.evaluate(axe);
      const found = name === "360-dark" ? [] : ((await page.evaluate(AXE)) as string[]);
      problems.push(...found.map((one) => `${title}: ${one}`));
      const sideways = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      if (Number(sideways) > 0) problems.push(`${title}: ${sideways} pixels sideways`);
      await shoot(page, `${title}-${name}`);
    }
    await visit(page, "/config?key=log.level");
    await page.getByRole("button", { name: "change log.level" }).click();
    await page.getByLabel("Value").fill("error");
    await page.getByRole("button", { name: "Try it" }).click();
    await page.locator("dialog[open]").getByText("at once").waitFor();
    await page.evaluate(axe);
    const found = (await page.evaluate(AXE)) as string[];
    problems.push(...found.map((one) => `a change: ${one}`));
    const sideways = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
    if (Number(sideways) > 0) problems.push(`a change: ${sideways} pixels sideways`);
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
      await enter(page, site.base);
      const problems: string[] = [];
      for (const [path, name] of dialogs()) {
        await visit(page, path);
        await settled(page);
        const opener = page.locator("main").getByRole("button", { name }).first();
        await opener.focus();
        const label = await opener.evaluate((one) => one.textContent);
        await page.keyboard.press("Enter");
        await page.locator("dialog[open]").waitFor();
        await page.evaluate(axe);
        problems.push(...((await page.evaluate(AXE)) as string[]).map((one) => `${path} ${name}: ${one}`));
        const sideways = Number(await page.evaluate("document.documentElement.scrollWidth - innerWidth"));
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

  it("is usable at 320 pixels, which is 400 % of a desktop", async () => {
    const { page, close } = await look(browser, site.base, { viewport: { width: 320, height: 640 } });
    await enter(page, site.base);
    const problems: string[] = [];
    for (const [title, path] of pages()) {
      await visit(page, path);
      await settled(page);
      const sideways = Number(await page.evaluate("document.documentElement.scrollWidth - innerWidth"));
      if (sideways > 0) problems.push(`${title}: ${sideways} pixels sideways`);
    }
    expect(problems).toEqual([]);
    await close();
  });

  it("breaks nothing of its policy, under it", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base);
    for (const [, path] of pages()) {
      await visit(page, path);
      await settled(page);
    }
    expect(wrong).toEqual([]);
    await close();
  });
});
