import { stat } from "node:fs/promises";
import type { Duration } from "../lib/time.ts";
import { timerLength } from "../lib/timer-length.ts";

/** Looks at files every so often and calls when any of them has changed. */
export class FileWatch {
  readonly #paths: readonly (string | undefined)[];
  readonly #changed: () => void;
  readonly #poll: NodeJS.Timeout;
  #stamp = "";

  constructor(paths: readonly (string | undefined)[], interval: Duration, changed: () => void) {
    this.#paths = paths;
    this.#changed = changed;
    this.#poll = setInterval(() => void this.#look(), timerLength(interval)).unref();
    void this.#read().then((stamp) => {
      this.#stamp = stamp;
    });
  }

  close(): void {
    clearInterval(this.#poll);
  }

  async #look(): Promise<void> {
    const stamp = await this.#read();
    if (stamp === this.#stamp || this.#stamp === "") return;
    this.#stamp = stamp;
    this.#changed();
  }

  /** Identity and age of all files; one text, so that a pair that is replaced together is loaded together. */
  async #read(): Promise<string> {
    const stamps = this.#paths.map(async (path) => {
      if (path === undefined) return "";
      try {
        const { mtimeMs, size, ino } = await stat(path);
        return `${mtimeMs} ${size} ${ino}`;
      } catch {
        return "missing";
      }
    });
    return (await Promise.all(stamps)).join("|");
  }
}
