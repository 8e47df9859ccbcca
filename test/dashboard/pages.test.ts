/** Every page, in light and dark, on a desktop and on a phone: nothing goes wrong on it, and axe-core finds nothing. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
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

describe.skipIf(lacks("chromium"))("every page", () => {
  let site: Site;
  let browser: Browser;
  let trace: string;
  const clients: { end(force?: boolean): unknown }[] = [];

  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
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
    clients.push(backend, { end: () => sleeper.close() }, { end: () => stomp.destroy() });
  });

  afterAll(async () => {
    for (const client of clients) client.end(true);
    await browser?.close();
    await site?.stop();
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
    expect(problems).toEqual([]);
    expect(wrong).toEqual([]);
    await close();
  });

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
