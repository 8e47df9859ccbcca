/** A disk in memory whose process may die at any write: of what was not acknowledged, any sectors may be there. */
import type { LogDisk, LogFile } from "#core/store/log/disk.ts";

const SECTOR = 512;

/** What becomes of a write. `crash`: nothing ever answers again. */
export type Fate = "done" | "fails" | "crash";

export class SimulatedDisk implements LogDisk {
  readonly files = new Map<number, Buffer>();
  /** Decides about each write before it is made. */
  fate: () => Fate = () => "done";
  crashed = false;
  /** Resolves when its process has died. */
  readonly death: Promise<void>;
  #die: () => void = () => {};
  /** Of the disk. */
  size = 1 << 30;
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
    this.death = new Promise((resolve) => {
      this.#die = resolve;
    });
  }

  list(): readonly number[] {
    return [...this.files.keys()];
  }

  free(): number {
    let used = 0;
    for (const { length } of this.files.values()) used += length;
    return this.size - used;
  }

  async create(number: number, size: number, head: Uint8Array): Promise<LogFile> {
    await this.#turn();
    if (size > this.free()) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    const content = Buffer.alloc(size);
    content.set(head);
    this.files.set(number, content);
    return this.open(number);
  }

  open(number: number): Promise<LogFile> {
    const content = this.files.get(number)!;
    return Promise.resolve({
      size: content.length,
      read: (from, length) => Buffer.from(content.subarray(from, from + length)),
      load: (length) => Promise.resolve(Buffer.from(content.subarray(0, length))),
      write: (bytes, position) => this.#write(content, bytes, position),
      sync: () => this.#turn(),
      truncate: async (length) => {
        this.files.set(number, content.subarray(0, length));
      },
      close: () => Promise.resolve(),
    });
  }

  remove(number: number): void {
    if (!this.crashed) this.files.delete(number);
  }

  /** The process that had it is gone; the next one finds what there is. */
  survive(): SimulatedDisk {
    const next = new SimulatedDisk(this.#random);
    next.size = this.size;
    for (const [number, content] of this.files) next.files.set(number, Buffer.from(content));
    return next;
  }

  /** A process that is gone waits for ever. */
  #turn(): Promise<void> {
    return this.crashed ? new Promise(() => {}) : Promise.resolve();
  }

  async #write(content: Buffer, bytes: Uint8Array, position: number): Promise<void> {
    await this.#turn();
    const fate = this.fate();
    const copy = Buffer.from(bytes);
    if (fate === "done") {
      content.set(copy, position);
      return;
    }
    this.#tear(content, copy, position);
    if (fate === "fails") throw Object.assign(new Error("input/output error"), { code: "EIO" });
    this.crashed = true;
    this.#die();
    await this.#turn();
  }

  /** Any sectors, in any order: each is there whole, or not at all. */
  #tear(content: Buffer, bytes: Buffer, position: number): void {
    const share = this.#random();
    for (let at = 0; at < bytes.length; ) {
      const next = Math.min(bytes.length, at + SECTOR - ((position + at) % SECTOR));
      if (this.#random() < share) content.set(bytes.subarray(at, next), position + at);
      at = next;
    }
  }
}
