/** What a log holds after whatever has ended its process: every commit that was acknowledged, and nothing by halves. */
import type { Damage } from "../engine.ts";
import type { LogDisk } from "./disk.ts";
import { ALIGNMENT, aligned, type Frame, firstRecord, frameAt, newPlace, readPlace } from "./frame.ts";
import { Ledger } from "./ledger.ts";
import { FIRST_FRAME, framesOf, type Gap, isGap, MAGIC, Segment } from "./segment.ts";

export interface Recovered {
  readonly ledger: Ledger;
  /** From the oldest to the one that is written to. */
  readonly log: readonly Segment[];
  readonly spares: readonly Segment[];
  /** The last commit on disk, and the highest number that any attempt had. */
  readonly committed: number;
  readonly attempted: number;
  readonly sequence: number;
  readonly damages: readonly Damage[];
}

/** Read of a file to see what it is. */
const PEEK = 16_384;
/** Of damage no more than this is put aside. */
const RAW_MAX = 65_536;

/** Throws where a file is none of a log's. */
export async function recover(disk: LogDisk): Promise<Recovered> {
  const segments: Segment[] = [];
  try {
    for (const number of disk.list()) {
      const segment = new Segment(number, await disk.open(number));
      segments.push(segment);
      segment.sequence = sequenceOf(segment);
    }
  } catch (error) {
    for (const { file } of segments) await file.close();
    throw error;
  }
  segments.sort((a, b) => a.sequence - b.sequence);
  const sequence = segments.at(-1)?.sequence ?? 0;
  const used = segments.filter((segment) => segment.sequence > 0);
  // Segments before the tail do not count. The last commit knows it; what is newest may be an attempt that failed.
  let tail = used.length === 0 ? 0 : tailOf(used.at(-1)!);
  let replay = replayOf(used, tail);
  while (replay.tail > tail) {
    tail = replay.tail;
    replay = replayOf(used, tail);
  }
  // What only an attempt has left that came to nothing is no part of the log: it must never be where that begins.
  const log = used.filter(({ end }) => end > FIRST_FRAME);
  const spares = segments.filter((segment) => !log.includes(segment));
  for (const spare of spares) spare.clear(0);
  return {
    ...{ ledger: replay.ledger, log, spares, committed: replay.applied, attempted: replay.attempted },
    ...{ sequence, damages: replay.damages },
  };
}

/** The place of a segment in the log; 0 when there is no frame in it. */
function sequenceOf({ number, file }: Segment): number {
  const peek = file.read(0, Math.min(PEEK, file.size));
  const ours = peek.subarray(0, FIRST_FRAME).equals(MAGIC);
  const first = ours ? frameAt(peek, FIRST_FRAME) : undefined;
  if (first !== undefined) return first.segment;
  const bytes = file.read(0, file.size);
  let sequence = 0;
  for (let at = FIRST_FRAME; at < bytes.length; at += ALIGNMENT) {
    const frame = frameAt(bytes, at);
    if (frame !== undefined && frame.segment > sequence) sequence = frame.segment;
  }
  if (sequence === 0 && !ours && bytes.some((byte) => byte !== 0)) {
    throw new Error(`its file ${number} is no log, or damaged`);
  }
  return sequence;
}

/** The oldest segment that counts, as the newest one has it. */
function tailOf(newest: Segment): number {
  let tail = 0;
  for (const item of framesOf(newest.file.read(0, newest.file.size), newest.sequence)) {
    if (!isGap(item) && item.tail > tail) tail = item.tail;
  }
  return tail;
}

function replayOf(segments: readonly Segment[], tail: number): Replay {
  const replay = new Replay();
  for (const segment of segments) {
    segment.clear(segment.sequence);
    if (segment.sequence >= tail) replay.read(segment);
  }
  replay.end();
  return replay;
}

interface Read {
  readonly frame: Frame;
  readonly bytes: Buffer;
  readonly segment: Segment;
}

interface Found {
  readonly segment: Segment;
  readonly gap: Gap;
  readonly raw: Buffer;
}

/** Takes frames in the order of the log, and applies a commit when it is known that it was one. */
class Replay {
  readonly ledger = new Ledger();
  readonly damages: Damage[] = [];
  /** The last commit that counts. */
  applied = 0;
  attempted = 0;
  /** The oldest segment that counts, by what was read. */
  tail = 0;
  #begun = false;
  /** Frames of a commit of which others may be missing. */
  #pending: Read[] = [];
  /** Bytes among them, and before the first, that should have been frames; and those since the last frame. */
  #gaps: Found[] = [];
  #loose: Found[] = [];
  readonly #place = newPlace();

  read(segment: Segment): void {
    this.ledger.open(segment);
    const bytes = segment.file.read(0, segment.file.size);
    for (const item of framesOf(bytes, segment.sequence)) {
      if (isGap(item)) {
        const raw = bytes.subarray(item.from, Math.min(item.to, item.from + RAW_MAX));
        this.#loose.push({ segment, gap: item, raw: Buffer.from(raw) });
      } else this.#take({ frame: item, bytes, segment });
    }
  }

  #take(read: Read): void {
    const { frame } = read;
    if (frame.commit > this.attempted) this.attempted = frame.commit;
    // Left in a file of its own by an attempt that failed.
    if (frame.commit <= this.applied) return;
    if (frame.tail > this.tail) this.tail = frame.tail;
    const commit = this.#pending[0]?.frame.commit;
    if (commit !== undefined && frame.commit < commit) return;
    if (commit !== undefined && frame.commit > commit) {
      // A later commit was made upon it, so it was whole once. Else it was an attempt that came to nothing.
      if (frame.former >= commit) this.#apply();
      this.#pending = [];
      this.#gaps = [];
    }
    this.#pending.push(read);
    this.#gaps.push(...this.#loose.splice(0));
  }

  /** The last commit counts when it is whole; if it is not, nobody was told that it is. */
  end(): void {
    if (this.#isWhole) this.#apply();
  }

  get #isWhole(): boolean {
    const last = this.#pending.at(-1)?.frame;
    if (last === undefined || !last.last || this.#pending.length !== last.place + 1) return false;
    return this.#pending.every(({ frame: { place } }, index) => place === index);
  }

  #apply(): void {
    const [{ frame: first }] = this.#pending as [Read];
    const isFirst = !this.#begun;
    // Before the first one there were others, and frames of its own: their segments have been used again.
    const lost = isFirst ? this.#gaps.length > 0 : !this.#isWhole || first.former !== this.applied;
    if (lost) this.#report();
    for (const { frame, bytes, segment } of this.#pending) this.#enter(frame, bytes, segment);
    this.applied = first.commit;
    this.#pending = [];
    this.#begun = true;
  }

  #report(): void {
    if (this.#gaps.length === 0) {
      const problem = `commits behind ${this.applied} are missing`;
      this.damages.push({ table: undefined, problem, raw: new Uint8Array(0) });
    }
    for (const { segment, gap, raw } of this.#gaps) {
      const problem = `bytes ${gap.from} to ${gap.to} of log file ${segment.number} are damaged`;
      this.damages.push({ table: undefined, problem, raw });
    }
  }

  #enter(frame: Frame, bytes: Buffer, segment: Segment): void {
    const place = this.#place;
    for (let at = firstRecord(frame); readPlace(bytes, at, frame.end, place); at = place.end) {
      if (place.removed) this.ledger.remove(bytes, place.keyAt, place.valueAt);
      else {
        const { start, keyAt, valueAt, end } = place;
        this.ledger.put(bytes, keyAt, valueAt, segment, start, end - start);
      }
    }
    segment.end = aligned(frame.end);
  }
}
