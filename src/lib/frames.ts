/** How a protocol says where each of its messages ends. */
export interface Framing {
  /** Octets of what stands before each message. */
  readonly head: number;
  /** Octets of the message that begins so, with its beginning; undefined where none begins so, or none that long may come. */
  lengthOf(head: Buffer): number | undefined;
}

const NOTHING = Buffer.alloc(0);

/** Follows the messages of one stream by their heads, so that no library has to trust what they say. */
export class FrameWatch {
  readonly #framing: Framing;
  #head: Buffer = NOTHING;
  /** Octets of the message that are still to come. */
  #left = 0;

  constructor(framing: Framing) {
    this.#framing = framing;
  }

  /** False where what comes cannot be messages. */
  passes(chunk: Buffer): boolean {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
        continue;
      }
      const before = this.#head;
      const missing = this.#framing.head - before.length;
      const found = chunk.subarray(at, at + missing);
      const head = before.length === 0 ? found : Buffer.concat([before, found]);
      at += found.length;
      this.#head = NOTHING;
      if (found.length < missing) {
        // A copy: the chunk's memory is used again.
        this.#head = Buffer.from(head);
        return true;
      }
      const length = this.#framing.lengthOf(head);
      if (length === undefined) return false;
      this.#left = length - head.length;
    }
    return true;
  }
}
