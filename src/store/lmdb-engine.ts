import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { type Key, type StoredValue, TABLES, type Table } from "../session/store.ts";
import type { Change, Engine } from "./engine.ts";
import { FolderLock } from "./folder-lock.ts";
import { StoreError } from "./store-error.ts";

/** Version of the tables and records in the file. */
export const FORMAT = 1;
const FORMAT_KEY = "format";
/** LMDB's own limit is 1,978 bytes; text above this length is replaced by its digest. */
const KEY_LENGTH_MAX = 1500;

export interface LmdbOptions {
  readonly folder: string;
  /** Wait for the disk at each commit. Without it a power cut may cost the last second, a crash nothing. */
  readonly sync: boolean;
  /** The file may not grow above this many bytes. */
  readonly sizeMax: number;
}

interface Record {
  /** The key, where a digest stands in for it. */
  readonly k?: string;
  readonly v: StoredValue;
}

/** Records in an LMDB file: memory-mapped, transactional, with nothing to repair after a crash. */
export class LmdbEngine implements Engine {
  readonly #root: RootDatabase;
  readonly #tables: ReadonlyMap<Table, Database<Record, Key>>;
  readonly #lock: FolderLock;
  readonly #options: LmdbOptions;

  private constructor(
    root: RootDatabase,
    tables: ReadonlyMap<Table, Database<Record, Key>>,
    lock: FolderLock,
    options: LmdbOptions,
  ) {
    this.#root = root;
    this.#tables = tables;
    this.#lock = lock;
    this.#options = options;
  }

  /** Throws `StoreError`, which says what to do. */
  static async open(options: LmdbOptions): Promise<LmdbEngine> {
    const folder = resolve(options.folder);
    prepare(folder);
    const lock = await FolderLock.take(folder).catch((error: unknown) => {
      throw StoreError.of(error, folder);
    });
    if (lock === undefined) {
      throw new StoreError("store-in-use", `another process uses the data folder ${folder}`);
    }
    try {
      const root = open({
        path: join(folder, "isthmus.mdb"),
        maxDbs: TABLES.length + 1,
        // A commit returns when the map is written; the disk is flushed by another thread, and `flushed` tells.
        overlappingSync: true,
        noSync: !options.sync,
      });
      const tables = new Map(
        TABLES.map((name) => [name, root.openDB<Record, Key>({ name, encoding: "msgpack" })] as const),
      );
      const engine = new LmdbEngine(root, tables, lock, options);
      await engine.#checkFormat(folder);
      return engine;
    } catch (error) {
      await lock.release();
      throw StoreError.of(error, folder);
    }
  }

  async commit(changes: readonly Change[]): Promise<void> {
    if (this.size() > this.#options.sizeMax && changes.some((change) => change.value !== undefined)) {
      throw new StoreError(
        "store-full",
        `the store has reached store.sizeMax (${this.#options.sizeMax} bytes)`,
      );
    }
    this.#root.transactionSync(() => {
      for (const { table, key, value } of changes) {
        const database = this.#table(table);
        const [stored, original] = storedKey(key);
        if (value === undefined) database.removeSync(stored);
        else database.putSync(stored, original === undefined ? { v: value() } : { k: original, v: value() });
      }
    });
    if (this.#options.sync) await this.#root.flushed;
  }

  *entries(table: Table): Iterable<readonly [Key, StoredValue]> {
    for (const { key, value } of this.#table(table).getRange({ snapshot: false })) {
      yield [value.k ?? (key as Key), value.v];
    }
  }

  count(table: Table): number {
    return this.#table(table).getCount();
  }

  size(): number {
    const { mapSize, lastPageNumber, pageSize } = this.#root.getStats() as {
      mapSize?: number;
      lastPageNumber: number;
      pageSize: number;
    };
    return Math.min(mapSize ?? Number.POSITIVE_INFINITY, (lastPageNumber + 1) * pageSize);
  }

  /** Writes a compacted copy of the file. */
  async backup(path: string): Promise<void> {
    await this.#root.backup(path, true);
  }

  async close(): Promise<void> {
    await this.#root.close();
    await this.#lock.release();
  }

  #table(name: Table): Database<Record, Key> {
    return this.#tables.get(name)!;
  }

  async #checkFormat(folder: string): Promise<void> {
    const meta = this.#table("meta");
    const found = meta.get(FORMAT_KEY)?.v;
    if (found === undefined) {
      await meta.put(FORMAT_KEY, { v: FORMAT });
      return;
    }
    if (found !== FORMAT) {
      throw new StoreError(
        "store-format",
        `${folder} was written in format ${String(found)}; this version reads format ${FORMAT}. Export it with the version that wrote it and import it here`,
      );
    }
  }
}

function prepare(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw StoreError.of(error, folder);
  }
}

/** The key that LMDB takes, and the original where it is only a digest of that. */
function storedKey(key: Key): readonly [Key, string | undefined] {
  const text = typeof key === "string" ? key : typeof key === "object" ? key[1] : "";
  if (typeof text === "number" || text.length * 3 <= KEY_LENGTH_MAX) return [key, undefined];
  if (Buffer.byteLength(text) <= KEY_LENGTH_MAX) return [key, undefined];
  const digest = `\u0001${createHash("sha256").update(text).digest("base64url")}`;
  return [typeof key === "object" ? [key[0], digest] : digest, text];
}
