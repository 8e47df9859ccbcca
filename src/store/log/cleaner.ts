import type { Batch } from "./batch.ts";
import { firstRecord, newPlace, readPlace } from "./frame.ts";
import type { Ledger } from "./ledger.ts";
import { framesOf, isGap, type Segment } from "./segment.ts";

/** Reading a byte counts as much as this of writing one. */
const READING = 1 / 16;

/** A segment whose records are being copied. */
interface Source {
  readonly segment: Segment;
  readonly loaded: Promise<void>;
  /** Undefined until it is read. */
  bytes: Buffer | undefined;
  /** Up to here it is done, on disk; and with the commit that is being made. */
  done: number;
  reached: number;
}

/**
 * Copies what still counts out of the oldest segment, a little with each commit, until nothing of it does. Always the
 * oldest: so what removes a record is needed no longer than its segment, since whatever it removed lies no later.
 */
export class Cleaner {
  readonly #ledger: Ledger;
  #source: Source | undefined = undefined;
  readonly #place = newPlace();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Reads a segment. Nothing is written to it any more. */
  open(segment: Segment): Promise<void> {
    if (this.#source?.segment === segment) return this.#source.loaded;
    const read = segment.live === 0 ? Promise.resolve(Buffer.alloc(0)) : segment.file.load(segment.end);
    const loaded = read.then(
      (bytes) => {
        source.bytes = bytes;
      },
      (error) => {
        if (this.#source === source) this.#source = undefined;
        throw error;
      },
    );
    const source: Source = { segment, loaded, bytes: undefined, done: 0, reached: 0 };
    this.#source = source;
    return loaded;
  }

  isOpen(segment: Segment): boolean {
    return this.#source?.segment === segment && this.#source.bytes !== undefined;
  }

  /** Copies about as many bytes into a commit; true when nothing is left to copy once that is on disk. */
  copy(batch: Batch, budget: number): boolean {
    const source = this.#source!;
    const { segment, done } = source;
    const bytes = source.bytes!;
    if (segment.live === 0) return true;
    let left = budget;
    for (const frame of framesOf(bytes, segment.sequence)) {
      if (isGap(frame) || frame.start < done) continue;
      if (left <= 0) return false;
      const before = batch.bytes;
      for (let at = firstRecord(frame); readPlace(bytes, at, frame.end, this.#place); at = this.#place.end) {
        const { start, keyAt, valueAt, end, removed } = this.#place;
        if (removed || !this.#ledger.isLive(bytes, keyAt, valueAt, segment, start)) continue;
        batch.copy(bytes, start, keyAt, valueAt, end);
      }
      left -= batch.bytes - before + (frame.end - frame.start) * READING;
      source.reached = frame.end;
    }
    return true;
  }

  /** What was copied since the last commit on disk came to nothing. */
  restart(): void {
    if (this.#source !== undefined) this.#source.reached = this.#source.done;
  }

  /** The commit is on disk. */
  settle(): void {
    if (this.#source !== undefined) this.#source.done = this.#source.reached;
  }

  /** The segment is done with. */
  close(): void {
    this.#source = undefined;
  }
}
