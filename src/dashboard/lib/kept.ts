/** What the browser keeps: the theme, the keys, the columns; nothing that a node has said. */
import { effect, signal } from "@preact/signals";

function kept<Value extends string>(name: string, initial: Value) {
  let value = initial;
  try {
    value = (localStorage.getItem(`isthmus.${name}`) as Value | null) ?? initial;
  } catch {
    // A browser that keeps nothing.
  }
  const state = signal<Value>(value);
  let first = true;
  effect(() => {
    const now = state.value;
    if (first) {
      first = false;
      return;
    }
    try {
      localStorage.setItem(`isthmus.${name}`, now);
    } catch {
      // As above.
    }
  });
  return state;
}

export type Theme = "system" | "light" | "dark";
export const theme = kept<Theme>("theme", "system");
export const keysOn = kept<"on" | "off">("keys", "on");
export const columns = kept<string>("columns", "");

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});
