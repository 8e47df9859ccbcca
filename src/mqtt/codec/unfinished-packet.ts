import { after, type Duration, type Instant } from "../../lib/time.ts";
import type { PacketError } from "../packets.ts";
import { frame, readFixedHeader } from "./fixed-header.ts";

/** First room for a packet; it grows with what arrives, not with what is announced. */
const FIRST_ROOM = 256;

/**
 * The beginning of a packet whose end has not arrived. It never holds more than that one packet, and its memory
 * is not used again: payloads may point into it.
 */
export class UnfinishedPacket {
  /** When the packet must be whole; put off while the gateway does not read. */
  deadline: Instant;
  readonly #limit: number;
  #bytes: Uint8Array;
  #length = 0;
  /** Size of the packet; 0 while its header is unfinished. */
  #size = 0;

  constructor(limit: number, now: Instant, patience: Duration) {
    this.#limit = limit;
    this.#bytes = new Uint8Array(FIRST_ROOM);
    this.deadline = after(now, patience);
  }

  /** What it takes up by now. */
  get room(): number {
    return this.#bytes.length;
  }

  /** The packet, once `append` has said `whole`. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  /**
   * Takes from `bytes[at, …)` what belongs to the packet. `taken` says how far; the packet lies in `frame` and
   * `this.bytes` when it is whole.
   */
  append(bytes: Uint8Array, at: number): { readonly taken: number; readonly state: UnfinishedState } {
    let taken = at;
    while (this.#size === 0) {
      if (taken >= bytes.length) return { taken, state: "incomplete" };
      this.#bytes[this.#length++] = bytes[taken++] as number;
      const state = readFixedHeader(this.#bytes.subarray(0, this.#length), 0, this.#limit);
      if (typeof state !== "string") return { taken, state };
      if (state === "whole") this.#size = frame.end;
      else if (this.#length > 1 && (this.#bytes[this.#length - 1] as number) < 0x80) this.#size = frame.end;
    }
    const count = Math.min(this.#size - this.#length, bytes.length - taken);
    this.#makeRoom(this.#length + count);
    this.#bytes.set(bytes.subarray(taken, taken + count), this.#length);
    this.#length += count;
    taken += count;
    if (this.#length < this.#size) return { taken, state: "incomplete" };
    return { taken, state: readFixedHeader(this.#bytes.subarray(0, this.#size), 0, this.#limit) };
  }

  #makeRoom(length: number): void {
    if (length <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.min(this.#size, Math.max(length, 2 * this.#bytes.length)));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

type UnfinishedState = "whole" | "incomplete" | PacketError;
