/** Who changed what: the last changes in memory for lists, and all of them in a file that takes turns with older ones. */
import { appendFileSync, existsSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Ring } from "../../lib/ring.ts";
import { makeFolder } from "../../settings/make-folder.ts";

export const REMEMBERED = 5_000;
const FILE_BYTES_MAX = 16 * 1024 * 1024;
const FILES_MAX = 8;
const TEXT_LENGTH_MAX = 2_048;

/** One change, or an attempt at one. */
export interface Change {
  readonly id: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Who: a user, an API key, `SIGHUP`, a file. */
  readonly who: string;
  readonly kind: string;
  /** From where; empty for what comes from inside. */
  readonly address: string;
  /** What was asked for: a request, or a word. */
  readonly action: string;
  /** What it is about: `config log.level`, `client mqtt/pump-7`. */
  readonly object?: string | undefined;
  readonly before?: unknown;
  readonly after?: unknown;
  /** `done`, or the code of the refusal. */
  readonly result: string;
}

const SECRET_NAME = /pass(word|phrase)|secret|psk|token|^key$/i;

/** Secrets become dots, whatever holds them; long texts are cut. */
export function masked(value: unknown): unknown {
  if (typeof value === "string")
    return value.length > TEXT_LENGTH_MAX ? `${value.slice(0, TEXT_LENGTH_MAX)}…` : value;
  if (Array.isArray(value)) return value.slice(0, 100).map(masked);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, SECRET_NAME.test(key) ? "••••" : masked(inner)]),
  );
}

export class AuditLog {
  readonly #file: string | undefined;
  readonly #failed: (error: Error) => void;
  readonly #changes = new Ring<Change>();
  readonly #heard = new Set<(change: Change) => void>();
  #last = 0;

  /** Without a file changes are gone with this process. `failed` hears when the file cannot be written. */
  constructor(file: string | undefined, failed: (error: Error) => void) {
    this.#file = file;
    this.#failed = failed;
  }

  note(change: Omit<Change, "id">): void {
    const { before, after } = change;
    const kept: Change = {
      ...change,
      id: ++this.#last,
      ...(before === undefined ? {} : { before: masked(before) }),
      ...(after === undefined ? {} : { after: masked(after) }),
    };
    this.#changes.push(kept);
    if (this.#changes.length > REMEMBERED) this.#changes.shift();
    this.#append(kept);
    for (const hear of this.#heard) hear(kept);
  }

  /** Newest first. */
  *recent(): Generator<Change> {
    for (let index = this.#changes.length - 1; index >= 0; index--) {
      const change = this.#changes.at(index);
      if (change !== undefined) yield change;
    }
  }

  /** Returns how to stop hearing. */
  hear(listener: (change: Change) => void): () => void {
    this.#heard.add(listener);
    return () => this.#heard.delete(listener);
  }

  #append(change: Change): void {
    if (this.#file === undefined) return;
    try {
      makeFolder(dirname(this.#file));
      if ((statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0) > FILE_BYTES_MAX)
        this.#turn(this.#file);
      appendFileSync(this.#file, `${JSON.stringify(change)}\n`, { mode: 0o600 });
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  #turn(file: string): void {
    for (let index = FILES_MAX - 1; index > 0; index--) {
      const from = index === 1 ? file : `${file}.${index - 1}`;
      if (existsSync(from)) renameSync(from, `${file}.${index}`);
    }
  }
}
