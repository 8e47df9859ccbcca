import { encodeKey } from "../codec/key.ts";
import { ByteSink, encodeValue } from "../codec/value.ts";
import type { Change } from "../engine.ts";
import { aligned, FRAME_FULL, FRAME_HEADER, type FrameHead, sealFrame, VALUE_LENGTH } from "./frame.ts";
import type { Ledger } from "./ledger.ts";
import type { Segment } from "./segment.ts";

/** A frame of a commit that is being put together, and where it will go. */
export interface BatchFrame {
  /** In the batch. */
  readonly start: number;
  end: number;
  segment: Segment | undefined;
  /** In the segment. */
  position: number;
}

/** Notes of a record: its frame, where it begins, its key, the end of the key, its end, and whether it removes. */
const NOTES = 6;

/** The frames of one commit; used again for the next. */
export class Batch {
  readonly #sink = new ByteSink(64 * 1024);
  readonly #notes: number[] = [];
  #open: BatchFrame | undefined = undefined;
  readonly frames: BatchFrame[] = [];

  clear(): void {
    this.#sink.length = 0;
    this.#notes.length = 0;
    this.frames.length = 0;
    this.#open = undefined;
  }

  get bytes(): number {
    return this.#sink.length;
  }

  /** Throws where the value is none that can be kept; the batch is then as it was. */
  add({ table, key, value }: Change): void {
    const bytes = encodeKey(table, key);
    const frame = this.#frame();
    const sink = this.#sink;
    const start = sink.length;
    sink.varint(bytes.length);
    sink.need(VALUE_LENGTH);
    const lengthAt = sink.length;
    sink.length += VALUE_LENGTH;
    const keyAt = sink.length;
    sink.raw(bytes);
    const valueAt = sink.length;
    try {
      if (value !== undefined) encodeValue(sink, value());
    } catch (error) {
      sink.length = start;
      if (start === frame.start + FRAME_HEADER) this.#discard(frame);
      throw error;
    }
    sink.bytes.writeUInt32LE(value === undefined ? 0 : sink.length - valueAt + 1, lengthAt);
    this.#note(frame, start, keyAt, valueAt, value === undefined);
  }

  /** A record as it stands elsewhere. */
  copy(bytes: Buffer, start: number, keyAt: number, valueAt: number, end: number): void {
    const frame = this.#frame();
    const at = this.#sink.length;
    this.#sink.raw(bytes.subarray(start, end));
    this.#note(frame, at, at + keyAt - start, at + valueAt - start, false);
  }

  /** Closes the last frame. */
  end(): void {
    if (this.#open !== undefined) this.#close(this.#open);
  }

  /** Gives each frame its head; its place in a segment is known by now. */
  seal(head: Omit<FrameHead, "segment" | "place" | "last">): void {
    for (const [place, { start, end, segment }] of this.frames.entries()) {
      const last = place === this.frames.length - 1;
      const { sequence } = segment!;
      sealFrame(this.#sink.bytes, start, end, { ...head, segment: sequence, place, last });
    }
  }

  /** What follows each other in one segment, as one write. */
  *writes(): Generator<{ readonly segment: Segment; readonly position: number; readonly bytes: Buffer }> {
    let first: BatchFrame | undefined;
    for (const [index, frame] of this.frames.entries()) {
      first ??= frame;
      const next = this.frames[index + 1];
      if (next?.segment === frame.segment) continue;
      const bytes = this.#sink.bytes.subarray(first.start, aligned(frame.end));
      yield { segment: first.segment!, position: first.position, bytes };
      first = undefined;
    }
  }

  /** The commit is on disk: its records count from now on. */
  enter(ledger: Ledger): void {
    const { bytes } = this.#sink;
    const notes = this.#notes;
    for (let at = 0; at < notes.length; at += NOTES) {
      const frame = this.frames[notes[at]!]!;
      const start = notes[at + 1]!;
      const key = notes[at + 2]!;
      const keyEnd = notes[at + 3]!;
      if (notes[at + 5] === 1) {
        ledger.remove(bytes, key, keyEnd);
        continue;
      }
      const offset = frame.position + start - frame.start;
      ledger.put(bytes, key, keyEnd, frame.segment!, offset, notes[at + 4]! - start);
    }
  }

  #note(frame: BatchFrame, start: number, keyAt: number, valueAt: number, removes: boolean): void {
    const end = this.#sink.length;
    this.#notes.push(this.frames.length - 1, start, keyAt, valueAt, end, removes ? 1 : 0);
    if (end - frame.start - FRAME_HEADER >= FRAME_FULL) this.#close(frame);
  }

  #frame(): BatchFrame {
    if (this.#open === undefined) {
      this.#open = { start: this.#sink.length, end: 0, segment: undefined, position: 0 };
      this.frames.push(this.#open);
      this.#skip(FRAME_HEADER);
    }
    return this.#open;
  }

  /** The last frame, which holds nothing. */
  #discard(frame: BatchFrame): void {
    this.#sink.length = frame.start;
    this.frames.pop();
    this.#open = undefined;
  }

  #close(frame: BatchFrame): void {
    frame.end = this.#sink.length;
    this.#skip(aligned(frame.end) - frame.end);
    this.#open = undefined;
  }

  #skip(count: number): void {
    const sink = this.#sink;
    sink.need(count);
    sink.bytes.fill(0, sink.length, sink.length + count);
    sink.length += count;
  }
}
