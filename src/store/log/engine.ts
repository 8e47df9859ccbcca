import { join, resolve } from "node:path";
import type { Key, StoredValue, Table } from "../../session/store.ts";
import { asideChanges } from "../aside.ts";
import { decodeKey, tableByte } from "../codec/key.ts";
import { decodeValue } from "../codec/value.ts";
import { closeToOthers, prepareFolder } from "../data-folder.ts";
import { type Change, type Damage, type DiskEngine, unwritable } from "../engine.ts";
import { FolderLock } from "../folder-lock.ts";
import { FORMAT, FORMAT_KEY } from "../migrations.ts";
import { StoreError } from "../store-error.ts";
import { Batch } from "./batch.ts";
import { Cleaner } from "./cleaner.ts";
import { FolderDisk, type LogDisk } from "./disk.ts";
import { aligned, FRAME_HEADER, firstRecord, newPlace, readPlace } from "./frame.ts";
import type { Ledger } from "./ledger.ts";
import { type Recovered, recover } from "./recover.ts";
import { framesOf, isGap, type Segment } from "./segment.ts";
import { type LogOptions, RESERVED, Space } from "./space.ts";

/** The log may be as many times as long as what counts in it, and so many segments more, before it is cleaned. */
const LENGTH_MAX = 2;
const SLACK = 4;
/** Bytes that cleaning copies with one commit: a multiple of what it writes, within bounds that nobody notices. */
const CLEANING = 4;
const CLEANING_MIN = 32 << 10;
const CLEANING_MAX = 256 << 10;
/** Tables whose keys are text: in whatever order they lie. */
const UNORDERED: ReadonlySet<Table> = new Set(["retained", "ban", "meta", "aside"]);

/**
 * Records in an append log: preallocated, checksummed segments, each commit written behind the one before and on disk
 * when it is acknowledged. It keeps no values in memory, only where each key's newest record lies.
 */
export class LogEngine implements DiskEngine {
  readonly #options: LogOptions;
  readonly #release: () => Promise<void>;
  readonly #ledger: Ledger;
  readonly #log: Segment[];
  readonly #space: Space;
  readonly #cleaner: Cleaner;
  readonly #batch = new Batch();
  /** Segments that count no more as soon as a commit that says so is on disk. */
  #leaving: Segment[] = [];
  /** Bytes of the log that are written. */
  #written: number;
  #committed: number;
  #attempted: number;
  #sequence: number;
  /** What was damaged when it was opened, until it stands aside. */
  #damages: readonly Damage[];
  /** What runs: one commit at a time. */
  #busy: Promise<unknown> = Promise.resolve();

  private constructor(options: LogOptions, disk: LogDisk, found: Recovered, release: () => Promise<void>) {
    this.#options = options;
    this.#release = release;
    this.#ledger = found.ledger;
    this.#log = [...found.log];
    this.#space = new Space(disk, options, found.log, found.spares);
    this.#cleaner = new Cleaner(found.ledger);
    this.#written = found.log.reduce((sum, { end }) => sum + end, 0);
    this.#committed = found.committed;
    this.#attempted = found.attempted;
    this.#sequence = found.sequence;
    this.#damages = found.damages;
    for (const damage of found.damages) options.damaged?.(damage);
  }

  /** Throws `StoreError`, which says what to do. */
  static async open(options: LogOptions): Promise<LogEngine> {
    const folder = resolve(options.folder);
    prepareFolder(folder, options.note ?? (() => {}));
    const lock = await FolderLock.take(folder).catch((error: unknown) => {
      throw StoreError.of(error, folder);
    });
    if (lock === undefined) {
      throw new StoreError("store-in-use", `another process uses the data folder ${folder}`);
    }
    closeToOthers(join(folder, "lock"));
    try {
      return await LogEngine.on(new FolderDisk(folder, options.sync), options, () => lock.release());
    } catch (error) {
      await lock.release();
      throw StoreError.of(error, folder);
    }
  }

  /** On any disk. */
  static async on(
    disk: LogDisk,
    options: LogOptions,
    release: () => Promise<void> = () => Promise.resolve(),
  ): Promise<LogEngine> {
    const engine = new LogEngine(options, disk, await recover(disk), release);
    await engine.#begin();
    return engine;
  }

  /** All or nothing; but when the store is full, removals are made, so that there is room again some time. */
  commit(changes: readonly Change[]): Promise<void> {
    const made = this.#busy.then(() => this.#commit(changes));
    this.#busy = made.catch(() => {});
    return made;
  }

  *entries(table: Table): Iterable<readonly [Key, StoredValue]> {
    if (UNORDERED.has(table)) yield* this.#read(table);
    else yield* [...this.#read(table)].sort(([a], [b]) => compare(a, b));
  }

  count(table: Table): number {
    return this.#ledger.count(tableByte(table));
  }

  size(): number {
    return this.#space.bytes;
  }

  used(): number {
    return this.#ledger.live;
  }

  async compact(): Promise<void> {
    try {
      await this.#compact();
    } catch (error) {
      throw StoreError.of(error, this.#options.folder);
    } finally {
      await this.close();
    }
  }

  async #compact(): Promise<void> {
    await this.#busy;
    // All that is behind the tail now is written again, without what counts no more.
    const last = this.#log.at(-1);
    while (last !== undefined && this.#log.includes(last)) {
      if (this.#log.length === 1 && !(await this.#turnPage())) break;
      if (!(await this.#clean())) break;
    }
    await this.#space.clear();
    const head = this.#log.at(-1);
    await head?.file.truncate(head.end);
  }

  async close(): Promise<void> {
    await this.#busy;
    await this.#space.close();
    for (const { file } of [...this.#log, ...this.#leaving]) await file.close();
    await this.#release();
  }

  // ---- reading

  *#read(table: Table): Generator<readonly [Key, StoredValue]> {
    const byte = tableByte(table);
    const place = newPlace();
    for (const segment of this.#log) {
      if ((segment.tables & (1 << byte)) === 0) continue;
      const bytes = segment.file.read(0, segment.end);
      for (const frame of framesOf(bytes, segment.sequence)) {
        if (isGap(frame)) continue;
        for (let at = firstRecord(frame); readPlace(bytes, at, frame.end, place); at = place.end) {
          const { start, keyAt, valueAt, end, removed } = place;
          if (bytes[keyAt] !== byte || removed) continue;
          if (!this.#ledger.isLive(bytes, keyAt, valueAt, segment, start)) continue;
          let record: readonly [Key, StoredValue];
          try {
            record = [decodeKey(bytes.subarray(keyAt, valueAt))[1], decodeValue(bytes, valueAt, end)];
          } catch (error) {
            this.#cannotRead({ table, problem: (error as Error).message, raw: bytes.subarray(start, end) });
            continue;
          }
          yield record;
        }
      }
    }
  }

  #cannotRead(damage: Damage): void {
    this.#options.damaged?.(damage);
    this.#damages = [...this.#damages, damage];
  }

  // ---- writing

  async #begin(): Promise<void> {
    const format = [...this.#read("meta")].find(([key]) => key === FORMAT_KEY)?.[1];
    if (format !== undefined && format !== FORMAT) {
      throw new StoreError(
        "store-format",
        `${this.#options.folder} was written in format ${String(format)}; this version reads format ${FORMAT}. Export it with the version that wrote it and import it here`,
      );
    }
    if (format === undefined) {
      while (this.#space.spares <= RESERVED) await this.#space.grow(0);
      await this.#commit([{ table: "meta", key: FORMAT_KEY, value: () => FORMAT }]);
    }
    await this.#scrub();
    this.#space.prepare();
  }

  /** What the process before has left unfinished can never become whole by what is written over a part of it. */
  async #scrub(): Promise<void> {
    const head = this.#log.at(-1)!;
    const length = Math.min(FRAME_HEADER, head.room);
    if (head.file.read(head.end, length).some((byte) => byte !== 0)) {
      await head.file.write(new Uint8Array(length), head.end);
    }
  }

  async #commit(changes: readonly Change[]): Promise<void> {
    try {
      if (await this.#append(changes, RESERVED)) return;
      while ((await this.#makeRoom()) && this.#space.spares <= RESERVED);
      if (await this.#append(changes, RESERVED)) return;
      const removals = changes.filter((change) => change.value === undefined);
      const made = removals.length > 0 && (await this.#append(removals, 1));
      if (made && removals.length === changes.length) return;
    } catch (error) {
      throw StoreError.of(error, this.#options.folder);
    }
    const refusal = this.#space.refusal ?? new StoreError("store-full", "the store has no room");
    throw StoreError.of(refusal, this.#options.folder);
  }

  /** One commit. `reserve`: spares that must be left. False when there is no room, and then nothing has changed. */
  async #append(changes: readonly Change[], reserve: number): Promise<boolean> {
    const batch = this.#newBatch();
    const cleaned = this.#isLong && this.#copyOldest(CLEANING_MIN + CLEANING * 100 * changes.length);
    for (const change of asideChanges(this.#damages)) batch.add(change);
    for (const change of changes) this.#add(batch, change);
    batch.end();
    if (batch.frames.length === 0) return true;
    if (!(await this.#place(reserve))) return false;
    await this.#write();
    this.#damages = [];
    if (cleaned) this.#leave();
    this.#space.prepare();
    return true;
  }

  #add(batch: Batch, change: Change): void {
    try {
      batch.add(change);
    } catch (error) {
      this.#options.note?.(unwritable(change, error));
    }
  }

  #newBatch(): Batch {
    this.#batch.clear();
    this.#cleaner.restart();
    return this.#batch;
  }

  /** Finds a place for each frame of the batch. */
  async #place(reserve: number): Promise<boolean> {
    const taken: Segment[] = [];
    let head = this.#log.at(-1);
    let end = head?.end ?? 0;
    for (const frame of this.#batch.frames) {
      const length = aligned(frame.end - frame.start);
      if (head === undefined || end + length > head.file.size) {
        head = await this.#nextSegment(length, reserve);
        if (head === undefined) {
          for (const segment of taken) await this.#space.giveBack(segment);
          return false;
        }
        taken.push(head);
        head.clear(++this.#sequence);
        end = head.end;
      }
      frame.segment = head;
      frame.position = end;
      end += length;
    }
    return true;
  }

  async #nextSegment(length: number, reserve: number): Promise<Segment | undefined> {
    for (;;) {
      const segment = this.#space.take(length, reserve);
      if (segment !== undefined) return segment;
      try {
        await this.#space.grow(length);
      } catch (error) {
        if (!isFull(error)) throw error;
        return undefined;
      }
    }
  }

  async #write(): Promise<void> {
    const batch = this.#batch;
    const tail = (this.#log[0] ?? batch.frames[0]!.segment!).sequence;
    batch.seal({ tail, commit: ++this.#attempted, former: this.#committed });
    const news = [...new Set(batch.frames.map(({ segment }) => segment!))].filter(
      (segment) => !this.#log.includes(segment),
    );
    try {
      for (const { segment, position, bytes } of batch.writes()) await segment.file.write(bytes, position);
    } catch (error) {
      for (const segment of news) await this.#space.giveBack(segment);
      throw error;
    }
    this.#committed = this.#attempted;
    for (const segment of news) {
      this.#ledger.open(segment);
      this.#log.push(segment);
    }
    for (const { segment, start, end, position } of batch.frames) {
      const next = position + aligned(end - start);
      this.#written += next - segment!.end;
      segment!.end = next;
    }
    batch.enter(this.#ledger);
    this.#cleaner.settle();
    await this.#giveBack();
  }

  // ---- cleaning

  /** Bytes of the log that count no more. */
  get #dead(): number {
    return this.#written - this.#ledger.live;
  }

  get #isLong(): boolean {
    return this.#log.length > 1 && this.#written > LENGTH_MAX * this.#ledger.live + SLACK * this.#space.size;
  }

  /** True when nothing of the oldest segment is left, once the batch is on disk. */
  #copyOldest(budget: number): boolean {
    const oldest = this.#log[0]!;
    if (!this.#cleaner.isOpen(oldest)) {
      // Whoever waits for this commit does not wait for that.
      void this.#cleaner.open(oldest).catch(() => {});
      return false;
    }
    return this.#cleaner.copy(this.#batch, Math.min(budget, CLEANING_MAX));
  }

  /** The oldest segment counts no more; commits from the next one on say so. */
  #leave(): void {
    const segment = this.#log.shift()!;
    this.#cleaner.close();
    this.#ledger.close(segment);
    this.#written -= segment.end;
    this.#leaving.push(segment);
  }

  /** Gives back segments of which a commit on disk says that they count no more. */
  async #giveBack(): Promise<void> {
    if (this.#leaving.length === 0) return;
    const leaving = this.#leaving;
    this.#leaving = [];
    // Without waiting for each commit, what was copied out of them has to be on disk first.
    if (!this.#options.sync) for (const { file } of this.#log) await file.sync();
    for (const segment of leaving) await this.#space.giveBack(segment);
  }

  /** Goes on in a new segment. */
  async #turnPage(): Promise<boolean> {
    const segment = await this.#nextSegment(0, 0);
    if (segment === undefined) return false;
    segment.clear(++this.#sequence);
    this.#ledger.open(segment);
    this.#log.push(segment);
    this.#written += segment.end;
    return true;
  }

  /** Cleans the oldest segment, all of it. False when there is no room even for that. */
  async #clean(): Promise<boolean> {
    await this.#cleaner.open(this.#log[0]!);
    for (;;) {
      const batch = this.#newBatch();
      const cleaned = this.#copyOldest(CLEANING_MAX);
      batch.end();
      if (batch.frames.length > 0) {
        if (!(await this.#place(0))) return false;
        await this.#write();
      }
      if (!cleaned) continue;
      this.#leave();
      return this.#sayTail();
    }
  }

  /** A commit that says nothing but where the log begins. */
  #sayTail(): Promise<boolean> {
    return this.#append([{ table: "meta", key: FORMAT_KEY, value: () => FORMAT }], 0);
  }

  /** Cleans while that can gain a segment. */
  async #makeRoom(): Promise<boolean> {
    const worth = this.#space.size + this.#written / 16;
    if (this.#log.length < 2 || this.#dead < worth) return false;
    return this.#clean();
  }
}

/** No room, and no other trouble. */
const isFull = (error: unknown): boolean => {
  const { code } = error as { code?: string };
  return (
    code === "store-full" ||
    code === "disk-full" ||
    code === "ENOSPC" ||
    code === "EDQUOT" ||
    code === "EFBIG"
  );
};

function compare(a: Key, b: Key): number {
  if (typeof a !== "object" || typeof b !== "object") return order(a as number, b as number);
  return order(a[0], b[0]) || order(a[1] as number, b[1] as number);
}

const order = <T extends number | string>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);
