/** What can be done with one row of a table, as a list that keys open: its links and its buttons, by their names. */
import { signal } from "@preact/signals";
import { plain } from "../lib/visible.ts";
import { Button } from "./basic.tsx";
import { Dialog } from "./dialog.tsx";

const acts = signal<readonly HTMLElement[]>([]);

const nameOf = (act: HTMLElement): string => act.getAttribute("aria-label") ?? act.textContent ?? "";

/** False where the row has nothing to choose from. */
export function openRowMenu(row: HTMLElement): boolean {
  acts.value = [...row.querySelectorAll<HTMLElement>("a[href],button:not([aria-disabled])")];
  return acts.value.length > 0;
}

export function RowMenu() {
  if (acts.value.length === 0) return null;
  const close = (): void => {
    acts.value = [];
  };
  return (
    <Dialog title="This row" close={close}>
      <ul class="row-menu">
        {acts.value.map((act) => (
          <li>
            <Button
              onClick={() => {
                close();
                // Behind the dialog, which gives focus back to the row first.
                queueMicrotask(() => act.click());
              }}
            >
              {plain(nameOf(act))}
            </Button>
          </li>
        ))}
      </ul>
      <form method="dialog">
        <Button type="submit">Close</Button>
      </form>
    </Dialog>
  );
}
