import { KeyIndex } from "./key-index.ts";
import type { Segment } from "./segment.ts";

/** What counts: where the newest record of each key lies, and how much of each segment that is. */
export class Ledger {
  readonly #index = new KeyIndex();
  readonly #segments = new Map<number, Segment>();
  /** Records by the first byte of their keys. */
  readonly #counts = new Uint32Array(256);
  /** Bytes of records that count, in all segments. */
  live = 0;

  count(table: number): number {
    return this.#counts[table]!;
  }

  open(segment: Segment): void {
    this.#segments.set(segment.sequence, segment);
  }

  /** Its records have been written again, or count no more. */
  close(segment: Segment): void {
    this.#segments.delete(segment.sequence);
    this.live -= segment.live;
  }

  /** A record stands at a place of a segment. The key is in `bytes`. */
  put(
    bytes: Uint8Array,
    key: number,
    keyEnd: number,
    segment: Segment,
    offset: number,
    length: number,
  ): void {
    const table = bytes[key]!;
    if (this.#index.set(bytes, key, keyEnd, segment.sequence, offset, length)) this.#counted();
    else this.#counts[table]!++;
    segment.live += length;
    segment.tables |= 1 << table;
    this.live += length;
  }

  remove(bytes: Uint8Array, key: number, keyEnd: number): void {
    if (!this.#index.delete(bytes, key, keyEnd)) return;
    this.#counts[bytes[key]!]!--;
    this.#counted();
  }

  /** Whether the record at this place is the newest of its key. */
  isLive(bytes: Uint8Array, key: number, keyEnd: number, segment: Segment, offset: number): boolean {
    const index = this.#index;
    return index.find(bytes, key, keyEnd) && index.segment === segment.sequence && index.offset === offset;
  }

  /** What the index has replaced counts no more. */
  #counted(): void {
    const { segment, length } = this.#index;
    const former = this.#segments.get(segment);
    if (former === undefined) return;
    former.live -= length;
    this.live -= length;
  }
}
