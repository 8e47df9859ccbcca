import type { EngineOptions } from "../engine.ts";
import { StoreError } from "../store-error.ts";
import type { LogDisk } from "./disk.ts";
import { aligned } from "./frame.ts";
import { FIRST_FRAME, MAGIC, Segment } from "./segment.ts";

/** Kept back so that a full disk does not stop what makes room: one for removals, one for cleaning. */
export const RESERVED = 2;
/** Ready before they are needed. */
const AHEAD = 1;
/** Sizes of segments: as large as is usual, or smaller where there is little room, or larger where there is much. */
const SIZE_USUAL = 4 << 20;
const SIZE_MAX = 16 << 20;
const SIZE_MIN = 128 << 10;
const PART_OF_ROOM = 32;
const PART_OF_STORE = 64;
/** A disk that had no room is not asked again at once. */
const RETRY_MS = 1000;

export interface LogOptions extends EngineOptions {
  /** For tests: of each segment, whatever room there is. */
  readonly segmentSize?: number;
}

/** Files that wait to become segments: made ahead, so that no commit can meet a full disk. */
export class Space {
  readonly #disk: LogDisk;
  readonly #sizeMax: number;
  readonly #fixedSize: number | undefined;
  readonly #spares: Segment[];
  #size: number;
  /** All files together. */
  #bytes: number;
  #lastNumber: number;
  #growing: Promise<void> | undefined = undefined;
  /** Why there is no more; undefined while nothing speaks against it. */
  #refusal: Error | undefined = undefined;
  #refusedUntil = 0;

  constructor(
    disk: LogDisk,
    { sizeMax, segmentSize }: LogOptions,
    log: readonly Segment[],
    spares: readonly Segment[],
  ) {
    this.#disk = disk;
    this.#sizeMax = sizeMax;
    this.#fixedSize = segmentSize;
    this.#spares = [...spares];
    const files = [...log, ...spares];
    this.#bytes = files.reduce((sum, { file }) => sum + file.size, 0);
    this.#lastNumber = files.reduce((last, { number }) => Math.max(last, number), 0);
    this.#size = this.#fitting();
  }

  /** Of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of a segment. */
  get size(): number {
    return this.#size;
  }

  /** Of a new one. */
  #fitting(): number {
    if (this.#fixedSize !== undefined) return this.#fixedSize;
    const room = Math.min(this.#sizeMax, this.#disk.free() + this.#bytes) / PART_OF_ROOM;
    const fit = Math.min(room, Math.max(SIZE_USUAL, this.#bytes / PART_OF_STORE), SIZE_MAX);
    return Math.max(SIZE_MIN, 2 ** Math.floor(Math.log2(Math.max(1, fit))));
  }

  get spares(): number {
    return this.#spares.length;
  }

  get refusal(): Error | undefined {
    return this.#refusal;
  }

  /** Takes a segment with room for a frame. `reserve`: how many must stay. */
  take(frame: number, reserve: number): Segment | undefined {
    const at = this.#spares.findIndex(({ file }) => file.size >= FIRST_FRAME + frame);
    if (at < 0 || this.#spares.length <= reserve) return undefined;
    return this.#spares.splice(at, 1)[0];
  }

  /** A segment that counts no more. It is kept for use, or its bytes are given back. */
  async giveBack(segment: Segment): Promise<void> {
    segment.clear(0);
    if (this.#spares.length < RESERVED + 2 * AHEAD && segment.file.size <= SIZE_MAX) {
      this.#spares.push(segment);
      return;
    }
    this.#bytes -= segment.file.size;
    await segment.file.close();
    this.#disk.remove(segment.number);
  }

  /** Makes ready what is missing, while others wait for nothing. */
  prepare(): void {
    if (this.#growing !== undefined || this.#spares.length >= RESERVED + AHEAD) return;
    if (performance.now() >= this.#refusedUntil) this.grow(0).catch(() => {});
  }

  /** One segment more, with room for a frame. Throws when there can be none. */
  async grow(frame: number): Promise<void> {
    if (this.#growing !== undefined) {
      await this.#growing.catch(() => {});
      return;
    }
    if (this.#refusal !== undefined && performance.now() < this.#refusedUntil) throw this.#refusal;
    this.#size = this.#fitting();
    this.#growing = this.#make(Math.max(this.#size, aligned(FIRST_FRAME + frame)));
    try {
      await this.#growing;
      this.#refusal = undefined;
    } catch (error) {
      this.#refusal = error as Error;
      this.#refusedUntil = performance.now() + RETRY_MS;
      throw error;
    } finally {
      this.#growing = undefined;
    }
  }

  async close(): Promise<void> {
    await this.#growing?.catch(() => {});
    for (const { file } of this.#spares) await file.close();
  }

  /** Gives all back that is not in use. */
  async clear(): Promise<void> {
    await this.#growing?.catch(() => {});
    for (const spare of this.#spares.splice(0)) {
      this.#bytes -= spare.file.size;
      await spare.file.close();
      this.#disk.remove(spare.number);
    }
  }

  async #make(size: number): Promise<void> {
    if (this.#bytes + size > this.#sizeMax) {
      throw new StoreError("store-full", `the store has reached store.sizeMax (${this.#sizeMax} bytes)`);
    }
    // Not tried where it cannot succeed: a disk that is full is full for others, too.
    if (this.#disk.free() < size) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
    const number = ++this.#lastNumber;
    const file = await this.#disk.create(number, size, MAGIC);
    this.#bytes += file.size;
    this.#spares.push(new Segment(number, file));
  }
}
