import type { NewRow, TraceRow } from "./rows.ts";

/** Rows of one cause that wait for one of them to be interesting. */
const ROWS_MAX = 64;

/** What sets other things off: a frame, a timer, a call from outside. */
export class Cause {
  readonly number: number;
  /** Said before the first thing that follows: a timer from which nothing follows leaves no row. */
  prelude: NewRow | undefined;
  /** The first of what followed. */
  readonly rows: TraceRow[] = [];
  /** Frames that follow from a timer belong to the exchange that they repeat, where there is one. */
  readonly timer: boolean;

  constructor(number: number, prelude?: NewRow) {
    this.number = number;
    this.prelude = prelude;
    this.timer = prelude !== undefined;
  }

  add(row: TraceRow): void {
    if (this.rows.length < ROWS_MAX) this.rows.push(row);
  }
}
