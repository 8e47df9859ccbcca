import type { Cause } from "./cause.ts";
import { Conditions, type TraceFilter } from "./filter.ts";
import type { TraceRow } from "./rows.ts";

export interface RecordingOptions extends TraceFilter {
  readonly name: string;
  /** Who has asked for it. */
  readonly owner: string;
  /** When it ends by itself, in milliseconds since the epoch. */
  readonly until: number;
  /** It ends when it holds so many rows. */
  readonly rows: number;
}

/** Why a recording takes no more. */
export type Ended = "stopped" | "time" | "rows" | "memory";

/** Octets that one recording may hold. */
const BYTES_MAX = 32 * 1024 * 1024;
/** What a row weighs beside its octets. */
const ROW_WEIGHT = 400;
/** Causes that are followed at one time; the oldest go. */
const CAUSES_MAX = 20_000;

/** One trace: what it follows, and the rows that it has found. */
export class Recording {
  readonly id: string;
  readonly options: RecordingOptions;
  readonly startedAt: number;
  readonly rows: TraceRow[] = [];
  ended: Ended | undefined = undefined;
  /** Told of each row, and once of nothing when it has ended. */
  readonly #listeners = new Set<(row: TraceRow | undefined) => void>();
  readonly #conditions: Conditions;
  /** Conditions that rows of a cause have met, by its number. */
  readonly #met = new Map<number, number>();
  #bytes = 0;

  constructor(id: string, options: RecordingOptions, startedAt: number) {
    this.id = id;
    this.options = options;
    this.startedAt = startedAt;
    this.#conditions = new Conditions(options);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Calls `tell` with every row from now on; what it returns ends that. */
  listen(tell: (row: TraceRow | undefined) => void): () => void {
    if (this.ended !== undefined) tell(undefined);
    else this.#listeners.add(tell);
    return () => this.#listeners.delete(tell);
  }

  /** A row of a cause; when it is the one that makes the cause interesting, the earlier ones come along. */
  offer(row: TraceRow, cause: Cause): void {
    if (this.ended !== undefined) return;
    const { all } = this.#conditions;
    const before = this.#met.get(cause.number) ?? 0;
    const met = before | (before === all ? 0 : this.#conditions.met(row));
    if (met !== before || all === 0) this.#remember(cause.number, met);
    if (met !== all) return;
    if (before !== all) for (const earlier of cause.rows) if (earlier !== row) this.#take(earlier);
    this.#take(row);
  }

  /** Takes a row whatever it follows from. */
  tell(row: TraceRow): void {
    if (this.ended === undefined) this.#take(row);
  }

  end(why: Ended): void {
    if (this.ended !== undefined) return;
    this.ended = why;
    this.#met.clear();
    for (const tell of this.#listeners) tell(undefined);
    this.#listeners.clear();
  }

  #remember(cause: number, met: number): void {
    this.#met.set(cause, met);
    if (this.#met.size <= CAUSES_MAX) return;
    const oldest = this.#met.keys().next();
    if (oldest.done !== true) this.#met.delete(oldest.value);
  }

  #take(row: TraceRow): void {
    if (this.ended !== undefined) return;
    this.rows.push(row);
    this.#bytes +=
      ROW_WEIGHT + ("bytes" in row ? row.bytes.length : 0) + ("payload" in row ? row.payload.length : 0);
    for (const tell of this.#listeners) tell(row);
    if (this.rows.length >= this.options.rows) this.end("rows");
    else if (this.#bytes >= BYTES_MAX) this.end("memory");
  }
}
