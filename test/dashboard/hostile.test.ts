/** The worst texts that devices of five protocols can choose: each stays text, and shows what it is. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { coapPublish, lwm2mRegister, mqttClient, mqttSnDevice, stompClient, type Texts } from "./devices.ts";
import { enter, launch, look, type Site, startSite, visit } from "./site.ts";

const EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script>';
const TURNED = "a\u202egnp.exe\u2066\u200b";
const texts = (protocol: string): Texts => ({
  id: `${TURNED}${protocol}'"<b>javascript:alert(3)`,
  user: `=cmd|'/c calc'!A0${EVIL}`,
  topic: `evil/${protocol}/${TURNED}<svg onload=alert(4)>`,
  payload: `${EVIL}${TURNED}\u001b[2J{{7*7}}javascript:alert(5)`,
});

/** What would steer how letters are read, anywhere in what a page says. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;

const SAID = `${EVIL}${TURNED}`;
const ALARM = {
  ...{ name: SAID, severity: "warning", message: SAID, raisedAt: "2026-11-29T14:02:31.207Z" },
  ...{ details: { [SAID]: [SAID, { [SAID]: SAID }] }, state: "raised" },
};
const SERVER = {
  ...{ group: SAID, url: `tcp://${SAID}:1883`, state: "open", draining: false, weight: 1, sessions: 1 },
  lastFailure: SAID,
};
const LOGIN = {
  ...{ id: SAID, name: SAID, user: SAID, role: "viewer", fromFile: false, address: SAID, agent: SAID },
  ...{ seenAt: ALARM.raisedAt, createdAt: ALARM.raisedAt, since: ALARM.raisedAt, until: ALARM.raisedAt },
};
const ROUTE = { id: SAID, group: SAID, order: 0, configured: false, clientId: [SAID], username: [SAID] };

interface Listed {
  readonly items: readonly { readonly clientId: string; readonly gateway: string }[];
}

describe.skipIf(lacks("chromium"))("hostile devices", () => {
  let site: Site;
  let browser: Browser;
  let trace: string;
  const ends: (() => void)[] = [];

  beforeAll(async () => {
    [site, browser] = await Promise.all([
      startSite(
        "authentication: { chains: { ours: { chain: [{ kind: user-list }, { kind: client-id-list }] } } }",
      ),
      launch(),
    ]);
    ({ id: trace } = await site.ask<{ id: string }>("POST", "/traces", {
      topic: "#",
      name: EVIL,
      seconds: 600,
    }));
    // From here on what devices say is kept by topic.
    await site.ask("GET", "/topics/tree");
    const mqtt = texts("mqtt");
    const client = await mqttClient(site.ports, mqtt.id, {
      ...{ username: mqtt.user, clean: false, protocolVersion: 5 },
      properties: { sessionExpiryInterval: 600 },
    });
    await client.subscribeAsync(`${mqtt.topic}/#`, { qos: 1 });
    await client.publishAsync(mqtt.topic, mqtt.payload, {
      ...{ qos: 1, retain: true },
      properties: { contentType: EVIL, userProperties: { [EVIL]: TURNED } },
    });
    client.end(true);
    const other = await mqttClient(site.ports, "other");
    await other.publishAsync(`${mqtt.topic}/long`, `${EVIL}${"x".repeat(65_000)}`, { qos: 1, retain: true });
    const sn = await mqttSnDevice(site.ports, { ...texts("sn"), id: "sn\u202e<b>&\u2066" });
    await coapPublish(site.ports, texts("coap"));
    await lwm2mRegister(site.ports, texts("lwm2m").id);
    const stomp = await stompClient(site.ports, texts("stomp"));
    await other.subscribeAsync(`$share/group${TURNED}<b>/${mqtt.topic}`, { qos: 0 });
    // What administrators paste, and what the other end of a connector answers, is no better.
    await site.ask("PUT", "/rules/evil", {
      ...{ sql: `SELECT '${TURNED}<script>' AS a FROM "evil/${TURNED}<b>"`, description: `${EVIL}${TURNED}` },
      actions: [{ kind: "republish", topic: "evil/again", payload: `${EVIL}${TURNED}` }],
    });
    await site.ask("PUT", "/connectors/evil", { kind: "http", url: "http://127.0.0.1:9/<script>" });
    await site.ask("POST", "/authentication/users", {
      username: `${EVIL}${TURNED}`,
      password: "correct horse",
    });
    // Refused, under a name of its own.
    await site.ask("POST", "/bans", { clientId: `${EVIL}banned`, reason: `${EVIL}${TURNED}` });
    await mqttClient(site.ports, `${EVIL}banned`).catch(() => undefined);
    ends.push(
      () => sn.close(),
      () => stomp.destroy(),
      () => other.end(true),
    );
  });
  afterAll(async () => {
    for (const end of ends) end();
    await browser?.close();
    await site?.stop();
  });

  it("stay texts on every page: no dialog, no report of the policy, no request to elsewhere", async () => {
    const { page, wrong, close } = await look(browser, site.base);
    await enter(page, site.base);
    const { items } = await site.ask<Listed>("GET", "/clients?limit=100");
    const gateways = new Set(items.map(({ gateway }) => gateway));
    for (const gateway of ["mqtt", "mqtt-sn", "lwm2m", "stomp"]) expect(gateways).toContain(gateway);
    const ofEach = items.flatMap(({ clientId, gateway }) =>
      ["session", "waiting", "subscriptions", "protocol"].map(
        (tab) => `/clients/${encodeURIComponent(clientId)}?gateway=${gateway}&tab=${tab}`,
      ),
    );
    const pages = [
      ...["/", "/clients", "/clients?text=evil", ...ofEach, "/refusals", "/translation"],
      `/translation/${trace}`,
      `/topics?topic=${encodeURIComponent(texts("mqtt").topic)}`,
      `/messages?filter=${encodeURIComponent("evil/#")}`,
      `/topics?topic=${encodeURIComponent(`${texts("mqtt").topic}/long`)}`,
      ...["/lwm2m", `/lwm2m/${encodeURIComponent(texts("lwm2m").id)}`, "/firmware", "/bans", "/changes"],
      ...[
        "/rules",
        "/rules/evil",
        "/connectors",
        "/connectors/evil",
        "/logins",
        "/access?tab=keys",
        "/access?tab=users",
        "/access?tab=sessions",
      ],
      ...["/alarms", "/upstream", "/gateways", "/config", "/about"],
    ];
    // This node raises no alarm of such words, has no upstream, and nobody has an account: as if it were so.
    await page.route("**/api/v1/alarms?*", (route) => route.fulfill({ json: { items: [ALARM] } }));
    await page.route("**/api/v1/upstream/servers?*", (route) => route.fulfill({ json: { items: [SERVER] } }));
    for (const name of ["keys", "users"])
      await page.route(new RegExp(`/api/v1/${name}(\\?|$)`), (route) =>
        route.fulfill({ json: { items: [LOGIN] } }),
      );
    await page.route("**/api/v1/upstream/routes?*", (route) => route.fulfill({ json: { items: [ROUTE] } }));
    let named = 0;
    for (const path of pages) {
      await visit(page, path);
      await page.locator("main .lines").first().waitFor({ state: "detached" });
      const said = String(
        await page.evaluate(
          "document.body.textContent + [...document.querySelectorAll('[title],[aria-label]')].map((one) => one.title + one.ariaLabel).join('')",
        ),
      );
      expect([path, STEERING.exec(said)?.[0].codePointAt(0)]).toEqual([path, undefined]);
      const made = await page.evaluate(
        "document.querySelectorAll('img, main script, iframe, [onload], [onerror]').length",
      );
      expect([path, made]).toEqual([path, 0]);
      named += await page.locator(".named", { hasText: "<U+202E>" }).count();
    }
    expect(named).toBeGreaterThan(10);
    expect(wrong).toEqual([]);
    await close();
  });

  it("a string that is put into the page as markup is refused by Trusted Types", async () => {
    const { page, close } = await look(browser, site.base);
    await page.goto(site.base);
    const refused = await page.evaluate(
      "(() => { try { document.body.innerHTML = '<img src=x>'; return 'done'; } catch (error) { return error.name; } })()",
    );
    expect(refused).toBe("TypeError");
    await close();
  });

  it("the table for spreadsheets holds no formula", async () => {
    const answer = await fetch(`${site.base}/api/v1/clients.csv`);
    const cells = (await answer.text()).split(/[,\r\n]+/);
    expect(cells.filter((cell) => /^"?[=@+]/.test(cell))).toEqual([]);
  });
});
