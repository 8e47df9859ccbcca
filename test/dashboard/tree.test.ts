/**
 * The accessibility tree of every page, as Chromium hands it to a screen reader (D-126, D-163): one heading that says where
 * one is, landmarks, names, tables whose cells have a header; and what is spoken by itself is little.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lacks } from "../support/programs.ts";
import { mqttClient } from "./devices.ts";
import { type FullSite, pagesOf, startFullSite } from "./full-site.ts";
import { enter, launch, look, textOf, visit } from "./site.ts";

interface Raw {
  readonly nodeId: string;
  readonly parentId?: string;
  readonly ignored: boolean;
  readonly role?: { readonly value: string };
  readonly name?: { readonly value: string };
  readonly properties?: readonly { readonly name: string; readonly value: { readonly value?: unknown } }[];
}

/** What is heard of one element; `below`: of those in it. */
interface Heard {
  readonly role: string;
  readonly name: string;
  readonly level: unknown;
  readonly below: Heard[];
}

async function heard(page: Page): Promise<readonly Heard[]> {
  const devtools = await page.context().newCDPSession(page);
  const { nodes } = (await devtools.send("Accessibility.getFullAXTree")) as unknown as {
    nodes: readonly Raw[];
  };
  await devtools.detach();
  const raw = new Map(nodes.map((node) => [node.nodeId, node]));
  const made = new Map(
    nodes
      .filter(({ ignored }) => !ignored)
      .map(({ nodeId, role, name, properties }): [string, Heard] => {
        const level = properties?.find((one) => one.name === "level")?.value.value;
        return [nodeId, { role: role?.value ?? "", name: (name?.value ?? "").trim(), level, below: [] }];
      }),
  );
  for (const [id, node] of made) {
    // What is in an ignored element counts as in the next one that is not.
    for (let above = raw.get(id)?.parentId; above !== undefined; above = raw.get(above)?.parentId)
      made.get(above)?.below.push(node);
  }
  return [...made.values()];
}

const CONTROLS = new Set([
  ...["button", "link", "textbox", "searchbox", "combobox", "checkbox", "radio", "spinbutton", "tab"],
  ...["progressbar", "image", "img", "listbox"],
]);
const LANDMARKS = ["banner", "main", "navigation", "search", "complementary", "region", "contentinfo"];

/** What is used for something else here, or means one of our words (D-120). */
const NOT_OUR_WORDS =
  /\b(broker|consumers?|inflight|in-flight|mqueue|purge|online|offline|successfully|please)\b|something went wrong/i;

function problemsOf(nodes: readonly Heard[]): readonly string[] {
  const of = (role: string): readonly Heard[] => nodes.filter((node) => node.role === role);
  const first = of("heading").filter(({ level }) => level === 1);
  return [
    ...(first.length === 1 && first[0]!.name !== "" ? [] : [`${first.length} headings of the first level`]),
    ...["main", "banner"].flatMap((role) => (of(role).length === 1 ? [] : [`${of(role).length} of ${role}`])),
    ...(of("status").length > 0 ? [] : ["nothing tells what was done"]),
    ...LANDMARKS.flatMap((role) => {
      const names = of(role).map(({ name }) => name);
      return names.length === new Set(names).size ? [] : [`${role}: ${names.join(", ")}`];
    }),
    ...nodes
      .filter(({ role, name }) => (CONTROLS.has(role) || role === "heading") && name === "")
      .map(({ role }) => `a ${role} without a name`),
    ...of("table").flatMap(problemsOfTable),
  ];
}

function problemsOfTable({ name, below }: Heard): readonly string[] {
  const table = `the table "${name}"`;
  const headers = below.filter(({ role }) => role === "columnheader");
  const rows = below.filter(
    (one) => one.role === "row" && !one.below.some(({ role }) => role === "columnheader"),
  );
  const buttons = below.filter(({ role }) => role === "button").map((one) => one.name);
  const twice = buttons.filter((one, index) => buttons.indexOf(one) !== index);
  return [
    ...(name === "" ? ["a table without a name"] : []),
    ...(headers.length === 0 ? [`${table} has no headers`] : []),
    ...headers.filter((one) => one.name === "").map(() => `${table}: a header without a name`),
    ...rows
      .map((row) => row.below.filter(({ role }) => /^(cell|gridcell|rowheader)$/.test(role)).length)
      .filter((cells) => cells !== headers.length)
      .map((cells) => `${table}: ${cells} cells under ${headers.length} headers`),
    ...twice.map((one) => `${table}: two buttons are called "${one}"`),
  ];
}

/** Everything that was asked for is there. */
const settled = (page: Page): Promise<void> =>
  page.locator("main .lines").first().waitFor({ state: "detached" });

/** Texts of live regions as they change, from now on. */
const LISTEN = `{
  window.spoken = [];
  window.since = performance.now();
  const LIVE = "[aria-live]:not([aria-live=off]),[role=status],[role=alert],[role=log],output";
  new MutationObserver((records) => {
    for (const { target } of records) {
      const region = (target instanceof Element ? target : target.parentElement)?.closest(LIVE);
      if (region != null && spoken.at(-1) !== region.textContent) spoken.push(region.textContent);
    }
  }).observe(document.body, { childList: true, characterData: true, subtree: true });
}`;

describe.skipIf(lacks("chromium"))("the accessibility tree", () => {
  let full: FullSite;
  let browser: Browser;
  beforeAll(async () => {
    [full, browser] = await Promise.all([startFullSite(), launch()]);
  });
  afterAll(async () => {
    await browser?.close();
    await full?.stop();
  });

  it.each([
    ["a desktop", { width: 1280, height: 800 }],
    ["a phone", { width: 360, height: 780 }],
  ])(
    "of every page has its heading, landmarks, names, tables with headers, and our words (D-120), and its policy reports nothing, on %s",
    async (where, viewport) => {
      const { page, wrong, close } = await look(browser, full.site.base, { viewport });
      await enter(page, full.site.base);
      const problems: string[] = [];
      for (const [name, path] of pagesOf(full.trace)) {
        await visit(page, path);
        await settled(page);
        const nodes = await heard(page);
        problems.push(...problemsOf(nodes).map((one) => `${name}: ${one}`));
        // What its gateway knows of a client has the names that the API has.
        if (where === "a phone" || name === "client-protocol") continue;
        const words = nodes.filter((node) => NOT_OUR_WORDS.test(node.name)).map((node) => node.name);
        problems.push(...words.map((one) => `${name}: "${one.slice(0, 80)}"`));
      }
      expect([...new Set(problems)]).toEqual([]);
      expect(wrong).toEqual([]);
      await close();
    },
  );

  it("is entered at the heading of each page that is gone to, also where its parts come later", async () => {
    const { page, close } = await look(browser, full.site.base);
    await enter(page, full.site.base);
    const links = page.locator("nav.menu a");
    const problems: string[] = [];
    for (let index = (await links.count()) - 1; index >= 0; index--) {
      await links.nth(index).focus();
      await page.keyboard.press("Enter");
      const arrived = page.locator("main h1:focus");
      const name = await textOf(links.nth(index));
      await arrived.waitFor({ timeout: 30_000 }).catch(() => problems.push(name));
    }
    expect(problems).toEqual([]);
    // A client has another heading before it is known.
    await visit(page, "/clients");
    await page.getByRole("link", { name: "backend", exact: true }).press("Enter");
    await page.getByRole("tablist").waitFor();
    await page.locator("main h1:focus").getByText("backend").waitFor();
    await close();
  });

  it("speaks by itself at most every 5 s, however much changes (D-126)", async () => {
    const client = await mqttClient(full.site.ports, "talker");
    const talking = setInterval(() => client.publish("room/9/temp", String(Math.random())), 100);
    const paths = [
      "/",
      "/clients",
      "/messages?filter=room%2F%23",
      `/translation/${full.trace}`,
      "/lwm2m/meter-0044",
    ];
    const looking = await Promise.all(paths.map(() => look(browser, full.site.base)));
    for (const [index, { page }] of looking.entries()) {
      await enter(page, full.site.base, paths[index]);
      await settled(page);
    }
    await Promise.all(looking.map(({ page }) => page.locator(".live.live").waitFor()));
    // Rows of the flood are there before it is listened.
    await looking[2]!.page.locator(".arrived li").nth(5).waitFor();
    for (const { page } of looking) await page.evaluate(LISTEN);
    await new Promise((resolve) => setTimeout(resolve, 4_500));
    for (const [index, { page }] of looking.entries()) {
      const [said, time] = (await page.evaluate("[spoken, performance.now() - since]")) as [string[], number];
      // Once, and again for each five seconds more that a busy machine has made of it.
      expect(said.length, `${paths[index]}: ${said.join(" | ")}`).toBeLessThanOrEqual(
        1 + Math.floor(time / 5_000),
      );
    }
    clearInterval(talking);
    client.end(true);
    for (const { close } of looking) await close();
  });
});
