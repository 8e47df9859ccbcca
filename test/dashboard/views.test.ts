/** Views and the ways to them: from question to answer, addresses that can be shared, what is typed, kept and said. */
import type { MqttClient } from "mqtt";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { lwm2mRegister, mqttClient, mqttSnDevice } from "./devices.ts";
import { FEEDS, point } from "./feeds.ts";
import { lwm2mDevice } from "./lwm2m-device.ts";
import {
  button,
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

const ODD_IDS = [".", "..", "-", "a/b", "%2F", "x?y#z&w+v", "ends/"];

const exactly = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

describe.skipIf(lacks("chromium"))("the dashboard", () => {
  let site: Site;
  let browser: Browser;
  let backend: MqttClient;
  const ends: (() => void)[] = [];

  beforeAll(async () => {
    [site, browser] = await Promise.all([
      startSite(
        `authorization: { rules: [{ permission: deny, who: all, action: publish, topics: ["secret/#"] }] }`,
      ),
      launch(),
    ]);
    backend = await mqttClient(site.ports, "backend", { protocolVersion: 5 });
    await backend.subscribeAsync("heard/#", { qos: 1 });
    await backend.publishAsync("secret/x", "1", { qos: 1 }).catch(() => undefined);
    // From here on topics are noted.
    await site.ask("GET", "/topics/tree");
    const silent = await mqttClient(site.ports, "silent", { clean: false, keepalive: 1 });
    silent.stream.destroy();
    const sleeper = await mqttSnDevice(site.ports, {
      ...{ id: "pump-7", user: "", topic: "room/7/temp", payload: "21.5" },
    });
    await sleeper.subscribe("cmd/pump-7/set");
    await sleeper.sleep(600);
    await backend.publishAsync("cmd/pump-7/set", '{"rpm":1200}', { qos: 1 });
    await lwm2mRegister(site.ports, "meter-0044");
    ends.push(
      () => backend.end(true),
      () => sleeper.close(),
    );
  });
  afterAll(async () => {
    for (const end of ends) end();
    await browser?.close();
    await site?.stop();
  });

  async function on(path: string, run: (page: Page) => Promise<void>, options = {}): Promise<void> {
    const { page, wrong, close } = await look(browser, site.base, options);
    await enter(page, site.base, path);
    await run(page);
    expect(wrong).toEqual([]);
    await close();
  }

  it("answers the questions of operators in two clicks at most from the overview (D-020, D-021)", async () => {
    await site.ask("POST", "/traces", { topic: "heard/#", seconds: 600, name: "the heard" });
    await backend.publishAsync("heard/1", "1", { qos: 1 });
    await on("/", async (page) => {
      const menu = (name: string) => page.locator("nav.menu").getByRole("link", { name, exact: true });
      const main = page.locator("main");
      const questions: readonly (readonly [
        clicks: readonly { click(): Promise<void> }[],
        answer: string | RegExp,
      ])[] = [
        // Which device is silent, and is it only asleep?
        [[main.getByRole("link", { name: "show 1 client overdue" })], "silent"],
        // Why was it refused?
        [[menu("Refusals")], /secret\/x/],
        // Where did this message go?
        [[menu("Translation"), main.getByRole("link", { name: "the heard" })], "heard/1"],
        // What waits for the sleeper?
        [[menu("Clients"), main.getByRole("link", { name: "1 waiting for pump-7" })], '{"rpm":1200}'],
        // Is the gateway healthy? What has changed? How much was it?
        [[], "Health"],
        [[main.getByRole("link", { name: "all changes" })], "Who"],
        [[main.getByRole("button", { name: "7 d" })], "Messages in"],
        // What does it send now?
        [[menu("Topics"), main.locator(".level-row .name").filter({ hasText: "heard" })], "heard/#"],
        // Make it do something. Who may do that?
        [[menu("LwM2M"), main.getByRole("link", { name: "meter-0044", exact: true })], "Device"],
        [[menu("Access")], "Make a user"],
      ];
      for (const [clicks, answer] of questions) {
        expect(clicks.length).toBeLessThanOrEqual(2);
        await visit(page, "/");
        for (const one of clicks) await one.click();
        await main
          .getByText(answer)
          .or(main.getByRole("img", { name: answer }))
          .first()
          .waitFor();
      }
    });
  });

  it("says on the overview who is overdue, what was refused and lost and why, and nothing where nothing is (D-041)", async () => {
    const small = await mqttClient(site.ports, "small", {
      ...{ clean: false, protocolVersion: 5, properties: { sessionExpiryInterval: 600 } },
    });
    await small.subscribeAsync("lost/#", { qos: 1 });
    await small.endAsync();
    await backend.publishAsync("lost/x", "1", { qos: 1 });
    const [waiting] = await site.ask<{ id: string }[]>("GET", "/clients/small/waiting?gateway=mqtt");
    await on("/", async (page) => {
      await page.locator(".live.live").waitFor();
      await site.ask("DELETE", `/clients/small/waiting/${waiting!.id}?gateway=mqtt`);
      await backend.publishAsync("secret/x", "1", { qos: 1 }).catch(() => undefined);
      const attention = page.locator(".attention");
      await attention.getByText("1 client overdue").waitFor();
      await attention.getByText(/worst silent, due .* ago/).waitFor();
      await attention
        .getByRole("listitem")
        .filter({ hasText: "refusal" })
        .getByText(/forbidden \d/)
        .waitFor();
      await attention
        .getByRole("listitem")
        .filter({ hasText: "1 message lost" })
        .getByText("deleted 1")
        .waitFor();
      await attention.getByRole("link", { name: "silent", exact: true }).click();
      await page.getByRole("heading", { level: 1, name: "silent" }).waitFor();
    });
    const { page, close } = await look(browser, site.base);
    // As if none of it were there, in a browser whose clock is two hours late.
    await page.addInitScript("const now = Date.now; Date.now = () => now() - 7_200_000;");
    await page.route("**/api/v1/series?*", (route) =>
      route.fulfill({
        json: { step: 1, from: new Date().toISOString(), series: [] },
        headers: { "isthmus-time": String(Date.now()) },
      }),
    );
    await page.route("**/api/v1/series/events", (route) => route.abort());
    await enter(page, site.base);
    const well = await textOf(page.getByText(/Nothing needs attention at \d\d:\d\d:\d\d/));
    const [, hours, minutes] = /(\d\d):(\d\d):\d\d/.exec(well)!.map(Number);
    const now = new Date();
    const late = now.getHours() * 60 + now.getMinutes() - (hours! * 60 + minutes!);
    // By the clock of the node: a minute may just have passed, or midnight.
    expect(((late % 1_440) + 1_440) % 1_440).toBeLessThan(10);
    await close();
  });

  it("opens clients of any id by its links, and again when the page is loaded anew (D-031)", async () => {
    const clients = await Promise.all(ODD_IDS.map((id) => mqttClient(site.ports, id)));
    await on("/clients?gateway=mqtt", async (page) => {
      for (const id of ODD_IDS) {
        await visit(page, `/clients?gateway=mqtt&clientId=${encodeURIComponent(id)}`);
        await page.locator("main tr[data-row]").getByRole("link", { name: id, exact: true }).click();
        await page.getByRole("tablist").waitFor();
        await page.reload();
        await button(page, "Look around first").click();
        await page.getByRole("tablist").waitFor();
        expect(await textOf(page.locator("main h1"))).toBe(id);
      }
    });
    for (const client of clients) client.end(true);
    await lwm2mRegister(site.ports, "..");
    await on("/lwm2m", async (page) => {
      await page.getByRole("link", { name: "..", exact: true }).click();
      await page.getByText("Registration ends").waitFor();
      expect(await textOf(page.locator("main h1"))).toBe("..");
    });
  });

  it("shows whoever is sent the address the same view: filter, sort, columns, tab, window (D-032, D-051)", async () => {
    await on("/clients", async (page) => {
      await page.getByLabel("Gateway").selectOption("mqtt");
      await exactly(page, "Client").click();
      await button(page, "Columns").click();
      await page.getByLabel("Protocol", { exact: true }).check();
      await page.getByLabel("Lost", { exact: true }).uncheck();
      const shared = (await urlOf(page)).href;
      await on(shared.slice(site.base.length), async (other) => {
        await row(other, "backend").getByText("MQTT 5.0").waitFor();
        expect(await other.locator("main th").allInnerTexts()).not.toContain("Lost");
        expect(await textOf(other.locator("th[aria-sort=descending]"))).toBe("Client");
        expect(await row(other, "pump-7").count()).toBe(0);
      });
      // Which columns are shown is kept in the browser, too.
      await visit(page, "/clients");
      await row(page, "backend").getByText("MQTT 5.0").waitFor();
      await visit(page, "/clients?prefix=nobody");
      await button(page, "Clear the filters").click();
      await row(page, "pump-7").waitFor();
      await visit(page, "/");
      await exactly(page, "6 h").click();
      expect((await urlOf(page)).search).toBe("?span=6+h");
      await page.reload();
      await button(page, "Look around first").click();
      await page.locator("button[aria-pressed=true]", { hasText: "6 h" }).waitFor();
      await page.locator(".plot").first().getByRole("button", { name: "as a table" }).click();
      await page.getByRole("table", { name: /Messages in/ }).waitFor();
    });
  });

  it("waits 1, 2, 4 and at most 30 s between its tries to be live again, by chance a little more or less (D-044)", () =>
    on("/about", async (page) => {
      await page.locator(".live.live").waitFor();
      await page.clock.install();
      await page.clock.pauseAt(Date.now() + 60_000);
      // Each try fails where it is made, so that nothing is left to be waited for but the clock.
      await page.evaluate(`{
        const own = fetch;
        window.tries = 0;
        window.fetch = (url, ...rest) => {
          if (!String(url).includes("/series/events")) return own(url, ...rest);
          tries++;
          return Promise.reject(new TypeError("refused"));
        };
      }`);
      const tries = async (): Promise<number> => Number(await page.evaluate("tries"));
      await button(page, /^pause, now/).click();
      await button(page, /^go on, now/).click();
      await page.getByText(/Next try in \d+ s/).waitFor();
      expect(await tries()).toBe(1);
      for (const least of [1, 2, 4, 8, 16, 30, 30]) {
        const before = await tries();
        let tenths = 0;
        for (; (await tries()) === before && tenths < 20; tenths++) await page.clock.fastForward(least * 100);
        expect(tenths, `of ${least} s`).toBeGreaterThanOrEqual(7);
        expect(tenths, `of ${least} s`).toBeLessThanOrEqual(16);
      }
    }));

  it("is not live any more when nothing comes for five seconds, whatever the connection looks like (D-044)", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.clock.install();
    await page.addInitScript(FEEDS);
    await enter(page, site.base, "/about");
    await page.waitForFunction("feeds.has('/series/events')");
    await page.evaluate(`feed("/series/events", ${JSON.stringify(point(1))})`);
    await page.locator(".live.live").waitFor();
    await page.clock.fastForward(5_100);
    await page.getByText(/Not live since .* nothing has come for 5 s/).waitFor();
    expect(await page.locator("main.not-live").count()).toBe(1);
    expect(wrong).toEqual([]);
    await close();
  });

  it("tells of what was done to several what was done and what was not (D-048)", async () => {
    const here = await mqttClient(site.ports, "many-1");
    const gone = await mqttClient(site.ports, "many-2", { clean: false });
    await on("/clients?prefix=many", async (page) => {
      const choose = async (): Promise<void> => {
        for (const id of ["many-1", "many-2"]) await row(page, id).getByRole("checkbox").check();
      };
      await page.route("**/api/v1/bans", (route) =>
        route.request().postDataJSON().clientId === "many-1"
          ? route.fulfill({ status: 409, json: { title: "Not this one", code: "conflict" } })
          : route.continue(),
      );
      await choose();
      await gone.endAsync();
      await button(page, "Ban").click();
      await dialog(page).getByRole("button", { name: "Ban" }).click();
      await told(page, "1 banned, 1 not: Not this one");
      await choose();
      await button(page, "Kick").click();
      await dialog(page).getByRole("button", { name: "Kick" }).click();
      await told(page, "1 kicked, 1 was not connected");
    });
    here.end(true);
  });

  it("shows what waits with who has sent it, what comes and goes as it does, and what the gateway knows (D-055 to D-057)", () =>
    on("/clients/pump-7?gateway=mqtt-sn&tab=waiting", async (page) => {
      await row(page, '{"rpm":1200}').filter({ hasText: "backend" }).filter({ hasText: "waits" }).waitFor();
      await page.getByRole("tab", { name: "Protocol" }).click();
      await page.getByText("cmd/pump-7/set").first().waitFor();
      await page.getByText("topicIds").waitFor();
      await visit(page, "/clients/backend?gateway=mqtt&tab=messages");
      await page.getByText("What it sends and gets from now on stands here").waitFor();
      await page.getByRole("link", { name: "as a picture" }).waitFor();
      await backend.publishAsync("sent/by-it", "1", { qos: 1 });
      await site.ask("POST", "/publish", { topic: "heard/by-it", payload: "1", qos: 1 });
      for (const topic of ["sent/by-it", "heard/by-it"])
        await page.locator("ol.log li").filter({ hasText: topic }).first().waitFor();
      // Its trace ends with the page.
      await visit(page, "/about");
      await expect
        .poll(async () =>
          (await site.ask<{ items: { name: string }[] }>("GET", "/traces")).items.filter(
            ({ name }) => name === "live messages",
          ),
        )
        .toEqual([]);
    }));

  it("asks a device for nothing when its tree is opened, and sends what is out of range only anyway (D-071, D-072)", async () => {
    const dimmer = await lwm2mDevice(site.ports, "dimmer-1", { links: "</1/0>,</3/0>,</3306/0>" });
    ends.push(() => dimmer.close());
    await on("/lwm2m/dimmer-1", async (page) => {
      const before = dimmer.asked.length;
      await button(page, "open /3306").click();
      await page.locator(".level-row .name").filter({ hasText: "Dimmer" }).click();
      await page.getByText("range 0..100").waitFor();
      expect(dimmer.asked.slice(before)).toEqual([]);
      await page.getByLabel(/New value/).fill("150");
      await page.getByText("out of the range 0..100").waitFor();
      expect(await button(page, "Write").getAttribute("aria-disabled")).toBe("true");
      await page.getByLabel("send anyway").check();
      await button(page, "Write").click();
      await expect.poll(() => dimmer.asked.slice(before)).toEqual(["PUT /3306/0/5851"]);
    });
  });

  it("publishes octets with all that a message may have, by Ctrl+Enter, and takes one that was sent again (D-082)", async () => {
    const got = new Promise<[Buffer, { properties?: Record<string, unknown> }]>((resolve) =>
      backend.once("message", (_topic, payload, packet) => resolve([payload, packet as never])),
    );
    await on("/messages", async (page) => {
      await page.getByLabel("Topic", { exact: true }).fill("heard/octets");
      await page
        .locator("label.field", { has: page.getByText("As", { exact: true }) })
        .locator("select")
        .selectOption("hex");
      await page.getByLabel("Payload").fill("00 zz");
      await exactly(page, "more").click();
      await page.getByLabel(/^Expires after/).fill("60");
      await page.getByLabel("Content type").fill("application/x");
      await page.getByLabel("Response topic").fill("answers/here");
      await page.getByLabel("Payload").press("Control+Enter");
      await page.getByText("hex is pairs of 0-9 and a-f").waitFor();
      await page.getByLabel("Payload").fill("00 ff 7f");
      await page.getByLabel("Payload").press("Control+Enter");
      const [payload, { properties }] = await got;
      expect(payload.toString("hex")).toBe("00ff7f");
      expect(properties).toMatchObject({ contentType: "application/x", responseTopic: "answers/here" });
      expect(properties?.["messageExpiryInterval"]).toBeGreaterThan(50);
      await page.getByLabel("Topic", { exact: true }).fill("elsewhere");
      await page.getByLabel("Sent before").selectOption({ index: 1 });
      expect(await page.getByLabel("Topic", { exact: true }).inputValue()).toBe("heard/octets");
    });
  });

  it("subscribes to eight filters, holds what comes, shows only what has a text, and says that eight are enough (D-083)", () =>
    on("/messages", async (page) => {
      for (let number = 1; number <= 8; number++) {
        await page.getByLabel("Topic filter").fill(`many/${number}`);
        await button(page, "Subscribe").click();
      }
      await page.getByText("8 at most: end one first").waitFor();
      expect(await button(page, "Subscribe").getAttribute("aria-disabled")).toBe("true");
      await page.getByText(/^\d+(\.\d)?\/s$/).waitFor();
      const arrived = page.locator(".arrived li");
      const publish = (topic: string) => backend.publishAsync(topic, "21.5", { qos: 1 });
      // The last of the filters is followed a moment after it is seen.
      await expect
        .poll(async () => {
          await publish("many/1");
          return arrived.filter({ hasText: "many/1" }).count();
        })
        .toBeGreaterThan(0);
      await exactly(page, "hold").click();
      // It has come as soon as it is counted.
      await expect
        .poll(async () => {
          await publish("many/2");
          return page.getByText(/^[1-9].*\/s$/).count();
        })
        .toBeGreaterThan(0);
      expect(await arrived.filter({ hasText: "many/2" }).count()).toBe(0);
      await button(page, "go on").click();
      await arrived.filter({ hasText: "many/2" }).first().waitFor();
      await page.getByLabel("only messages with this text").fill("many/1");
      await expect.poll(() => arrived.filter({ hasText: "many/2" }).count()).toBe(0);
    }));

  it("plots numbers that a topic's JSON holds, and keeps what came before beside its last value (D-080)", () =>
    on("/topics?topic=room%2F3", async (page) => {
      await page.getByText("Publish on it").waitFor();
      await expect
        .poll(async () => {
          await backend.publishAsync("room/3", JSON.stringify({ t: 21.5, name: "x" }), { qos: 1 });
          return page.getByRole("img", { name: /room\/3: t 21\.5/ }).count();
        })
        .toBe(1);
      await backend.publishAsync("room/3", JSON.stringify({ t: 22, name: "y" }), { qos: 1 });
      await page.locator(".arrived li").nth(1).waitFor();
      expect(await page.locator(".plot").textContent()).not.toContain("name");
    }));

  it("bans for a time by the node's clock, and lists changes of one object or of one who made them (D-091, D-092)", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await page.addInitScript("const now = Date.now; Date.now = () => now() - 7_200_000;");
    await enter(page, site.base, "/bans");
    await page.getByLabel("Until").selectOption("1 h");
    await page.getByRole("textbox", { name: "client id" }).fill("for-an-hour");
    await page.getByLabel("Reason").fill("it floods");
    await page.locator("form").getByRole("button", { name: "Ban" }).click();
    await row(page, "for-an-hour")
      .filter({ hasText: "ends in 59 min" })
      .filter({ hasText: "it floods" })
      .waitFor();
    const { items } = await site.ask<{ items: { clientId?: string; until: string }[] }>("GET", "/bans");
    const ban = items.find(({ clientId }) => clientId === "for-an-hour");
    expect(Date.parse(ban?.until ?? "")).toBeGreaterThan(Date.now());
    await site.ask("POST", "/traces", { topic: "heard/#", seconds: 600 });
    await visit(page, "/changes?object=trace");
    await row(page, "trace").first().waitFor();
    expect(await row(page, "ban").count()).toBe(0);
    await page.getByLabel("By").fill("nobody of that name");
    await page.getByText("No change passes these filters").waitFor();
    expect(wrong).toEqual([]);
    await close();
  });

  it("keeps its theme, and says times in UTC when that is asked for (D-110, D-123)", () =>
    on(
      "/about",
      async (page) => {
        const ground = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
        const light = await ground();
        await button(page, /: theme, times, sign out$/).click();
        await exactly(page, "dark").click();
        const dark = await ground();
        expect(dark).not.toBe(light);
        const local = await textOf(page.getByText("Started").locator("xpath=.."));
        await exactly(page, "UTC").click();
        const utc = await textOf(page.getByText("Started").locator("xpath=.."));
        const hours = (text: string): number => Number(/ (\d\d):\d\d:\d\d/.exec(text)![1]);
        expect((hours(utc) - hours(local) + 24) % 24).toBe(5);
        await page.reload();
        await page.getByRole("heading", { name: "First run" }).waitFor();
        expect(await ground()).toBe(dark);
      },
      { timezoneId: "America/Bogota", colorScheme: "light" },
    ));

  it("searches by /, clears filters by x, pauses by p, and hears no key where they are switched off (D-125)", () =>
    on("/clients?prefix=pump", async (page) => {
      await row(page, "pump-7").waitFor();
      await page.locator("body").press("x");
      await row(page, "backend").waitFor();
      expect((await urlOf(page)).search).toBe("");
      await page.locator("body").press("p");
      await page.locator(".live.paused").waitFor();
      await page.locator("body").press("p");
      await page.locator(".live.live").waitFor();
      await page.locator("body").press("/");
      await page.keyboard.type("pump-7");
      await page.locator(".found a").filter({ hasText: "pump-7" }).waitFor();
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { level: 1, name: "pump-7" }).waitFor();
      await button(page, /: theme, times, sign out$/).click();
      await exactly(page, "on").click();
      await page.keyboard.press("Escape");
      await page.locator("body").press("g");
      await page.locator("body").press("c");
      await page.locator("body").press("?");
      expect(await dialog(page).count()).toBe(0);
      expect(await textOf(page.locator("main h1"))).toBe("pump-7");
    }));

  it("gives fingers 44 pixels, four entries at the bottom, and clients as cards (D-040, D-052, D-114)", () =>
    on(
      "/clients",
      async (page) => {
        await row(page, "pump-7").waitFor();
        const small =
          (await page.evaluate(`[...document.querySelectorAll("main .button, main select, .phone-menu a, .icon-link")]
          .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
          .map((one) => one.outerHTML.slice(0, 100))`)) as string[];
        expect(small).toEqual([]);
        expect(await page.locator(".phone-menu a").allInnerTexts()).toEqual([
          ...["Overview", "Clients", "Translation", "More"],
        ]);
        const card = await row(page, "pump-7").boundingBox();
        expect(card?.width).toBeLessThan(360);
      },
      { viewport: { width: 360, height: 780 }, hasTouch: true, isMobile: true },
    ));
});
