import { NO_BYTES } from "#core/lib/bytes.ts";
import { type DecodeError, decodeError, type Err } from "#core/lib/result.ts";
import type { Framing } from "./framing.ts";

/**
 * Cuts a stream into frames. `push` hands in a chunk, `next` is called until it has nothing more, and `hold` before the
 * chunk's memory is used again. Frames that lie in one chunk are views of it; no octet is searched twice.
 */
export class FrameStream {
  readonly #framing: Framing;
  /** Longest frame in octets. */
  readonly #max: number;
  #bytes = NO_BYTES;
  #at = 0;
  #end = 0;
  /** `#bytes` is memory of our own. */
  #owned = false;
  /** Octets of the frame at `#at` that were searched in vain. */
  #seen = 0;

  constructor(framing: Framing, max: number) {
    this.#framing = framing;
    this.#max = max;
  }

  push(chunk: Uint8Array): void {
    if (this.#at === this.#end) {
      this.#bytes = chunk;
      this.#at = 0;
      this.#end = chunk.length;
      this.#owned = false;
      return;
    }
    this.#room(chunk.length);
    this.#bytes.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** What it takes up between two chunks. */
  get room(): number {
    return this.#at === this.#end ? 0 : this.#bytes.length;
  }

  /** The next whole frame, undefined while there is none, or what is wrong. */
  next(): Uint8Array | undefined | Err<DecodeError> {
    const held = this.#end - this.#at;
    if (held === 0) return undefined;
    const length = this.#framing.lengthOf(this.#bytes, this.#at, this.#end, this.#seen);
    if (typeof length === "object") return length;
    if ((length ?? held) > this.#max) {
      return decodeError("packetSize", this.#max, `a frame of more than ${this.#max} octets`);
    }
    if (length === undefined || length > held) {
      this.#seen = held;
      return undefined;
    }
    const frame = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    this.#seen = 0;
    return frame;
  }

  /** Copies what is left of the last chunk, and lets go of its memory. */
  hold(): void {
    if (this.#at === this.#end) {
      this.#bytes = NO_BYTES;
      this.#at = 0;
      this.#end = 0;
    } else if (!this.#owned) this.#room(0);
  }

  /** Makes the memory ours, with room for so many octets more. */
  #room(more: number): void {
    const held = this.#end - this.#at;
    if (this.#owned && this.#end + more <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(64, 2 * (held + more)));
    bytes.set(this.#bytes.subarray(this.#at, this.#end));
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = held;
    this.#owned = true;
  }
}
