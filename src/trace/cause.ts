import { copyOf } from "../lib/bytes.ts";
import type { About } from "./filter.ts";
import type { Recording } from "./recording.ts";
import type { NewRow, TraceRow } from "./rows.ts";

/** Octets that are another's and will be overwritten, unless somebody wants them for longer. */
export class Borrowed {
  #bytes: Uint8Array;
  #owned = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  own(): Uint8Array {
    if (!this.#owned) this.#bytes = copyOf(this.#bytes);
    this.#owned = true;
    return this.#bytes;
  }
}

/** What happened, and will be a row when a recording follows its cause. */
export class Happening {
  readonly #number: number;
  readonly #at: number;
  readonly #cause: number;
  readonly #make: (at: number) => NewRow;
  readonly #borrowed: Borrowed | undefined;
  #row: TraceRow | undefined = undefined;

  constructor(number: number, at: number, cause: number, make: (at: number) => NewRow, borrowed?: Borrowed) {
    this.#number = number;
    this.#at = at;
    this.#cause = cause;
    this.#make = make;
    this.#borrowed = borrowed;
  }

  get made(): boolean {
    return this.#row !== undefined;
  }

  /** Made when somebody wants it: a frame is read only then. */
  get row(): TraceRow {
    const at = this.#at;
    this.#row ??= { number: this.#number, cause: this.#cause, at, ...this.#make(at) } as TraceRow;
    return this.#row;
  }

  /** It stays for longer than its input. */
  keep(): void {
    this.#borrowed?.own();
  }
}

/** What of one cause is remembered for recordings that come to follow it later. */
const HAPPENINGS_MAX = 64;

/** What sets other things off: a frame, a timer, a call from outside. */
export class Cause {
  readonly number: number;
  /** Said before the first thing that follows: a timer from which nothing follows leaves no row. */
  prelude: { readonly about: About; readonly make: () => NewRow } | undefined;
  /** Frames that follow from a timer belong to the exchange that they repeat, where there is one. */
  readonly timer: boolean;
  /** Some recording has taken rows of it. */
  followed = false;
  /** It goes on after its input, under its number. */
  kept = false;
  /** Messages of it that have not come to the bus yet. */
  published = 0;
  /** The first of what followed. */
  #first: Happening[] | undefined = undefined;
  /** Conditions that it has met, of recordings for which these are some or all. */
  #met: Map<Recording, number> | undefined = undefined;

  constructor(number: number, prelude?: Cause["prelude"]) {
    this.number = number;
    this.prelude = prelude;
    this.timer = prelude !== undefined;
  }

  get first(): readonly Happening[] {
    return this.#first ?? [];
  }

  add(happening: Happening): void {
    this.#first ??= [];
    if (this.#first.length >= HAPPENINGS_MAX) return;
    this.#first.push(happening);
    if (this.kept) happening.keep();
  }

  /** Some recording may come to follow it. */
  get promising(): boolean {
    return this.#met !== undefined;
  }

  /** It goes on after its input. */
  keep(): void {
    this.kept = true;
    if (this.#first !== undefined) for (const happening of this.#first) happening.keep();
  }

  metOf(recording: Recording): number {
    return this.#met?.get(recording) ?? 0;
  }

  meets(recording: Recording, met: number): void {
    this.#met ??= new Map();
    this.#met.set(recording, met);
  }
}
