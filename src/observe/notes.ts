import type { Counter, Note } from "../contract/note.ts";
import type { Instant } from "../lib/time.ts";
import type { Log } from "./log.ts";

/** Lines a window for one event of one gateway; what is above is counted and summed up in one line. */
const LINES_PER_WINDOW = 20;
const WINDOW_MS = 10_000;
/** Kinds of events remembered; notes are few by contract, so this is only a backstop. */
const EVENTS_MAX = 1000;
const OTHER = "other";

interface Window {
  readonly counter: Counter;
  start: Instant;
  lines: number;
  suppressed: number;
}

/** Makes the cell of `isthmus_notes_total` for a gateway and an event. */
export type CountNote = (labels: Readonly<Record<"gateway" | "event", string>>) => Counter;

/** Where protocol code's notes end up: each is counted, and logged as long as it is not a flood. */
export class NoteBook {
  readonly #log: Log;
  readonly #count: CountNote;
  readonly #windows = new Map<string, Window>();

  constructor(log: Log, count: CountNote) {
    this.#log = log;
    this.#count = count;
  }

  write(
    gateway: string,
    note: Note,
    now: Instant,
    about?: { readonly peer?: string; readonly client?: string },
  ): void {
    const window = this.#windowOf(gateway, note.event, now);
    window.counter.value++;
    if (now - window.start >= WINDOW_MS) this.#next(window, gateway, note, now);
    if (++window.lines > LINES_PER_WINDOW) {
      window.suppressed++;
      return;
    }
    this.#log[note.level](note.event, { gateway, ...about, ...note.detail });
  }

  #windowOf(gateway: string, event: string, now: Instant): Window {
    const name = `${gateway}/${event}`;
    const known = this.#windows.get(name);
    if (known !== undefined) return known;
    if (this.#windows.size >= EVENTS_MAX && event !== OTHER) return this.#windowOf(gateway, OTHER, now);
    const window: Window = { counter: this.#count({ gateway, event }), start: now, lines: 0, suppressed: 0 };
    this.#windows.set(name, window);
    return window;
  }

  #next(window: Window, gateway: string, note: Note, now: Instant): void {
    if (window.suppressed > 0) {
      const { suppressed } = window;
      this.#log[note.level]("more-not-shown", { gateway, of: note.event, suppressed });
    }
    window.start = now;
    window.lines = 0;
    window.suppressed = 0;
  }
}
