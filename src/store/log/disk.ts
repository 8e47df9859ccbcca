/** The files of a log, behind a port: so that a test can tear, lose and reorder what is written. */
import {
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statfsSync,
  statSync,
  unlinkSync,
  write,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

export interface LogFile {
  readonly size: number;
  /** For whoever starts, and has nothing else to do. */
  read(from: number, length: number): Buffer;
  /** The same while others go on. */
  load(length: number): Promise<Buffer>;
  /** Resolves when the bytes are on disk, or, of a disk that does not sync, with the system. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Resolves when all that was written is on disk. */
  sync(): Promise<void>;
  /** Gives back what is behind. */
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

export interface LogDisk {
  /** Numbers of the files there are. */
  list(): readonly number[];
  open(number: number): Promise<LogFile>;
  /**
   * A new file that begins with these bytes. All of its bytes have their place on disk, so that no later write to it
   * can find the disk full.
   */
  create(number: number, size: number, head: Uint8Array): Promise<LogFile>;
  remove(number: number): void;
  /** Bytes that are free. */
  free(): number;
}

const MODE = 0o600;
const ZEROS = Buffer.alloc(256 * 1024);
const NAME = /^(\d{10})\.log$/;
/** Not whole yet: its process ended while it made it. */
const UNFINISHED = ".new";

const nameOf = (number: number): string => `${String(number).padStart(10, "0")}.log`;

export class FolderDisk implements LogDisk {
  readonly #folder: string;
  readonly #sync: boolean;

  constructor(folder: string, sync: boolean) {
    this.#folder = folder;
    this.#sync = sync;
    for (const name of readdirSync(folder)) {
      if (name.endsWith(`.log${UNFINISHED}`)) unlinkSync(join(folder, name));
    }
  }

  list(): readonly number[] {
    return readdirSync(this.#folder).flatMap((name) => {
      const number = NAME.exec(name)?.[1];
      return number === undefined ? [] : [Number(number)];
    });
  }

  async open(number: number): Promise<LogFile> {
    const path = join(this.#folder, nameOf(number));
    // A write to a file that is open this way returns when its bytes are on disk: one turn instead of two.
    const flags = constants.O_RDWR | (this.#sync ? constants.O_DSYNC : 0);
    return new HandledFile(await open(path, flags), statSync(path).size);
  }

  async create(number: number, size: number, head: Uint8Array): Promise<LogFile> {
    const path = join(this.#folder, nameOf(number));
    const unfinished = path + UNFINISHED;
    try {
      const file = await open(unfinished, "w", MODE);
      try {
        await fill(file, size);
        await file.write(head, 0, head.length, 0);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      removeIfThere(unfinished);
      throw error;
    }
    renameSync(unfinished, path);
    this.#syncFolder();
    return this.open(number);
  }

  remove(number: number): void {
    unlinkSync(join(this.#folder, nameOf(number)));
  }

  free(): number {
    const { bavail, bsize } = statfsSync(this.#folder);
    return bavail * bsize;
  }

  #syncFolder(): void {
    // Windows has no such thing, and keeps names by itself.
    if (process.platform === "win32") return;
    const folder = openSync(this.#folder, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }
}

/** Zeros, written and not only promised: a hole would find the disk full when it is filled. */
async function fill(file: FileHandle, size: number): Promise<void> {
  for (let at = 0; at < size; ) {
    const { bytesWritten } = await file.write(ZEROS, 0, Math.min(ZEROS.length, size - at), at);
    at += bytesWritten;
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was not made.
  }
}

class HandledFile implements LogFile {
  readonly size: number;
  readonly #file: FileHandle;

  constructor(file: FileHandle, size: number) {
    this.#file = file;
    this.size = size;
  }

  read(from: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.#file.fd, bytes, done, length - done, from + done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  }

  async load(length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(length);
    const { bytesRead } = await this.#file.read(bytes, 0, length, 0);
    return bytes.subarray(0, bytesRead);
  }

  /** By a callback: the promises of `fs` cost several times as much, and each commit stands here. */
  write(bytes: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (done: number): void => {
        write(this.#file.fd, bytes, done, bytes.length - done, position + done, (error, count) => {
          if (error !== null) reject(error);
          else if (done + count < bytes.length) next(done + count);
          else resolve();
        });
      };
      next(0);
    });
  }

  sync(): Promise<void> {
    return this.#file.datasync();
  }

  async truncate(length: number): Promise<void> {
    await this.#file.truncate(length);
    await this.#file.sync();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
