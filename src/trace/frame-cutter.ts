import type { Dissector, Sender } from "../contract/dissection.ts";
import { concat, copyOf, NO_BYTES } from "../lib/bytes.ts";

/** What is collected of one frame; a longer one is shown in pieces. */
const FRAME_MAX = 1024 * 1024;

/** A frame, and where in the chunk that completed it the next one begins. */
export interface CutFrame {
  readonly bytes: Uint8Array;
  readonly end: number;
}

/** Finds the frames of one direction of a stream, wherever its chunks are cut. */
export class FrameCutter {
  readonly #dissector: Dissector;
  readonly #from: Sender;
  /** The beginning of a frame that is not whole. */
  #rest: Uint8Array = NO_BYTES;

  constructor(dissector: Dissector, from: Sender) {
    this.#dissector = dissector;
    this.#from = from;
  }

  /** Frames are views, where the chunk has all of them. What comes behind the last is the beginning of one. */
  cut(chunk: Uint8Array): CutFrame[] {
    const { lengthOf } = this.#dissector;
    if (lengthOf === undefined) return [{ bytes: chunk, end: chunk.length }];
    const before = this.#rest.length;
    const bytes = before === 0 ? chunk : concat(this.#rest, chunk);
    const frames: CutFrame[] = [];
    let at = 0;
    while (at < bytes.length) {
      const length = lengthOf.call(this.#dissector, bytes, at, this.#from);
      if (length === undefined || at + length > bytes.length) break;
      const end = at + Math.max(1, length);
      frames.push({
        bytes: at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end),
        end: end - before,
      });
      at = end;
    }
    this.#rest = at === bytes.length ? NO_BYTES : copyOf(bytes.subarray(at));
    if (this.#rest.length <= FRAME_MAX) return frames;
    frames.push({ bytes: this.#rest, end: chunk.length });
    this.#rest = NO_BYTES;
    return frames;
  }
}
