import { createHash } from "node:crypto";
import { accessSync, constants, mkdirSync, renameSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { type Key, type StoredValue, TABLES, type Table } from "../session/store.ts";
import type { Change, Engine } from "./engine.ts";
import { headDamage, treeDamage } from "./file-check.ts";
import { FolderLock } from "./folder-lock.ts";
import { FORMAT, MIGRATIONS, type Migration } from "./migrations.ts";
import { StoreError } from "./store-error.ts";

const FILE = "isthmus.mdb";
const FORMAT_KEY = "format";
/** LMDB's own limit is 1,978 bytes; text above this length is replaced by its digest. */
const KEY_LENGTH_MAX = 1500;

export interface LmdbOptions {
  readonly folder: string;
  /** Wait for the disk at each commit. Without it a power cut may cost the last second, a crash nothing. */
  readonly sync: boolean;
  /** The file may not grow above this many bytes. */
  readonly sizeMax: number;
  /** Opens also what is damaged, to save what can be read of it. LMDB may end the process at a page that is not one. */
  readonly salvage?: boolean;
  /** For tests of formats that do not exist yet. */
  readonly format?: number;
  readonly migrations?: ReadonlyMap<number, Migration>;
}

interface Record {
  /** The text of the key, where a digest stands in for it. */
  readonly k?: string;
  readonly v: StoredValue;
}

type Tables = ReadonlyMap<Table, Database<Record, Key>>;
interface PageCounts {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}
interface FileCounts extends PageCounts {
  readonly lastPageNumber: number;
  readonly lastTxnId: number;
}

/** Records in an LMDB file: memory-mapped, transactional, with nothing to repair after a crash. */
export class LmdbEngine implements Engine {
  readonly #root: RootDatabase;
  readonly #tables: Tables;
  readonly #lock: FolderLock;
  readonly #options: LmdbOptions;
  /** The last commit failed: the next ones take the slower way, which fails without a trace. */
  #careful = false;

  private constructor(root: RootDatabase, tables: Tables, lock: FolderLock, options: LmdbOptions) {
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
      const root = openFile(join(folder, FILE), options);
      const tables = new Map(
        TABLES.map((name) => [name, root.openDB<Record, Key>({ name, encoding: "msgpack" })] as const),
      );
      const engine = new LmdbEngine(root, tables, lock, options);
      ignoreRejectionsOfNobody();
      await engine.#migrate(folder);
      return engine;
    } catch (error) {
      await lock.release();
      throw StoreError.of(error, folder);
    }
  }

  /** All or nothing; but when the store is full, removals are made, so that there is room again some time. */
  async commit(changes: readonly Change[]): Promise<void> {
    if (!this.#full || changes.every((change) => change.value === undefined)) {
      await this.#write(changes);
      return;
    }
    const removals = changes.filter((change) => change.value === undefined);
    if (removals.length > 0) await this.#write(removals);
    const { sizeMax } = this.#options;
    throw new StoreError("store-full", `the store has reached store.sizeMax (${sizeMax} bytes)`);
  }

  *entries(table: Table): Iterable<readonly [Key, StoredValue]> {
    const range = this.#table(table).getRange({ snapshot: false })[Symbol.iterator]();
    for (;;) {
      let next: IteratorResult<{ key: Key; value: Record }>;
      try {
        next = range.next() as typeof next;
        if (next.done !== true && typeof next.value.value !== "object") throw new Error("not a record");
      } catch (error) {
        const { message } = error as Error;
        throw new StoreError("store-failed", `a record of table ${table} cannot be read: ${message}`);
      }
      if (next.done === true) return;
      const { key, value } = next.value;
      yield [value.k === undefined ? key : typeof key === "object" ? [key[0], value.k] : value.k, value.v];
    }
  }

  count(table: Table): number {
    return (this.#table(table).getStats() as { entryCount: number }).entryCount;
  }

  /** Bytes of the file. */
  size(): number {
    const { lastPageNumber, pageSize } = this.#root.getStats() as FileCounts;
    return (lastPageNumber + 1) * pageSize;
  }

  /** Bytes of the file that hold records; the rest is free for new ones. */
  used(): number {
    let pages = 0;
    let size = 0;
    for (const table of this.#tables.values()) {
      const counts = table.getStats() as PageCounts;
      size = counts.pageSize;
      pages += counts.treeBranchPageCount + counts.treeLeafPageCount + counts.overflowPages;
    }
    return pages * size;
  }

  /** Puts a copy without free pages in the place of the file, and closes. */
  async compact(): Promise<void> {
    const path = join(resolve(this.#options.folder), FILE);
    try {
      await this.#root.backup(`${path}.compact`, true);
      await this.#root.close();
      renameSync(`${path}.compact`, path);
    } finally {
      await this.#lock.release();
    }
  }

  async close(): Promise<void> {
    await this.#root.close();
    await this.#lock.release();
  }

  get #full(): boolean {
    const { sizeMax } = this.#options;
    return this.size() > sizeMax && this.used() > sizeMax;
  }

  async #write(changes: readonly Change[]): Promise<void> {
    // Values are made before the first one is written: what throws must not leave half a batch behind.
    const made = changes.map(({ table, key, value }) => {
      const [stored, original] = storedKey(key);
      const record: Record | undefined =
        value === undefined
          ? undefined
          : original === undefined
            ? { v: value() }
            : { k: original, v: value() };
      return { database: this.#table(table), stored, record };
    });
    const write = (): void => {
      for (const { database, stored, record } of made) {
        const written = record === undefined ? database.remove(stored) : database.put(stored, record);
        // Each write has a promise of the same fate as the batch: one place hears of it.
        written.catch?.(ignore);
      }
    };
    try {
      // In another thread, or, once that has failed, in this one: there a failure is no more than an exception.
      if (this.#careful) {
        // Flushed when it returns.
        this.#root.transactionSync(write);
        this.#careful = false;
      } else {
        await this.#root.batch(write);
        if (this.#options.sync) await this.#root.flushed;
      }
    } catch (error) {
      this.#careful = true;
      // The reason is a promise of its own, that nobody else listens to.
      const reason = (error as { commitError?: Promise<never> }).commitError;
      throw StoreError.of((await reason?.catch((cause: unknown) => cause)) ?? error, this.#options.folder);
    }
  }

  #table(name: Table): Database<Record, Key> {
    return this.#tables.get(name)!;
  }

  async #migrate(folder: string): Promise<void> {
    const { format = FORMAT, migrations = MIGRATIONS } = this.#options;
    const setFormat = (version: number): Change => ({ table: "meta", key: FORMAT_KEY, value: () => version });
    let found = this.#table("meta").get(FORMAT_KEY)?.v as number | undefined;
    if (found === undefined) {
      await this.#write([setFormat(format)]);
      return;
    }
    while (found !== format) {
      const migration = found < format ? migrations.get(found) : undefined;
      if (migration === undefined) {
        throw new StoreError(
          "store-format",
          `${folder} was written in format ${found}; this version reads format ${format}. Export it with the version that wrote it and import it here`,
        );
      }
      found++;
      await this.#write([...migration((table) => this.entries(table)), setFormat(found)]);
    }
  }
}

const ignore = (): void => {};

/** When a commit fails, LMDB's binding rejects a promise that it has given to nobody, which would end the process. */
const COMMIT_FAILED = "Commit failed (see commitError for details)";
let guarding = false;
function ignoreRejectionsOfNobody(): void {
  if (guarding) return;
  guarding = true;
  process.on("unhandledRejection", (error) => {
    if (!(error instanceof Error) || error.message !== COMMIT_FAILED) throw error;
  });
}

function openFile(path: string, { sync, salvage }: LmdbOptions): RootDatabase {
  mustBeSound(path, headDamage(path));
  const root = open({
    path,
    maxDbs: TABLES.length + 1,
    // A commit returns when the map is written; the disk is flushed by another thread, and `flushed` tells.
    overlappingSync: sync,
    noSync: !sync,
  });
  try {
    // Reading a page beyond the end of the file would end the process with a bus error.
    const { lastPageNumber, pageSize, lastTxnId } = root.getStats() as unknown as FileCounts;
    const [length, whole] = [statSync(path).size, (lastPageNumber + 1) * pageSize];
    mustBeSound(path, length < whole ? `cut off: ${length} bytes of ${whole}` : undefined);
    if (salvage !== true) mustBeSound(path, treeDamage(path, pageSize, lastTxnId));
    return root;
  } catch (error) {
    void root.close();
    throw error;
  }
}

function mustBeSound(path: string, damage: string | undefined): void {
  if (damage === undefined) return;
  throw new StoreError(
    "store-failed",
    `${path} is ${damage}. Put a copy of it back, or move it away to begin anew; isthmus store export may save what can be read`,
  );
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
