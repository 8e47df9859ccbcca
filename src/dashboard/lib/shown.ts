/** Whether somebody may look at this tab: no longer from 10 s after it was hidden. A browser has six connections to a node. */
import { signal } from "@preact/signals";

const HIDDEN_MS = 10_000;

export const shown = signal(true);

let timer: ReturnType<typeof setTimeout> | undefined;
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (document.hidden) timer = setTimeout(() => (shown.value = false), HIDDEN_MS);
  else shown.value = true;
});
