import type { Commits } from "../../bus/commits.ts";
import type { Shelf } from "../../contract/gateway.ts";
import type { DeviceMemory } from "./memory.ts";

/** This process's own store: a restart of the gateway finds everything again, another gateway nothing. */
export class LocalMemory implements DeviceMemory {
  readonly shared = false;
  readonly #shelf: Shelf;
  readonly #commits: Commits | undefined;

  constructor(shelf: Shelf, commits: Commits | undefined) {
    this.#shelf = shelf;
    this.#commits = commits;
  }

  find(key: string, found: (text: string | undefined) => void): void {
    for (const [each, text] of this.entries()) {
      if (each !== key) continue;
      found(text);
      return;
    }
    found(undefined);
  }

  put(key: string, text: string, _seconds: number | undefined, done: (kept: boolean) => void): void {
    this.#shelf.put(key, () => text);
    if (this.#commits === undefined) done(true);
    else this.#commits.whenCommitted((failed) => done(!failed));
  }

  remove(key: string): void {
    this.#shelf.remove(key);
  }

  *entries(): Generator<readonly [string, string]> {
    for (const [key, text] of this.#shelf.entries()) if (typeof text === "string") yield [key, text];
  }

  stop(): void {}
}
