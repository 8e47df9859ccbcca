/**
 * Room in the file ahead of LMDB, so that no page that it writes can meet a full disk: its binding corrupts its memory
 * when a write within a commit fails.
 */
import { fstatSync, statfsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

const ZEROS = Buffer.alloc(256 * 1024);
/** Made at once, where there is room: a part of the file, and some milliseconds' work at most. */
const PART = 8;
const STEP_MAX = 4 << 20;
const STEP_MIN = 256 << 10;

export class Reserve {
  readonly #path: string;
  readonly #file: FileHandle;
  /** Bytes of the file, all of which have their place on the disk. */
  #length: number;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
    this.#length = fstatSync(file.fd).size;
  }

  static async open(path: string): Promise<Reserve> {
    return new Reserve(path, await open(path, "r+"));
  }

  /** Sees to it that the file is so long. False when the disk is full. Nobody else may be writing to it. */
  async reach(length: number): Promise<boolean> {
    // LMDB writes behind the end by itself, where it finds room in what was there before.
    this.#length = Math.max(this.#length, fstatSync(this.#file.fd).size);
    if (this.#length >= length) return true;
    const step = Math.max(STEP_MIN, Math.min(STEP_MAX, Math.floor(length / PART)));
    return (await this.#grow(length + step)) || this.#grow(length);
  }

  get length(): number {
    return this.#length;
  }

  /** Gives back what is ahead of LMDB's own end. */
  async cut(length: number): Promise<void> {
    if (fstatSync(this.#file.fd).size <= length) return;
    await this.#file.truncate(length);
    this.#length = length;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #grow(length: number): Promise<boolean> {
    const before = this.#length;
    const { bavail, bsize } = statfsSync(this.#path);
    if (bavail * bsize < length - before) return false;
    try {
      for (let at = before; at < length; ) {
        const { bytesWritten } = await this.#file.write(ZEROS, 0, Math.min(ZEROS.length, length - at), at);
        at += bytesWritten;
      }
      // A disk may take bytes that it finds no place for later.
      await this.#file.datasync();
      this.#length = length;
      return true;
    } catch {
      // What was begun is given back: others may need it.
      await this.#file.truncate(before).catch(() => {});
      return false;
    }
  }
}
