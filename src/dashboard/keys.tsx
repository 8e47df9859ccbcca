/** Keys for who does not want the mouse; off while something is typed, and as a whole by a switch (WCAG 2.1.4). */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { MENU } from "./frame.tsx";
import { addressOf, change, go } from "./lib/address.ts";
import { keysOn } from "./lib/kept.ts";
import { pause, paused } from "./lib/live.ts";
import { Dialog } from "./parts/dialog.tsx";
import { openRowMenu } from "./parts/row-menu.tsx";

const listed = signal(false);

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.closest("input,textarea,select,dialog") !== null || target.isContentEditable);

/** The control that says it is meant, of the row that has the focus, else the last of the page: what is opened comes last. */
function press(key: string, target: EventTarget | null): boolean {
  const row = target instanceof Element ? target.closest("[data-row]") : null;
  const found = [
    ...(row ?? document).querySelectorAll<HTMLElement>(`[data-key="${key}"]:not([aria-disabled])`),
  ].findLast((one) => one.checkVisibility() && (row !== null || one.closest("[data-row]") === null));
  found?.click();
  return found !== undefined;
}

function menuOf(target: EventTarget | null): boolean {
  const row = target instanceof Element ? target.closest<HTMLElement>("[data-row]") : null;
  return row !== null && openRowMenu(row);
}

function firstRow(): void {
  document.querySelector<HTMLElement>("tr[data-row],li[data-row]")?.focus();
}

export function useKeys(): void {
  useEffect(() => {
    let after: string | undefined;
    const heard = (event: KeyboardEvent): void => {
      if (keysOn.value === "off" || event.ctrlKey || event.metaKey || event.altKey || typing(event.target))
        return;
      const { key } = event;
      if (after === "g") {
        after = undefined;
        const entry = MENU.flatMap(({ entries }) => entries).find((one) => one.key === key);
        if (entry !== undefined) {
          event.preventDefault();
          go(addressOf(`/${entry.name}`));
        }
        return;
      }
      if (key === "g") after = "g";
      else if (key === "/") document.querySelector<HTMLElement>("#search")?.focus();
      else if (key === "p") pause(!paused.value);
      else if (key === "?") listed.value = true;
      else if (key === "j" || key === "ArrowDown") {
        if (event.target !== document.body && key === "ArrowDown") return;
        firstRow();
      } else if (key === "x")
        change(
          Object.fromEntries(
            ["gateway", "state", "text", "prefix", "address", "user", "refusal", "cursor"].map((name) => [
              name,
              undefined,
            ]),
          ),
        );
      else if (key === ".") {
        if (!menuOf(event.target)) return;
      } else if (key === "Escape") {
        // What is open closes first.
        if (document.querySelector('.user [aria-expanded="true"]') !== null || !press(key, document)) return;
      } else if (key !== "t" && key !== "[" && key !== "]") return;
      else if (!press(key, event.target)) return;
      event.preventDefault();
    };
    document.addEventListener("keydown", heard);
    return () => document.removeEventListener("keydown", heard);
  }, []);
}

const KEYS: readonly (readonly [string, string])[] = [
  ["/", "search"],
  [
    "g, then a letter",
    "o overview, c clients, r refusals, t translation, p topics, m messages, l LwM2M, g gateways, a alarms, h changes",
  ],
  ["j k or arrows", "rows"],
  ["Enter", "opens a row"],
  ["Space", "selects a row"],
  ["x", "clears the filters"],
  ["p", "pauses, and goes on"],
  ["?", "this list"],
  ["[ ]", "the row before, the next one; of a translation those of the same cause"],
  ["t", "translation of the row, or of what the page is about"],
  [".", "what can be done with a row"],
  ["Esc", "closes, then goes back to the list"],
];

export function KeyList() {
  if (!listed.value) return null;
  return (
    <Dialog title="Keys" close={() => (listed.value = false)}>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button type="submit" class="button">
          Close
        </button>
      </form>
    </Dialog>
  );
}
