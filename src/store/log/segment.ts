import type { LogFile } from "./disk.ts";
import { ALIGNMENT, aligned, type Frame, frameAt } from "./frame.ts";

/** At the head of each file, written when it is made and never again. */
export const MAGIC = Buffer.from("isthmus log 1\n\0\0", "latin1");
/** Where the first frame begins. */
export const FIRST_FRAME = MAGIC.length;

/** A file of the log, and what it is used for now. */
export class Segment {
  /** Of the file. */
  readonly number: number;
  readonly file: LogFile;
  /** Its place in the log; a file that is used again gets a new one. 0 while it waits for use. */
  sequence = 0;
  /** Where the next frame goes. */
  end = FIRST_FRAME;
  /** Bytes of records that count. */
  live = 0;
  /** A bit for each table of which it holds records. */
  tables = 0;

  constructor(number: number, file: LogFile) {
    this.number = number;
    this.file = file;
  }

  get room(): number {
    return this.file.size - this.end;
  }

  /** To be written anew. */
  clear(sequence: number): void {
    this.sequence = sequence;
    this.end = FIRST_FRAME;
    this.live = 0;
    this.tables = 0;
  }
}

/** Bytes between two frames that are none. */
export interface Gap {
  readonly from: number;
  readonly to: number;
}

/** The frames of a segment, and what lies between them. What was there before the file was used again is passed over. */
export function* framesOf(bytes: Buffer, sequence: number): Generator<Frame | Gap> {
  let at = FIRST_FRAME;
  let expected = at;
  let newest = 0;
  while (at < bytes.length) {
    const frame = frameAt(bytes, at);
    // An older commit behind a newer one is what is left of an attempt that failed.
    if (frame === undefined || frame.segment !== sequence || frame.commit < newest) {
      at += ALIGNMENT;
      continue;
    }
    if (at > expected) yield { from: expected, to: at };
    yield frame;
    newest = frame.commit;
    at = aligned(frame.end);
    expected = at;
  }
}

export const isGap = (item: Frame | Gap): item is Gap => "to" in item;
