/** First size of the place where a frame is gathered that does not lie in one chunk. */
const CARRY_FIRST = 256;
const NO_CHUNK = Buffer.alloc(0);

/**
 * The bytes of a stream as a decoder goes through them: the chunk at hand, and what was carried over of a frame
 * that began in an earlier one. Offsets are counted from the frame's first octet; `base` makes one of an index in
 * the chunk.
 */
export class Intake {
  chunk: Buffer = NO_CHUNK;
  /** Index in the chunk of the next octet to look at. */
  at = 0;
  base = 0;
  /** First octets of a frame whose chunk is gone, and how many. */
  #carry: Buffer | undefined = undefined;
  #carried = 0;
  /** Index in the chunk of the first octet of this frame that is not in the carry. */
  #from = 0;

  /** What is left of the chunk before goes in front. */
  push(bytes: Uint8Array): void {
    const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#take(this.at === this.chunk.length ? chunk : Buffer.concat([this.chunk.subarray(this.at), chunk]));
  }

  /** Keeps a copy of what has not been looked at, because the chunk will be gone. */
  hold(): void {
    this.#take(this.at === this.chunk.length ? NO_CHUNK : Buffer.from(this.chunk.subarray(this.at)));
  }

  /** A frame begins at this index. */
  begin(at: number): void {
    this.at = at;
    this.#from = at;
    this.base = -at;
  }

  /** Brings the frame's octets up to an index of the chunk into one piece. */
  gather(upTo: number): void {
    if (this.#carried > 0 && upTo > this.#from) this.#carryOn(upTo);
  }

  /** The chunk is used up; `midFrame` keeps what it holds of an unfinished frame. */
  exhaust(midFrame: boolean): void {
    if (midFrame) this.#carryOn(this.chunk.length);
    this.chunk = NO_CHUNK;
    this.at = 0;
  }

  /** The frame is complete. The carry is given away: a message may hold on to a view of it. */
  release(): void {
    this.#carry = undefined;
    this.#carried = 0;
  }

  /** What it takes up between two chunks. */
  get room(): number {
    return (this.#carry?.length ?? 0) + this.chunk.length - this.at;
  }

  /** Where the octets gathered so far are, from `start` on. */
  get bytes(): Buffer {
    return this.#carried > 0 ? (this.#carry as Buffer) : this.chunk;
  }

  get start(): number {
    return this.#carried > 0 ? 0 : this.#from;
  }

  #take(chunk: Buffer): void {
    this.chunk = chunk;
    this.at = 0;
    this.#from = 0;
    this.base = this.#carried;
  }

  #carryOn(upTo: number): void {
    const needed = this.#carried + upTo - this.#from;
    let carry = this.#carry;
    if (carry === undefined || carry.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.max(CARRY_FIRST, 2 * (carry?.length ?? 0), needed));
      if (carry !== undefined) carry.copy(grown, 0, 0, this.#carried);
      carry = grown;
      this.#carry = grown;
    }
    this.chunk.copy(carry, this.#carried, this.#from, upTo);
    this.#carried = needed;
    this.#from = upTo;
  }
}
