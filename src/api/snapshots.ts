/**
 * Sorted lists of what is too much to sort at once: the order is found in slices between which everybody else has a turn,
 * is shared by who asks for the same within seconds, and is kept for the cursors that lead into it.
 */
import { Pauses } from "../operate/pauses.ts";
import { compareValues } from "./lists.ts";
import { Refused } from "./problem.ts";

type Value = string | number | undefined;

/** What is sorted: numbers that name rows, and the value of each that decides. */
export interface Keyed {
  readonly number: number;
  readonly value: Value;
}

export interface Snapshot {
  readonly id: string;
  /** In order. */
  readonly numbers: Float64Array;
}

interface Kept extends Snapshot {
  readonly key: string;
  readonly at: number;
  used: number;
}

const SHARED_MS = 5_000;
const KEPT_MS = 60_000;
const KEPT_MAX = 8;
const RUN = 256;

export class Snapshots {
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept>();
  readonly #building = new Map<string, Promise<Kept>>();
  /** One at a time, so that slices of several do not add up. */
  #last: Promise<unknown> = Promise.resolve();
  #number = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A recent one, or a new one of what `rows` yields; `undefined` in between asks whether it is time for a pause. */
  make(key: string, rows: () => Iterator<Keyed | undefined>, descending: boolean): Promise<Snapshot> {
    const now = this.#now();
    for (const kept of this.#kept.values()) {
      if (kept.key !== key || now - kept.at > SHARED_MS) continue;
      kept.used = now;
      return Promise.resolve(kept);
    }
    const building = this.#building.get(key);
    if (building !== undefined) return building;
    const made = this.#last.then(() => this.#build(key, rows(), descending));
    this.#building.set(key, made);
    this.#last = made.catch(() => {}).finally(() => this.#building.delete(key));
    return made;
  }

  /** Throws `Refused` when it is no longer kept. */
  find(id: string): Snapshot {
    const kept = this.#kept.get(id);
    const now = this.#now();
    if (kept === undefined || now - kept.used > KEPT_MS) {
      throw new Refused("gone", "the list behind this cursor is no longer kept: begin again without it");
    }
    kept.used = now;
    return kept;
  }

  async #build(key: string, rows: Iterator<Keyed | undefined>, descending: boolean): Promise<Kept> {
    const pause = new Pauses();
    const found: Keyed[] = [];
    for (let next = rows.next(); next.done !== true; next = rows.next()) {
      if (next.value !== undefined) found.push(next.value);
      if (pause.due) await pause.take();
    }
    const sorted = await mergeSort(found, descending, pause);
    const now = this.#now();
    const made: Kept = {
      id: (++this.#number).toString(36),
      key,
      numbers: Float64Array.from(sorted, ({ number }) => number),
      at: now,
      used: now,
    };
    this.#keep(made);
    return made;
  }

  #keep(made: Kept): void {
    const now = this.#now();
    for (const [id, { used }] of this.#kept) if (now - used > KEPT_MS) this.#kept.delete(id);
    while (this.#kept.size >= KEPT_MAX) {
      const [oldest] = [...this.#kept.values()].sort((a, b) => a.used - b.used);
      this.#kept.delete(oldest!.id);
    }
    this.#kept.set(made.id, made);
  }
}

async function mergeSort(rows: Keyed[], descending: boolean, pause: Pauses): Promise<readonly Keyed[]> {
  const order = descending ? -1 : 1;
  // What has no value comes last either way, and equals keep the order of their coming.
  const compare = (a: Keyed, b: Keyed): number =>
    a.value === undefined || b.value === undefined
      ? compareValues(a.value, b.value) || a.number - b.number
      : order * compareValues(a.value, b.value) || a.number - b.number;
  let from = rows;
  for (let start = 0; start < from.length; start += RUN) {
    const run = from.slice(start, start + RUN).sort(compare);
    for (let index = 0; index < run.length; index++) from[start + index] = run[index]!;
    await pause.take();
  }
  let to: Keyed[] = new Array(from.length);
  for (let width = RUN; width < from.length; width *= 2) {
    for (let start = 0; start < from.length; start += 2 * width) {
      const middle = Math.min(start + width, from.length);
      const end = Math.min(start + 2 * width, from.length);
      let left = start;
      let right = middle;
      for (let at = start; at < end; at++) {
        const takesLeft = left < middle && (right >= end || compare(from[left]!, from[right]!) <= 0);
        to[at] = from[takesLeft ? left++ : right++]!;
        if (pause.due) await pause.take();
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
