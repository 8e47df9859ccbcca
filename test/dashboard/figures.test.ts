/** What the API answers stands on each page under its name, in its unit and in its order (D-120 to D-123). */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { ANSWERS, answered } from "./answers.ts";
import { FEEDS, point } from "./feeds.ts";
import { enter, launch, look, type Site, startSite, visit } from "./site.ts";

/** Rows of a table by the titles of its columns; without what is done there. */
const tableOf = (page: Page, caption: string): Promise<readonly Readonly<Record<string, string>>[]> =>
  page.evaluate(`(() => {
    const table = [...document.querySelectorAll("main table")].find(({ caption }) => caption?.textContent === ${JSON.stringify(caption)});
    return [...table.querySelectorAll("tr[data-row]")].map((row) => Object.fromEntries(
      [...row.querySelectorAll("td[data-title]")].map((cell) => [cell.dataset.title, cell.innerText.replaceAll(/\\s+/g, " ").trim()])
        .filter(([title]) => !["Act", "Look"].includes(title))));
  })()`);
/** Names and values of all lists of facts. */
const factsOf = (page: Page): Promise<Readonly<Record<string, string>>> =>
  page.evaluate(`Object.fromEntries([...document.querySelectorAll("main dl.facts > div")].map((one) =>
    [...one.children].map((part) => part.innerText.replaceAll(/\\s+/g, " ").trim())))`);

/** By place: the caption of a table and its rows, or the facts of the page, or some of them. */
const TABLES: readonly (readonly [
  path: string,
  caption: string,
  rows: readonly Readonly<Record<string, string>>[],
])[] = [
  [
    "/clients?columns=state,gateway,address,heard,due,waiting,lost,way,subscriptions,listener",
    "Clients",
    [
      {
        ...{ State: "overdue", Client: "pump-7", Gateway: "mqtt-sn", Address: "10.1.4.17:40112" },
        ...{ Heard: "2 h 02 min", Due: "1 h 00 min ago", Waiting: "41", Lost: "16", "On its way": "5" },
        ...{ Subscriptions: "3", Listener: "udp" },
      },
      {
        ...{ State: "awake", Client: "cam-3 urn:cam:3", Gateway: "coap", Address: "[2001:db8::7]:5683" },
        ...{ Heard: "–", Due: "never promised", Waiting: "0", Lost: "0", "On its way": "0" },
        ...{ Subscriptions: "0", Listener: "udp" },
      },
    ],
  ],
  [
    "/clients/pump-7?gateway=mqtt-sn&tab=waiting",
    "What waits for this client, next first",
    [
      {
        ...{ "#": "1", Stage: "on its way", Topic: "cmd/pump-7/set", From: "scada", Since: "3 h 10 min" },
        ...{ Ends: "in 50 min", QoS: "1", Bytes: "21 B", Payload: '{"rpm":1200} … of 21 B' },
      },
      {
        ...{ "#": "2", Stage: "waits", Topic: "cmd/pump-7/get", From: "this node", Since: "3 h 00 min" },
        ...{ Ends: "never", QoS: "2", Bytes: "2.0 KB", Payload: "hex 00 ff" },
      },
    ],
  ],
  [
    "/clients/pump-7?gateway=mqtt-sn&tab=subscriptions",
    "Subscriptions of this client",
    [{ Filter: "cmd/#", QoS: "1", Options: "not its own" }],
  ],
  [
    "/refusals",
    "Refusals",
    [
      {
        ...{ Last: "2 min", Count: "331", Claims: "pump-9", Address: "10.1.4.44:1884", Gateway: "mqtt-sn" },
        ...{ Refusal: "forbidden", What: "publish secret/x", "Decided by": "ACL rule 4" },
      },
      {
        ...{ Last: "5 min", Count: "9", Claims: "ana", Address: "203.0.113.9:4000", Gateway: "mqtt" },
        ...{ Refusal: "unauthenticated", What: "connect", "Decided by": "users.yaml, password" },
      },
    ],
  ],
  [
    "/gateways",
    "Listeners of mqtt",
    [
      {
        ...{ Listener: "tcp", State: "open", Transport: "tcp", Address: "0.0.0.0:1883" },
        ...{ Connections: "7,561", Dropped: "3", Unsent: "4" },
      },
      {
        ...{ Listener: "tls", State: "closed", Transport: "tls", Address: "[::]:8883" },
        ...{ Connections: "0", Dropped: "0", Unsent: "0" },
      },
    ],
  ],
  [
    "/rules",
    "Rules",
    [
      {
        ...{
          Rule: "warm",
          State: "rests",
          Statement: "SELECT * FROM x",
          Run: "1,001",
          "With output": "1,002",
        },
        ...{ Failed: "1,004", Now: "1.1/s", "Not done": "4,007" },
      },
    ],
  ],
  [
    "/rules/warm",
    "Actions",
    [{ Action: "http to hook", Given: "2,001", Arrived: "2,002", Failed: "2,003", Dropped: "2,004" }],
  ],
  [
    "/connectors",
    "Connectors",
    [
      {
        ...{ Connector: "hook", Kind: "http", Sink: "away", Waiting: "108", "With it": "107", Took: "58 ms" },
        ...{ Arrived: "103", Lost: "315", "Last failure": "503" },
      },
    ],
  ],
  [
    "/upstream",
    "Servers",
    (
      [
        ["tcp://a:1883", "well"],
        ["tcp://b:1883", "nobody is sent there"],
        ["tcp://c:1883", "one may try, draining"],
      ] as const
    ).map(([Server, State]) => ({
      ...{ Server, Group: "default", State, Sessions: "1,200", Weight: "2", "Last failure": "–" },
    })),
  ],
  [
    "/upstream",
    "Routes, in the order in which they are asked",
    [{ Route: "meters", When: "clientId meter-*", To: "default", Order: "3", From: "the configuration" }],
  ],
  [
    "/bans",
    "Bans",
    [
      { Whom: "client intruder", Until: "lifted by hand", Reason: "it floods", From: "here" },
      {
        ...{ Whom: "address 10.0.0.0/8", Until: "ends in 3 h 12 min", Reason: "elsewhere" },
        From: "the configuration",
      },
    ],
  ],
  [
    "/changes",
    "Changes, newest first",
    [
      {
        ...{ When: "2026-11-29 14:02:31", Who: "ana user", From: "10.0.0.9", What: "config" },
        ...{ Before: "info", After: "debug", Result: "done" },
      },
    ],
  ],
  [
    "/config",
    "Settings",
    [
      {
        ...{ Key: "log.level", Value: "debug", From: "api", "A change": "at once" },
        Meaning: "The least level. Takes a level.",
      },
      {
        ...{ Key: "node.name", Value: "a", From: "default", "A change": "waits for a restart" },
        Meaning: "Its name.",
      },
      {
        ...{ Key: "node.other", Value: "a", From: "default", "A change": "at a restart", Meaning: "Other." },
      },
    ],
  ],
  [
    "/config",
    "Changed while it ran",
    [{ Key: "log.level", Value: "debug", "Without it": "info", Taken: "in force" }],
  ],
  [
    "/logins",
    "Users that may connect",
    [
      {
        ...{ User: "meter-7", "Only as client": "m7", "Logs in by": "password, SCRAM" },
        ...{ "Rules for topics": "hold", Changed: "4 min ago" },
      },
      {
        ...{ User: "root", "Only as client": "–", "Logs in by": "its name alone" },
        ...{ "Rules for topics": "skipped (superuser)", Changed: "26 h ago" },
      },
    ],
  ],
  [
    "/access?tab=keys",
    "API keys",
    [
      { "What for": "backend", Id: "k1", Role: "viewer", Ends: "in 5 h 00 min", Used: "4 min ago" },
      { "What for": "spare", Id: "k2", Role: "publisher", Ends: "never", Used: "not since the start" },
    ],
  ],
  [
    "/access?tab=sessions",
    "Open sessions",
    [
      {
        ...{ Name: "ana", From: "10.0.0.9", Since: "2026-11-29 14:02:31", Seen: "4 min ago" },
        Ends: "in 11 h 00 min",
      },
    ],
  ],
  [
    "/translation",
    "Traces",
    [
      {
        ...{ Trace: "t1", Of: "client pump-7", State: "it was full", Rows: "5,000 of 50,000" },
        ...{ Size: "300 KB", Started: "2026-11-29 14:02:31", By: "ana" },
      },
    ],
  ],
  [
    "/lwm2m",
    "LwM2M devices",
    [
      {
        ...{ State: "overdue", Endpoint: "pump-7", Version: "MQTT-SN 1.2", Heard: "2 h 02 min" },
        ...{ Due: "1 h 00 min ago", Waiting: "41" },
      },
      {
        ...{ State: "awake", Endpoint: "urn:cam:3", Version: "–", Heard: "–", Due: "never promised" },
        Waiting: "0",
      },
    ],
  ],
];

const FACTS: readonly (readonly [path: string, facts: Readonly<Record<string, string>>])[] = [
  [
    "/clients/pump-7?gateway=mqtt-sn",
    {
      ...{ "Client id": "pump-7", User: "–", Proven: "user:ana", Address: "10.1.4.17:40112" },
      ...{ Mountpoint: "site-1/", "Past the rules": "yes, a superuser", "Keep-alive": "1 min 00 s" },
      ...{ "Lives on": "1 h 00 min", "Began clean": "no", Waiting: "41 (2.0 KB)", "On its way": "5" },
      ...{ "Lost since the start": "16", "QoS 2 to be released": "2", Due: "1 h 00 min ago" },
      Will: "will/pump-7, QoS 1, 21 B, after 5.0 s",
    },
  ],
  [
    "/rules/warm",
    {
      ...{ "Run for": "1,001", "With an output": "1,002", "Conditions said no": "1,003", Failed: "1,004" },
      ...{
        "Left out, since they came from it or came back": "1,005",
        Now: "1.1/s",
        "In five minutes": "2 a minute",
      },
      "At most": "2,000/s",
    },
  ],
  [
    "/connectors/hook",
    {
      ...{ Kind: "http", Waiting: "108, 1.2 KB", "With the sink": "107", "The last batch took": "58 ms" },
      ...{
        "Given to it": "101",
        "Waited at the start": "102",
        Arrived: "103",
        "Of that after retries": "109",
      },
      ...{ "Dead-lettered": "104", Expired: "105", "Dropped, the queue was full": "106" },
      ...{ Requests: "111 in 110 batches", "Last failure": "4 min ago: 503" },
    },
  ],
  [
    "/about",
    {
      ...{ Name: "isthmus-1", Started: "2026-11-29 14:02:31", "Up for": "1 h 05 min", sessions: "12,345" },
      resident: "16.0 MB",
    },
  ],
];

describe.skipIf(lacks("chromium"))("what the API answers", () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  async function onAnswers(run: (page: Page) => Promise<void>, fed = false): Promise<void> {
    const { page, wrong, close } = await look(browser, site.base, { timezoneId: "UTC" });
    if (fed) await page.addInitScript(FEEDS);
    const nameOf = (url: string): string => new URL(url).pathname.replace("/api/v1", "");
    await page.route(
      ({ href }) => nameOf(href) in ANSWERS,
      (route) =>
        route.fulfill({
          contentType: "application/json",
          body: answered(ANSWERS[nameOf(route.request().url())]),
        }),
    );
    await enter(page, site.base, "/about");
    await run(page);
    expect(wrong).toEqual([]);
    await close();
  }

  it("stands in tables, each under its title, in its unit and in its order", () =>
    onAnswers(async (page) => {
      for (const [path, caption, rows] of TABLES) {
        await visit(page, path);
        await page.locator("main table", { has: page.getByText(caption, { exact: true }) }).waitFor();
        expect([path, caption, await tableOf(page, caption)]).toEqual([path, caption, rows]);
      }
      // By how often, the most first.
      await visit(page, "/refusals");
      for (const counts of [
        ["331", "9"],
        ["9", "331"],
      ]) {
        await page.getByRole("button", { name: "Count" }).click();
        await expect
          .poll(async () => (await tableOf(page, "Refusals")).map(({ Count }) => Count))
          .toEqual(counts);
      }
    }));

  it("stands beside its name where it is a fact, and an alarm says since when and what it is about", () =>
    onAnswers(async (page) => {
      for (const [path, facts] of FACTS) {
        await visit(page, path);
        // Those of the page before are there until then.
        await expect.poll(() => factsOf(page), { message: path }).toMatchObject(facts);
      }
      await visit(page, "/alarms");
      const raised = page.locator("main .part").filter({ hasText: "high-memory" });
      for (const words of ["warning", "memory is short", "for 4 min", "used", "91"])
        await raised.getByText(words).first().waitFor();
    }));

  it("stands in the figures and plots of the overview and beside each gateway, as the node says it each second", () =>
    onAnswers(async (page) => {
      await page.waitForFunction("feeds.has('/series/events')");
      await visit(page, "/");
      await page.locator(".plot canvas").nth(5).waitFor();
      const values = {
        ...{ "in.mqtt": 1_204, "out.mqtt": 8_410, "clients.awake": 9_000, "clients.asleep": 871 },
        ...{ waiting: 1_041, "waiting.bytes": 16 * 1_024 * 1_024, "refused.forbidden": 0.5, "lost.full": 2 },
      };
      await page.evaluate(`feed("/series/events", ${JSON.stringify(point(Date.now(), values))})`);
      await expect
        .poll(() => page.locator(".figure").allInnerTexts())
        .toEqual([
          "In\n1,204/s\nfrom clients",
          "Out\n8,410/s\nto clients",
          "Clients\n9,871\nof all gateways",
          "Waiting\n1,041\n16.0 MB",
          "Refused\n0.5/s\nby reason",
          "Lost\n2.0/s\nby reason",
        ]);
      const keys = (plot: number) => page.locator(".plot").nth(plot).locator(".key").allInnerTexts();
      for (const [plot, said] of [
        [0, ["mqtt\n1,204/s\nmost 1,204/s"]],
        [2, ["awake\n9,000\nmost 9,000", "asleep\n871\nmost 871"]],
        [4, ["forbidden\n0.5/s\nmost 3.0/s"]],
      ] as const)
        await expect.poll(() => keys(plot)).toEqual(said);
      await visit(page, "/gateways");
      const card = page.locator("main .part").first();
      await card.getByText("running").waitFor();
      expect(await card.locator("dl.facts dd").allInnerTexts()).toEqual([
        ...["7,561", "1,204/s", "8,410/s", "itself"],
      ]);
      await page.locator("main .part").nth(1).getByText("stopped").waitFor();
    }, true));
});
