/** The one stream that each visible tab has: the node's numbers each second, and thereby that the node is there. */
import { signal } from "@preact/signals";
import { nodeNow, Problem } from "./api.ts";
import { follow } from "./events.ts";
import { shown } from "./shown.ts";

export type Liveness =
  | { readonly is: "opening" }
  | { readonly is: "live" }
  | { readonly is: "paused" }
  /** Milliseconds since the epoch by the node's clock; `next`: by the browser's. */
  | { readonly is: "lost"; readonly since: number; readonly next: number; readonly why: string };

export const liveness = signal<Liveness>({ is: "opening" });
/** The node's numbers of the last second, by name. */
export const numbers = signal<Readonly<Record<string, number>>>({});
/** Grows with every second that the node tells of: what is in view is read again by it. */
export const beat = signal(0);
/** When the last one came, in milliseconds since the epoch. */
export const lastBeat = signal(0);
export const paused = signal(false);

const SILENCE_MS = 5_000;
const WAIT_MAX_MS = 30_000;

let abort: AbortController | undefined;
let retry: ReturnType<typeof setTimeout> | undefined;
let silence: ReturnType<typeof setTimeout> | undefined;
let failures = 0;
let wanted = false;

/** Begins to follow, as soon as somebody has signed in. */
export function goLive(): void {
  wanted = true;
  void open();
}

export function endLive(): void {
  wanted = false;
  close();
}

function close(): void {
  clearTimeout(retry);
  clearTimeout(silence);
  abort?.abort();
  abort = undefined;
}

export function pause(on: boolean): void {
  paused.value = on;
  if (on) {
    close();
    liveness.value = { is: "paused" };
  } else void open();
}

async function open(): Promise<void> {
  close();
  if (!wanted || paused.value) return;
  const own = new AbortController();
  abort = own;
  listen(own);
  try {
    await follow("/series/events", {
      signal: own.signal,
      heard(events) {
        listen(own);
        for (const { event, data } of events) if (event === "point") point(data as Point);
      },
    });
    lost(own, "the stream has ended");
  } catch (error) {
    if (error instanceof Problem && (error.status === 401 || error.status === 403)) return;
    lost(own, error instanceof Problem ? error.message : "the connection broke");
  }
}

interface Point {
  readonly at: number;
  readonly values: Readonly<Record<string, number>>;
}

function point({ at, values }: Point): void {
  failures = 0;
  numbers.value = values;
  lastBeat.value = at;
  beat.value++;
  if (liveness.value.is !== "live") liveness.value = { is: "live" };
}

/** Who says nothing for so long is not there, whatever the connection looks like. */
function listen(own: AbortController): void {
  clearTimeout(silence);
  silence = setTimeout(() => {
    own.abort();
    lost(own, "nothing has come for 5 s");
  }, SILENCE_MS);
}

function lost(own: AbortController, why: string): void {
  if (abort !== own) return;
  clearTimeout(silence);
  abort = undefined;
  if (!wanted || paused.value) return;
  const wait = Math.min(WAIT_MAX_MS, 1_000 * 2 ** failures++) * (0.8 + Math.random() * 0.4);
  const since = liveness.value.is === "lost" ? liveness.value.since : lastBeat.value || nodeNow();
  liveness.value = { is: "lost", since, next: Date.now() + wait, why };
  retry = setTimeout(() => void open(), wait);
}

/** Does not wait any longer. */
export const tryNow = (): void => void open();

shown.subscribe((seen) => {
  if (!seen) close();
  else if (wanted && abort === undefined && !paused.peek()) void open();
});
