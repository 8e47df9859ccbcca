import { createHash } from "node:crypto";
import { existsSync, renameSync, rmSync, statfsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import type { Key, StoredValue, Table } from "../../session/store.ts";
import { asideChanges } from "../aside.ts";
import { encodeKey, tableByte } from "../codec/key.ts";
import { decodeRecord, encodeRecord } from "../codec/record.ts";
import { closeToOthers, prepareFolder } from "../data-folder.ts";
import { type Change, type Damage, type DiskEngine, type EngineOptions, unwritable } from "../engine.ts";
import { FolderLock } from "../folder-lock.ts";
import { FORMAT, FORMAT_KEY, MIGRATIONS, type Migration } from "../migrations.ts";
import { StoreError } from "../store-error.ts";
import { headDamage, treeDamage } from "./file-check.ts";
import { formerEntries, formerTables, leaveFormer } from "./former-format.ts";
import { Reserve } from "./reserve.ts";

const FILE = "isthmus.mdb";
const RECORDS = "records";
/** The tables of formats 1 and 2, and ours. */
const DATABASES_MAX = 12;
/** LMDB's own limit is 1,978 bytes; a longer key is replaced by its digest. */
const KEY_LENGTH_MAX = 1500;
const PAGE = 4096;
/** Levels that a tree may have, and more than it does. */
const LEVELS = 6;
/** A longer value has pages of its own, one behind the other. */
const LARGE = 1900;
/** Room that is kept for removals, and how many it is enough for at once. */
const KEPT = 1 << 20;
const REMOVALS = 32;
/** Between the table and the digest: no key has this there. */
const DIGEST = 0xff;

export interface LmdbOptions extends EngineOptions {
  /** For tests of formats that do not exist yet. */
  readonly format?: number;
  readonly migrations?: ReadonlyMap<number, Migration>;
}

type Records = Database<Buffer, Buffer>;
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

interface Unreadable {
  readonly key: Buffer;
  readonly damage: Damage;
}

/** Records in an LMDB file: memory-mapped, transactional, with nothing to repair after a crash. */
export class LmdbEngine implements DiskEngine {
  readonly #root: RootDatabase;
  readonly #records: Records;
  readonly #reserve: Reserve;
  readonly #lock: FolderLock;
  readonly #options: LmdbOptions;
  /** The last commit failed: the next ones take the slower way, which fails without a trace. */
  #careful = false;
  /** What cannot be read, by key: the next commit moves it aside. */
  readonly #unreadable = new Map<string, Unreadable>();

  private constructor(
    root: RootDatabase,
    records: Records,
    reserve: Reserve,
    lock: FolderLock,
    options: LmdbOptions,
  ) {
    this.#reserve = reserve;
    this.#root = root;
    this.#records = records;
    this.#lock = lock;
    this.#options = options;
  }

  /** Throws `StoreError`, which says what to do. */
  static async open(options: LmdbOptions): Promise<LmdbEngine> {
    const folder = resolve(options.folder);
    prepareFolder(folder, options.note ?? ignore);
    const lock = await FolderLock.take(folder).catch((error: unknown) => {
      throw StoreError.of(error, folder);
    });
    if (lock === undefined) {
      throw new StoreError(
        "store-in-use",
        `another process uses the data folder ${folder}: stop it, or name another folder with --data`,
      );
    }
    let reserve: Reserve | undefined;
    try {
      const path = join(folder, FILE);
      const root = openFile(path, options);
      for (const file of [path, `${path}-lock`, join(folder, "lock")]) closeToOthers(file);
      const records: Records = root.openDB({ name: RECORDS, encoding: "binary", keyEncoding: "binary" });
      reserve = await Reserve.open(path);
      const engine = new LmdbEngine(root, records, reserve, lock, options);
      ignoreRejectionsOfNobody();
      await engine.#migrate(folder);
      return engine;
    } catch (error) {
      await reserve?.close();
      await lock.release();
      throw StoreError.of(error, folder);
    }
  }

  /** All or nothing; but when the store is full, removals are made, so that there is room again some time. */
  async commit(changes: readonly Change[]): Promise<void> {
    const damages = [...this.#unreadable.values()].map(({ damage }) => damage);
    const made = [...asideChanges(damages), ...changes].flatMap((change) => this.#stored(change));
    const full = this.#full;
    if (!full && (await this.#hasRoom(made))) {
      await this.#write(made);
      return;
    }
    const removals = made.filter(({ record }) => record === undefined);
    for (let from = 0; from < removals.length; from += REMOVALS) {
      if (!(await this.#hasRoomToRemove())) throw this.#diskFull();
      await this.#write(removals.slice(from, from + REMOVALS));
    }
    if (removals.length === made.length) return;
    if (!full) throw this.#diskFull();
    const { sizeMax } = this.#options;
    throw new StoreError("store-full", `the store has reached store.sizeMax (${sizeMax} bytes)`);
  }

  #stored(change: Change): readonly Stored[] {
    try {
      return [stored(change)];
    } catch (error) {
      this.#options.note?.(unwritable(change, error));
      return [];
    }
  }

  *entries(table: Table): Iterable<readonly [Key, StoredValue]> {
    for (const { key, value } of this.#records.getRange({ ...rangeOf(table), snapshot: false })) {
      let record: readonly [Table, Key, StoredValue];
      try {
        record = decodeRecord(key, value);
      } catch (error) {
        this.#cannotRead(table, key, value, error as Error);
        continue;
      }
      yield [record[1], record[2]];
    }
  }

  count(table: Table): number {
    return this.#records.getKeysCount(rangeOf(table));
  }

  /** Bytes of the file. */
  size(): number {
    const { lastPageNumber, pageSize } = this.#root.getStats() as FileCounts;
    return (lastPageNumber + 1) * pageSize;
  }

  /** Bytes of the file that hold records; the rest is free for new ones. */
  used(): number {
    const counts = this.#records.getStats() as PageCounts;
    return (counts.treeBranchPageCount + counts.treeLeafPageCount + counts.overflowPages) * counts.pageSize;
  }

  /** Puts a copy without free pages in the place of the file, and closes. */
  async compact(): Promise<void> {
    const path = join(resolve(this.#options.folder), FILE);
    try {
      // What was kept ahead is room for the copy, on a disk that is full because of it.
      await this.#reserve.cut(this.size());
      await this.#root.backup(`${path}.compact`, true);
      await this.#root.close();
      await this.#reserve.close();
      closeToOthers(`${path}.compact`);
      renameSync(`${path}.compact`, path);
    } catch (error) {
      rmSync(`${path}.compact`, { force: true });
      throw StoreError.of(error, this.#options.folder);
    } finally {
      await this.#lock.release();
    }
  }

  async close(): Promise<void> {
    await this.#root.close();
    await this.#reserve.close();
    await this.#lock.release();
  }

  /** Whether the file has room for all pages that a commit may write, and more is left for removals then. */
  async #hasRoom(made: readonly Stored[]): Promise<boolean> {
    let bytes = 0;
    let large = 0;
    for (const { key, record } of made) {
      const length = key.length + (record?.length ?? 0);
      bytes += length;
      if (length > LARGE) large += length + 2 * PAGE;
    }
    // A page of each level for each change, but no more than there are; and those that are split in two.
    const tree = this.used();
    const need = Math.min(made.length * LEVELS * PAGE, tree) + 2 * bytes + KEPT / 4;
    const end = this.size();
    if (await this.#reserve.reach(end + need + 3 * KEPT)) return true;
    // Free pages within the file will do. What needs several in a row may not find them there.
    return end - tree > 4 * need && this.#reserve.length - end > large + KEPT;
  }

  async #hasRoomToRemove(): Promise<boolean> {
    const end = this.size();
    return (await this.#reserve.reach(end + KEPT)) || end - this.used() > 2 * KEPT;
  }

  #diskFull(): StoreError {
    const error = Object.assign(new Error("no space left"), { code: "ENOSPC" });
    return StoreError.of(error, this.#options.folder);
  }

  get #full(): boolean {
    const { sizeMax } = this.#options;
    return this.size() > sizeMax && this.used() > sizeMax;
  }

  #cannotRead(table: Table, key: Buffer, value: Buffer, { message }: Error): void {
    const name = key.toString("latin1");
    if (this.#unreadable.has(name)) return;
    const damage = { table, problem: message, raw: Buffer.concat([key, value]) };
    this.#unreadable.set(name, { key: Buffer.from(key), damage });
    this.#options.damaged?.(damage);
  }

  async #write(made: readonly Stored[]): Promise<void> {
    const unreadable = [...this.#unreadable.values()];
    const write = (): void => {
      // Each write has a promise of the same fate as the batch: one place hears of it.
      for (const { key } of unreadable) this.#records.remove(key).catch?.(ignore);
      for (const { key, record } of made) {
        const written = record === undefined ? this.#records.remove(key) : this.#records.put(key, record);
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
    this.#unreadable.clear();
  }

  async #migrate(folder: string): Promise<void> {
    const { format = FORMAT, migrations = MIGRATIONS } = this.#options;
    const setFormat = (version: number): Change => ({ table: "meta", key: FORMAT_KEY, value: () => version });
    let found = this.#format();
    if (found === undefined) {
      await this.commit([...this.#former(), setFormat(format)]);
      await leaveFormer(this.#root, format);
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
      await this.commit([...migration((table) => this.entries(table)), setFormat(found)]);
    }
  }

  #format(): number | undefined {
    for (const [key, value] of this.entries("meta")) if (key === FORMAT_KEY) return value as number;
    return undefined;
  }

  /** What formats 1 and 2 have kept, all of it as one commit. */
  *#former(): Generator<Change> {
    const damages: Damage[] = [];
    for (const table of formerTables(this.#root)) {
      for (const [key, value] of formerEntries(this.#root, table, (damage) => damages.push(damage))) {
        if (key !== FORMAT_KEY || table !== "meta") yield { table, key, value: () => value };
      }
    }
    for (const damage of damages) this.#options.damaged?.(damage);
    yield* asideChanges(damages);
  }
}

const ignore = (): void => {};

/** Made before the first one is written: what throws must not leave half a batch behind. */
interface Stored {
  readonly key: Buffer;
  /** Undefined where it is removed. */
  readonly record: Buffer | undefined;
}

function stored({ table, key, value }: Change): Stored {
  const whole = Buffer.from(encodeKey(table, key));
  const isLong = whole.length > KEY_LENGTH_MAX;
  const short = isLong
    ? Buffer.from([whole[0]!, DIGEST, ...createHash("sha256").update(whole).digest()])
    : whole;
  const record = value === undefined ? undefined : encodeRecord(short, isLong ? whole : undefined, value());
  return { key: short, record };
}

const rangeOf = (table: Table): { readonly start: Buffer; readonly end: Buffer } => ({
  start: Buffer.from([tableByte(table)]),
  end: Buffer.from([tableByte(table) + 1]),
});

/** When a commit fails, LMDB's binding rejects a promise that it has given to nobody, which would end the process. */
const COMMIT_FAILED = "Commit failed (see commitError for details)";
let guarding = false;
/** Far more than it takes. */
const ROOM_FOR_READERS = 256 << 10;

function ignoreRejectionsOfNobody(): void {
  if (guarding) return;
  guarding = true;
  process.on("unhandledRejection", (error) => {
    if (!(error instanceof Error) || error.message !== COMMIT_FAILED) throw error;
  });
}

function openFile(path: string, { sync, salvage }: LmdbOptions): RootDatabase {
  mustBeSound(path, headDamage(path));
  mustHaveRoom(path);
  const root = open({
    path,
    maxDbs: DATABASES_MAX,
    // A commit returns when the map is written; the disk is flushed by another thread, and `flushed` tells.
    overlappingSync: sync,
    noSync: !sync,
  });
  try {
    // Reading a page beyond the end of the file would end the process with a bus error.
    const { lastPageNumber, pageSize, lastTxnId } = root.getStats() as unknown as FileCounts;
    const [length, whole] = [statSync(path).size, (lastPageNumber + 1) * pageSize];
    const cut = length < whole ? `cut off: ${length} bytes of ${whole}` : undefined;
    // Pages that were freed by the commit that took them are never written: a file may end before the last page.
    const damage = treeDamage(path, pageSize, lastTxnId);
    if (damage !== undefined && (cut !== undefined || salvage !== true)) mustBeSound(path, cut ?? damage);
    return root;
  } catch (error) {
    void root.close();
    throw error;
  }
}

/** LMDB makes its file of readers by mapping it: on a full disk its first touch would end the process with a bus error. */
function mustHaveRoom(path: string): void {
  if (existsSync(`${path}-lock`)) return;
  const { bavail, bsize } = statfsSync(dirname(path));
  if (bavail * bsize >= ROOM_FOR_READERS) return;
  throw Object.assign(new Error("no room to begin"), { code: "ENOSPC" });
}

function mustBeSound(path: string, damage: string | undefined): void {
  if (damage === undefined) return;
  throw new StoreError(
    "store-failed",
    `${path} is ${damage}. Put a copy of it back, or move it away to begin anew; isthmus store export may save what can be read`,
  );
}
