import type { Cause } from "./cause.ts";
import { type About, Conditions, type TraceFilter } from "./filter.ts";
import type { TraceRow } from "./rows.ts";
import type { TracedChannel } from "./traced-channel.ts";

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

  /** All that comes over this channel is of interest, as far as a channel can say. */
  concerns(channel: TracedChannel): boolean {
    return this.ended === undefined && this.#conditions.concern(channel);
  }

  /**
   * Something about this belongs to the cause: does the recording follow it now? `newly`: this was what it waited for, and
   * what came before has to come along.
   */
  follows(cause: Cause, about: About): "newly" | "already" | undefined {
    if (this.ended !== undefined) return undefined;
    const { all } = this.#conditions;
    const before = cause.metOf(this);
    if (before === all && all !== 0) return "already";
    const met = before | this.#conditions.met(about);
    if (met !== before) cause.meets(this, met);
    if (met !== all) return undefined;
    return all === 0 ? "already" : "newly";
  }

  /** Takes a row. */
  tell(row: TraceRow): void {
    if (this.ended === undefined) this.#take(row);
  }

  end(why: Ended): void {
    if (this.ended !== undefined) return;
    this.ended = why;
    for (const tell of this.#listeners) tell(undefined);
    this.#listeners.clear();
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
