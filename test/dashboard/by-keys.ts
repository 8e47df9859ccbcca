/** What hands do that have no mouse: Tab, Enter, letters. */
import type { Locator, Page } from "playwright-core";
import { dialog } from "./site.ts";

/** From now on a mouse is a failure of the page. */
export const noMouse = (page: Page): Promise<unknown> =>
  page.evaluate(
    `for (const kind of ["pointerdown", "mousedown"]) addEventListener(kind, () => { throw new Error("a mouse") }, true)`,
  );

/** What runs in the page sees. */
interface Window {
  readonly document: { readonly activeElement: never };
  addEventListener(kind: "keydown", listener: (event: KeyPress) => void, capture: true): void;
  /** Where Tab is to come to; it goes no further from there. */
  wanted?: readonly unknown[];
}
interface KeyPress {
  readonly key: string;
  preventDefault(): void;
}

/** More than any page has. */
const STOPS = 250;
/** So long Tab is held down until it is looked where that has led. */
const HELD = 8;

/** Until focus is on one of these. */
async function tabUntil(page: Page, target: Locator): Promise<void> {
  await target.first().waitFor();
  for (let step = 0; step < STOPS; step += HELD) {
    const here = await target.evaluateAll((all) => {
      const window = globalThis as unknown as Window;
      if (window.wanted === undefined) {
        window.addEventListener(
          "keydown",
          (event) => {
            if (event.key === "Tab" && window.wanted?.includes(window.document.activeElement))
              event.preventDefault();
          },
          true,
        );
      }
      const there = all.includes(window.document.activeElement);
      window.wanted = there ? [] : all;
      return there;
    });
    if (here) return;
    await Promise.all(Array.from({ length: HELD }, () => page.keyboard.press("Tab")));
  }
  throw new Error(`Tab never reaches ${target}`);
}

/** Focus comes here by Tab, or, in tabs and rows of tables, by arrows. */
export const tabTo = (page: Page, found: string, name?: string | RegExp): Promise<void> =>
  tabUntil(page, page.locator(found).filter(name === undefined ? {} : { hasText: name }));

export const press = async (page: Page, found: string, name?: string | RegExp): Promise<void> => {
  await tabTo(page, found, name);
  await page.keyboard.press("Enter");
};

/** Controls in the label of this text, of the dialog where one is open. */
async function labelled(page: Page, label: string, control: string): Promise<Locator> {
  const open = dialog(page);
  const labels = ((await open.count()) > 0 ? open : page).locator("label", {
    has: page.getByText(label, { exact: true }),
  });
  return labels.locator(control).first();
}

/** Writes into the field of this label. */
export async function write(page: Page, label: string, text: string): Promise<void> {
  await tabUntil(page, await labelled(page, label, "input, textarea"));
  await page.keyboard.press("Control+a");
  await page.keyboard.type(text);
}

/** Another choice of a list, by the beginning of its name, from the first on by arrows: letters that come late begin another. */
export async function choose(page: Page, label: string, option: string): Promise<void> {
  const list = await labelled(page, label, "select");
  await tabUntil(page, list);
  await page.keyboard.press("Home");
  for (let left = await list.locator("option").count(); left > 0; left--) {
    if ((await list.locator("option:checked").textContent())?.startsWith(option) === true) return;
    await page.keyboard.press("ArrowDown");
  }
  throw new Error(`${label} has no ${option}`);
}

/** The dialog that asks: its last button is the verb. */
export const agree = async (page: Page): Promise<void> => {
  await dialog(page).waitFor();
  await press(page, "dialog[open] button[type=submit]");
  await dialog(page).waitFor({ state: "detached" });
};
