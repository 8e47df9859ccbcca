/** What a page says when the node is gone, when clocks differ, when it is busy, and when it has a hundred thousand clients. */
import type { Browser, Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClientSummary, Clients } from "#core/operate/clients.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { lacks } from "../support/programs.ts";
import { mqttClient } from "./devices.ts";
import { FEEDS, point } from "./feeds.ts";
import { enter, launch, look, row, type Site, shoot, startSite, urlOf, visit } from "./site.ts";

describe.skipIf(lacks("chromium"))("a node that goes and comes", () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  it("without it the page says since when, goes grey, and shows no number that looks live; then it is fresh again", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base, "/clients");
    await page.locator(".live.live").waitFor();
    await site.kill();
    await page.getByText(/Not live since/).waitFor();
    expect(await page.locator("main.not-live").count()).toBe(1);
    await page.getByRole("link", { name: "Refusals" }).click();
    await page.getByText("The node does not answer").waitFor();
    // The page would come back by itself as soon as the node does: until the button is pressed its tries fail.
    let pressed = false;
    await page.exposeFunction("pressed", () => (pressed = true));
    await page.evaluate("document.addEventListener('click', () => pressed(), true)");
    await page.route("**/api/v1/series/events", (route) => (pressed ? route.continue() : route.abort()));
    await site.start();
    await page.getByRole("button", { name: "Try now" }).dispatchEvent("click");
    await page.locator(".live.live").waitFor();
    await page.getByText(/Not live since/).waitFor({ state: "detached" });
    await page.getByText("Nothing was refused since the start").waitFor();
    expect(wrong).toEqual([]);
    await close();
  });

  it.each([
    ["late", -7_200_000],
    ["early", 7_200_000],
  ])("a clock of the browser that is two hours %s harms no age", async (_, off) => {
    const { page, close } = await look(browser, site.base);
    await page.addInitScript(`const now = Date.now; Date.now = () => now() + ${off};`);
    const client = await mqttClient(site.ports, "clocked", { keepalive: 600 });
    await enter(page, site.base, "/clients/clocked?gateway=mqtt");
    await page.getByText("The clock of this browser is off").waitFor();
    const said = page.locator("figure.clock figcaption");
    await said.filter({ hasText: /heard \d+(\.\d)? (s|min) ago.*due in \d+ min/s }).waitFor();
    client.end(true);
    await close();
  });

  it("nor any plot: what is asked for begins by the node's clock, and is not cut off (D-123)", async () => {
    const { page, close } = await look(browser, site.base);
    await page.addInitScript("const now = Date.now; Date.now = () => now() + 7_200_000;");
    await enter(page, site.base, "/about");
    const asked = page.waitForRequest((request) => request.url().includes("/series?step=10"));
    await visit(page, "/?span=6+h");
    const since = new URL((await asked).url()).searchParams.get("since") ?? "";
    expect(Math.abs(Date.now() - Date.parse(since) - 21_600_000)).toBeLessThan(60_000);
    await close();
  });

  it("a client on a phone is a card of three lines, whatever its id and its promise (D-052)", async () => {
    const view = { viewport: { width: 360, height: 780 } };
    const { page, wrong, close } = await look(browser, site.base, view);
    const ago = (seconds: number): string => new Date(Date.now() - seconds * 1_000).toISOString();
    const common = { listener: "tcp", phase: "connected", address: "2001:db8:1:2:3:4:5:6", port: 40_112 };
    const numbers = { keepAlive: 60, subscriptions: 1, waitingBytes: 9, onItsWay: 0 };
    const items = [
      { clientId: "pump-7", gateway: "mqtt-sn", state: "overdue", heardAt: ago(11_520), dueAt: ago(7_320) },
      { clientId: "x".repeat(200), gateway: "stomp", state: "awake", heardAt: ago(3) },
      { clientId: "never heard", gateway: "lwm2m", state: "asleep", endpoint: "urn:imei:490154203237518" },
      { clientId: "", gateway: "mqtt", state: "away", dueAt: ago(-90_000), heardAt: ago(170_000) },
    ].map((one) => ({ ...common, ...numbers, ...one, waiting: 1_041, lost: 160 }));
    await page.route("**/api/v1/clients?*", (route) => route.fulfill({ json: { items, count: 4 } }));
    await enter(page, site.base, "/clients");
    await row(page, "pump-7").waitFor();
    const lines = await page.evaluate(`[...document.querySelectorAll("main tr[data-row]")].map((card) => {
      const cells = [...card.children].filter((cell) => cell.checkVisibility() && getComputedStyle(cell).position !== "absolute");
      const middles = cells.map((cell) => cell.getBoundingClientRect()).map(({ top, height }) => Math.round((top + height / 2) / 4));
      const tall = cells.filter((cell) => cell.getBoundingClientRect().height > 30).length;
      return new Set(middles).size + tall;
    })`);
    expect(lines).toEqual([3, 3, 3, 3]);
    expect(Number(await page.evaluate("document.documentElement.scrollWidth - innerWidth"))).toBe(0);
    await shoot(page, "cards-360");
    expect(wrong).toEqual([]);
    await close();
  });

  it("a client's states over time are bands and a list, of an hour, a day or a week, with gaps where nothing is known (D-054)", async () => {
    const client = await mqttClient(site.ports, "banded");
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base, "/clients/banded?gateway=mqtt");
    const states = page.locator("section, .part").filter({ hasText: "States over time" }).first();
    await states.getByText(/never overdue, heard in \d of \d quarters of an hour/).waitFor();
    await states.getByRole("button", { name: "1 h" }).click();
    await states.getByText(/never overdue, heard in \d of \d minutes/).waitFor();
    expect((await urlOf(page)).searchParams.get("over")).toBe("1 h");
    const from = Date.parse("2027-01-04T00:00:00Z");
    await page.route("**/api/v1/clients/banded/history?*", (route) =>
      route.fulfill({
        json: {
          ...{ step: 3_600, kept: true, from: new Date(from).toISOString() },
          states: ["asleep", "asleep", null, "overdue", "awake"],
          heard: [true, true, false, false, true],
        },
      }),
    );
    await states.getByRole("button", { name: "7 d" }).click();
    await states.getByText("overdue for 1 h 00 min, heard in 3 of 4 hours").waitFor();
    const bands = await page.evaluate(`[...document.querySelectorAll(".history .band")].map((band) =>
      [band.className, band.style.left, band.style.width].join(" "))`);
    expect(bands).toEqual(["band asleep 0% 40%", "band overdue 60% 20%", "band awake 80% 20%"]);
    expect(await page.locator(".history .tick").count()).toBe(3);
    await states.getByRole("button", { name: "as a list" }).click();
    const list = await states.getByRole("listitem").allTextContents();
    expect(list.map((one) => one.replaceAll(/\d\d-\d\d \d\d:\d\d/g, "T"))).toEqual([
      "awake, T to T (1 h 00 min)",
      "overdue, T to T (1 h 00 min)",
      "not known, T to T (1 h 00 min)",
      "asleep, T to T (2 h 00 min)",
    ]);
    expect(wrong).toEqual([]);
    client.end(true);
    await close();
  });

  it("what fails says so in its own place, with its code, and the rest of the page lives", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.route("**/api/v1/health", (route) =>
      route.fulfill({
        ...{ status: 500, contentType: "application/problem+json" },
        body: '{"title":"Internal error","code":"internal"}',
      }),
    );
    await enter(page, site.base);
    await page.getByText("internal (500)").waitFor();
    await page.locator(".plot").first().waitFor();
    expect(wrong).toEqual([]);
    await close();
  });
});

const PAGES = [
  ...["/", "/clients", "/clients/x?gateway=mqtt", "/refusals", "/translation", "/translation/x", "/topics"],
  ...["/lwm2m", "/lwm2m/x", "/firmware", "/gateways", "/upstream", "/rules", "/rules/x", "/connectors"],
  ...["/connectors/x", "/logins", "/alarms", "/bans", "/changes", "/config", "/access"],
];
/** Those that ask for nothing until they are told to. */
const QUIET = ["/messages", "/about", "/more"];
/** Of one client that is there. */
const TABS = ["", "&tab=waiting", "&tab=subscriptions", "&tab=messages", "&tab=protocol"].map(
  (tab) => `/clients/seen?gateway=mqtt${tab}`,
);
/** What only operators or administrators may do. */
const ACTS =
  /^(Kick|Ban|Lift|Start|Stop|Order|Make|Restart|Close|Open|Clear|Drain|Delete|Write|Execute|Publish|Subscribe|Forget|Apply|Read it again)/;
/** What the frame itself needs. */
const FRAME = /\/api\/v1\/(session|node|series\/events|simulator)$/;

describe.skipIf(lacks("chromium"))("an API that answers badly (D-044, D-045)", () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    [site, browser] = await Promise.all([startSite(), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.stop();
  });

  const problem = (status: number, code: string) => ({
    ...{ status, contentType: "application/problem+json" },
    body: JSON.stringify({ title: "So it is", code, detail: "the test wants it" }),
  });

  it.each([
    ["500 everywhere", (route: Route) => route.fulfill(problem(500, "internal")), "internal (500)"],
    ["403 everywhere", (route: Route) => route.fulfill(problem(403, "forbidden")), "forbidden (403)"],
    ["no answer at all", (route: Route) => route.abort(), "The node does not answer"],
    ["rubbish", (route: Route) => route.fulfill({ status: 502, body: "<html>" }), "(502)"],
  ] as const)("%s: no page is blank, each says what failed in its place", async (_, answer, said) => {
    const { page, wrong, close } = await look(browser, site.base);
    // Not on a page of those that follow: what it has read already it would go on showing until it asks again.
    await enter(page, site.base, "/about");
    await page.route(
      (url) => url.pathname.startsWith("/api/v1/") && !FRAME.test(url.pathname),
      (route) => answer(route),
    );
    const blank: string[] = [];
    for (const path of PAGES) {
      await page.evaluate(
        `history.pushState(null, "", ${JSON.stringify(path)}); dispatchEvent(new PopStateEvent("popstate"))`,
      );
      const failed = page.locator("main").getByText(said).first();
      await failed.waitFor({ timeout: 30_000 }).catch(() => blank.push(`${path} says nothing`));
      if ((await page.locator("main h1").count()) !== 1) blank.push(`${path} has no heading`);
    }
    expect(blank).toEqual([]);
    expect(wrong).toEqual([]);
    await close();
  });

  it("without the stream every page is grey and says so; by a wrong clock every page says that, and counts by the node's", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.addInitScript("const now = Date.now; Date.now = () => now() - 7_200_000;");
    const client = await mqttClient(site.ports, "seen", { keepalive: 600 });
    await enter(page, site.base, "/about");
    await page.locator(".live.live").waitFor();
    await page.route("**/api/v1/series/events", (route) => route.abort());
    await page.getByRole("button", { name: /^pause, now/ }).click();
    await page.getByRole("button", { name: /^go on, now/ }).click();
    await page.getByText(/Not live since/).waitFor();
    const problems: string[] = [];
    for (const path of [...PAGES, ...QUIET, ...TABS]) {
      await visit(page, path);
      await page.locator("main .lines").first().waitFor({ state: "detached" });
      if ((await page.locator("main.not-live").count()) !== 1) problems.push(`${path} looks live`);
      if ((await page.getByText(/Not live since/).count()) !== 1) problems.push(`${path} does not say so`);
      if ((await page.getByText("The clock of this browser is off").count()) !== 1)
        problems.push(`${path} does not speak of the clock`);
      const told = (await page.locator("main").textContent()) ?? "";
      // Two hours off would be this long ago, or this far away.
      const off = /\b(1 h 5\d|2 h 0\d) min\b/.exec(told)?.[0];
      if (off !== undefined) problems.push(`${path} says ${off}`);
    }
    expect(problems).toEqual([]);
    expect(wrong).toEqual([]);
    client.end(true);
    await close();
  });

  it("what takes long shows nothing for 150 ms, then lines; what was there stays (D-043)", async () => {
    const { page, close } = await look(browser, site.base);
    await enter(page, site.base);
    // The page asks again every few seconds, and lets go of what it has asked before: none is answered until then, and all after.
    let answer = (): void => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route("**/api/v1/bans*", async (route) => {
      await held;
      await route.continue().catch(() => undefined);
    });
    await visit(page, "/bans");
    const lines = page.locator("main .lines");
    await lines.waitFor();
    expect(
      await page.evaluate("getComputedStyle(document.querySelector('main .lines')).animationDelay"),
    ).toBe("0.15s");
    answer();
    await page.getByText("Nobody is banned").waitFor();
    await close();
  });

  it("an answer that is slow is waited for, and not asked for again and again", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.addInitScript(FEEDS);
    await enter(page, site.base, "/about");
    let answer = (): void => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let asked = 0;
    await page.route("**/api/v1/alarms?*", async (route) => {
      asked++;
      await held;
      await route.continue().catch(() => undefined);
    });
    await page.waitForFunction("feeds.has('/series/events')");
    await visit(page, "/alarms");
    await expect.poll(() => asked).toBe(1);
    // The list is asked for every two seconds.
    const beats = Array.from({ length: 20 }, (_, second) => point(Date.now() + second * 1_000)).join("");
    await page.evaluate(`feed("/series/events", ${JSON.stringify(beats)})`);
    await page.locator(".live.live").waitFor();
    answer();
    await page.getByText("No alarm is raised").waitFor();
    expect(asked).toBe(1);
    expect(wrong).toEqual([]);
    await close();
  });

  it("ten thousand notices are three, and what is said again is counted; the page is still there", async () => {
    await site.ask("PUT", "/rules/x", { sql: 'SELECT * FROM "x"', actions: [] });
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base, "/rules/x");
    await page.getByRole("button", { name: "Let it rest" }).waitFor();
    await page.evaluate(`{
      const own = fetch;
      let count = 0;
      window.fetch = (url, ...rest) => String(url).endsWith("/disable")
        ? Promise.resolve(Response.json({ title: "Refused " + count++ % 2, detail: "by the test" }, { status: 500 }))
        : String(url).includes("/rules/x") ? new Promise(() => {}) : own(url, ...rest);
      const button = [...document.querySelectorAll("main button")].find((one) => one.textContent.includes("Let it rest"));
      for (let click = 0; click < 10000; click++) button.click();
    }`);
    await page
      .locator(".notices")
      .getByText(/Refused \d.*\(\d+ times\)/)
      .first()
      .waitFor();
    expect(await page.locator(".notices p").count()).toBeLessThanOrEqual(3);
    await page.getByRole("link", { name: "Alarms" }).click();
    await page.getByRole("heading", { name: "Alarms" }).waitFor();
    await page.locator(".notices p").first().waitFor({ state: "detached" });
    expect(wrong).toEqual([]);
    await close();
  });

  it("a viewer sees every page, and what needs another role says which, and is not done (D-045)", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.route("**/api/v1/session", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), role: "viewer" } });
    });
    await enter(page, site.base, "/about");
    const changes: string[] = [];
    page.on("request", (request) => {
      if (request.method() !== "GET") changes.push(`${request.method()} ${request.url()}`);
    });
    const problems: string[] = [];
    let told = 0;
    const client = await mqttClient(site.ports, "seen");
    for (const path of [...PAGES, ...QUIET, ...TABS]) {
      await visit(page, path);
      await page.locator("main .lines").first().waitFor({ state: "detached" });
      const buttons = (await page.evaluate(`[...document.querySelectorAll("main button.button")]
        .filter((one) => one.checkVisibility())
        .map((one) => ({
          name: one.textContent,
          needs: document.getElementById(one.getAttribute("aria-describedby"))?.textContent ?? "",
          able: one.getAttribute("aria-disabled") !== "true",
        }))`)) as { name: string; needs: string; able: boolean }[];
      for (const { name, needs, able } of buttons) {
        if (needs !== "") told++;
        if (needs !== "" && able) problems.push(`${path}: ${name} ${needs}, and can be pressed`);
        if (needs === "" && ACTS.test(name)) problems.push(`${path}: ${name} says nothing of roles`);
      }
      await page.evaluate(
        `document.querySelectorAll("main button[aria-disabled=true]").forEach((one) => one.click())`,
      );
    }
    expect(problems).toEqual([]);
    expect(told).toBeGreaterThan(15);
    expect(changes).toEqual([]);
    expect(wrong).toEqual([]);
    client.end(true);
    await close();
  });

  it("a session that ends asks to sign in on the same page, and what was typed there is there again (D-045)", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.goto(site.base);
    await page.getByLabel("Code from the log").fill(site.code);
    await page.getByLabel("Name of the first").fill("ana");
    await page.getByLabel("Password", { exact: false }).first().fill(PASSWORD);
    await page.getByLabel("Password again").fill(PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await visit(page, "/bans");
    await page.getByRole("textbox", { name: "client id" }).fill("half a name");
    const cookies = await page.context().cookies();
    await page.context().clearCookies();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    expect(await page.getByRole("heading", { name: "Bans" }).isVisible()).toBe(false);
    expect(cookies.length).toBeGreaterThan(0);
    await page.getByLabel("Name").fill("ana");
    await page.getByLabel("Password").fill(PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Bans" }).waitFor();
    expect(await page.getByRole("textbox", { name: "client id" }).inputValue()).toBe("half a name");
    await page.getByText("Nobody is banned").waitFor();
    expect(wrong).toEqual([]);
    await close();
  });
});

const PASSWORD = "a sentence that only ana knows";
const ALL = 100_000;
const NOW = Date.now();

/** Clients that are there in name only: what a node with so many would list. */
function crowd(clients: Clients): Clients {
  const summary = (number: number): ClientSummary =>
    ({
      ...{ number, gateway: number % 2 === 0 ? "mqtt" : "coap", listener: "tcp" },
      ...{ clientId: `meter-${String(number).padStart(6, "0")}`, presence: "connected", state: "connected" },
      ...{ transport: "udp", address: "10.0.0.1", port: number % 65_536, since: 0, keepAlive: 60 },
      ...{ heardAt: NOW - number, dueAt: NOW + 600_000 - number, cleanStart: false },
      ...{ subscriptions: 1, queued: number % 7, queuedBytes: 0, unsettled: 0, lost: 0 },
    }) as unknown as ClientSummary;
  const page = (filter: { gateway?: string }, { after = 0, limit = 100, looks = 10_000 } = {}) => {
    const items: ClientSummary[] = [];
    let number = after + 1;
    for (let seen = 0; number <= ALL && items.length < limit && seen < looks; number++, seen++) {
      const one = summary(number);
      if (filter.gateway === undefined || filter.gateway === one.gateway) items.push(one);
    }
    return { items, next: number > ALL ? undefined : number - 1 };
  };
  return Object.assign(Object.create(clients) as object, {
    page,
    get: () => undefined,
  }) as unknown as Clients;
}

describe.skipIf(lacks("chromium"))("a hundred thousand clients", () => {
  let api: TestApi;
  let browser: Browser;
  beforeAll(async () => {
    browser = await launch();
    api = await startApi({}, { dashboard: true, accounts: false });
    const { operator } = api.ports as { operator: { clients: Clients } };
    operator.clients = crowd(operator.clients);
  });
  afterAll(async () => {
    await browser?.close();
    await api?.stop();
  });

  it("are listed a hundred at a time, sorted, filtered and paged by the node; the page holds no more", async () => {
    const { page, wrong, close } = await look(browser, api.base);
    await enter(page, api.base, "/clients");
    const times: string[] = [];
    const first = (id: string) => page.locator("tr[data-row]").first().filter({ hasText: id }).waitFor();
    const timed = async (what: string, act: Promise<unknown>, id: string): Promise<void> => {
      const begun = performance.now();
      await act;
      await first(id);
      times.push(`${what} ${Math.round(performance.now() - begun)} ms`);
    };
    await page.getByText("100 of 100,000").waitFor();
    expect(await page.locator("tr[data-row]").count()).toBe(100);
    // Soonest due first.
    await first("meter-100000");
    await timed("next page", page.getByRole("button", { name: "Next" }).click(), "meter-099900");
    await page.getByText(", page 2").waitFor();
    await page.getByRole("button", { name: "Previous" }).click();
    await first("meter-100000");
    await timed("filter", page.getByLabel("Gateway").selectOption("coap"), "meter-099999");
    await page.getByText("100 of 50,000").waitFor();
    // Six wait at every seventh: of those of CoAP, which are odd, the least number comes first.
    await timed("sort", page.getByRole("button", { name: "Waiting" }).click(), "meter-000013");
    console.log(`100,000 clients: ${times.join(", ")}`);
    expect(Number(await page.evaluate("document.querySelectorAll('*').length"))).toBeLessThan(8_000);
    expect(wrong).toEqual([]);
    await close();
  });
});
