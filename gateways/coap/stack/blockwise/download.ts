import { NO_BYTES } from "#core/lib/bytes.ts";
import { type Block, blockOffset, packBlock } from "./block.ts";
import type { Room } from "./transfer.ts";

/** A body that the peer serves in blocks to us (RFC 7959 §2.4), put together in order. */
export class Download {
  readonly #limit: number;
  readonly #room: Room;
  #bytes: Uint8Array = NO_BYTES;
  #length = 0;
  #szx: number;
  etag: string | undefined;

  constructor(limit: number, room: Room, szx: number, etag: string | undefined) {
    this.#limit = limit;
    this.#room = room;
    this.#szx = szx;
    this.etag = etag;
  }

  get body(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Block2 of the request for the next block. */
  get next(): number {
    return packBlock(this.#length / (1 << (Math.min(this.#szx, 6) + 4)), false, this.#szx);
  }

  /** It is whole, or given up. */
  release(): void {
    this.#room.release(this.#bytes.length);
    this.#bytes = NO_BYTES;
    this.#length = 0;
  }

  /** False when the block does not continue the body, the body grows over the limit, or memory is used up. */
  append(block: Block, payload: Uint8Array): boolean {
    if (blockOffset(block) !== this.#length || this.#length + payload.length > this.#limit) return false;
    if (block.more && (payload.length === 0 || payload.length % (1 << (Math.min(block.szx, 6) + 4)) !== 0)) {
      return false;
    }
    const length = this.#length + payload.length;
    if (length > this.#bytes.length) {
      const room = Math.min(this.#limit, Math.max(length, 2 * this.#bytes.length));
      if (!this.#room.reserve(room - this.#bytes.length)) return false;
      const grown = new Uint8Array(room);
      grown.set(this.body);
      this.#bytes = grown;
    }
    this.#bytes.set(payload, this.#length);
    this.#length = length;
    this.#szx = block.szx;
    return true;
  }
}
