import type { CommitWait, Key, Store, StoredValue, StoreRecord, Table } from "../session/store.ts";
import type { AsideRecord } from "./aside.ts";
import { Callback, settle, waitFor } from "./commit-waits.ts";
import type { Change, Engine } from "./engine.ts";
import { changeOf, letGo, NamedRecord } from "./records.ts";

export interface GroupCommitOptions {
  /**
   * Milliseconds from the beginning of one commit to that of the next, at least; what is written meanwhile is one.
   * Less where commits take less: a quick disk is not waited for.
   */
  readonly window: number;
  /** Milliseconds that a patient record is given to be dropped, before it waits for a commit; up to twice that. */
  readonly patience: number;
  /** Milliseconds after which a failed commit is tried again. */
  readonly retry: number;
  /** Calls back after a time; real or virtual. */
  readonly later: (run: () => void, milliseconds: number) => void;
  /** Told when commits begin to fail and when they work again. */
  readonly onFailure: (failure: Error | undefined) => void;
  /** Milliseconds that go on. */
  readonly now: () => number;
}

/** What a commit that failed while nothing waits is tried again with. */
const PROBE: Change = { table: "meta", key: "probe", value: () => 1 };

/** How many commits what is usual goes back, about. */
const USUAL_OF = 8;

/** For metrics; they only grow. */
export interface CommitCounts {
  commits: number;
  /** Records written or removed. */
  records: number;
  failures: number;
  /** Milliseconds that all commits together have taken. */
  milliseconds: number;
}

/** What runs in one commit. */
interface Batch {
  readonly records: StoreRecord[];
  /** Those who wait for all of it. */
  readonly waits: readonly CommitWait[];
}

/**
 * Collects writes for a short window and commits them as one; while a commit runs, the next one collects. Patient
 * records stay out of it for some milliseconds more: what is dropped meanwhile never reaches the disk.
 */
export class GroupCommit implements Store {
  writes = 0;
  failure: Error | undefined = undefined;
  readonly counts: CommitCounts = { commits: 0, records: 0, failures: 0, milliseconds: 0 };
  readonly #engine: Engine;
  readonly #options: GroupCommitOptions;
  /** Records of `put` and `remove` by name, while they are on their way. */
  readonly #named = new Map<string, NamedRecord>();
  /** What the next commit takes. */
  #due: StoreRecord[] = [];
  /** Patient records of this period, and of the one before. Those dropped meanwhile are among them. */
  #young: StoreRecord[] = [];
  #old: StoreRecord[] = [];
  /** Records that are `pending`. */
  #pending = 0;
  #committing: Batch | undefined = undefined;
  /** Those who wait for all that was written before they came. */
  #waits: CommitWait[] = [];
  /** What each write since then has touched; the first of them had this number. */
  #touched: StoreRecord[] = [];
  #touchedFrom = 0;
  #windowRuns = false;
  #windowEnded = false;
  #patienceRuns = false;
  /** Milliseconds that commits have taken lately. */
  #usual = 0;
  /** When the last commit began. */
  #lastCommit = Number.NEGATIVE_INFINITY;
  /** The next commit takes patient records, too. */
  #everything = false;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(engine: Engine, options: GroupCommitOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  /** Records that wait for a commit, those of the one that runs included. */
  get waiting(): number {
    return this.#pending + (this.#committing?.records.length ?? 0);
  }

  /** Records of `put` and `remove` that are on their way. */
  get named(): number {
    return this.#named.size;
  }

  put(table: Table, key: Key, value: () => StoredValue): void {
    const record = this.#name(table, key);
    record.make = value;
    record.dropped = false;
    this.write(record, false);
  }

  remove(table: Table, key: Key): void {
    const record = this.#name(table, key);
    record.dropped = true;
    this.write(record, false);
  }

  setAside(table: Table, key: Key, value: StoredValue, problem: string): void {
    const aside: AsideRecord = { table, key, value, problem, at: Date.now() };
    this.put("aside", `${table} ${typeof key === "object" ? key.join(" ") : key}`, () => aside);
    this.remove(table, key);
  }

  write(record: StoreRecord, patient: boolean): void {
    this.writes++;
    this.#touched.push(record);
    if (!record.pending) this.#collect(record, patient);
  }

  hasten(): void {
    this.#everything = true;
    this.#startWindow();
  }

  drop(record: StoreRecord): void {
    if (record.dropped) return;
    record.dropped = true;
    const { waits, nextWaits } = record;
    record.waits = undefined;
    record.nextWaits = undefined;
    if (record.onDisk || record.committing) {
      if (!record.pending) this.#collect(record, true);
    } else if (record.pending) {
      record.pending = false;
      this.#pending--;
      const needed = letGo(record);
      if (needed !== undefined) this.drop(needed);
      if (this.waiting === 0) this.#release();
    }
    settle(waits, undefined);
    settle(nextWaits, undefined);
  }

  entries(table: Table): Iterable<readonly [Key, StoredValue]> {
    return this.#engine.entries(table);
  }

  whenCommitted(run: (failure: Error | undefined) => void, since = -1): void {
    this.wait(new Callback(run), since);
  }

  whenSafe(run: () => void): void {
    this.whenCommitted((failure) => {
      if (failure === undefined) run();
      else this.whenSafe(run);
    });
  }

  wait(wait: CommitWait, since: number): void {
    if (since < this.#touchedFrom) {
      wait.left = 1;
      this.#waits.push(wait);
      if (this.waiting === 0) this.#release();
      else this.hasten();
      return;
    }
    for (let index = since - this.#touchedFrom; index < this.#touched.length; index++) {
      const record = this.#touched[index]!;
      if (record.pending) waitFor(record, wait);
    }
    if (wait.left === 0) wait.settled(undefined);
  }

  async close(): Promise<void> {
    while (this.waiting > 0) {
      this.#everything = true;
      if (this.#committing === undefined) this.#commit();
      await new Promise<void>((resolve) => this.#idle.push(resolve));
      if (this.failure !== undefined) break;
    }
    this.#closed = true;
    await this.#engine.close();
  }

  // ---- collecting

  #name(table: Table, key: Key): NamedRecord {
    const name = typeof key === "object" ? `${table} ${key[0]} ${key[1]}` : `${table} ${key}`;
    let record = this.#named.get(name);
    if (record === undefined) {
      record = new NamedRecord(table, key, name);
      this.#named.set(name, record);
    }
    return record;
  }

  #collect(record: StoreRecord, patient: boolean): void {
    record.pending = true;
    this.#pending++;
    if (patient) {
      this.#young.push(record);
      this.#startPatience();
    } else {
      this.#due.push(record);
      this.#startWindow();
    }
  }

  #startWindow(): void {
    if (this.#windowRuns) return;
    this.#windowRuns = true;
    this.#options.later(
      () => {
        this.#windowRuns = false;
        this.#windowEnded = true;
        this.#commitDue();
      },
      this.failure === undefined ? this.#windowLeft() : this.#options.retry,
    );
  }

  #windowLeft(): number {
    const window = Math.min(this.#options.window, this.#usual);
    return Math.max(0, this.#lastCommit + window - this.#options.now());
  }

  #startPatience(): void {
    if (this.#patienceRuns) return;
    this.#patienceRuns = true;
    this.#options.later(() => {
      this.#patienceRuns = false;
      this.#age();
    }, this.#options.patience);
  }

  /** What has had its time to be dropped waits for the next commit like any other. */
  #age(): void {
    for (const record of this.#old) {
      // Dropped, or taken by a commit of all that there was.
      if (record.pending) this.#due.push(record);
    }
    this.#old = this.#young;
    this.#young = [];
    this.#forgetTouched();
    if (this.#due.length > 0) this.#startWindow();
    if (this.#old.length > 0) this.#startPatience();
  }

  #forgetTouched(): void {
    this.#touched = [];
    this.#touchedFrom = this.writes;
  }

  // ---- committing

  #commitDue(): void {
    if (this.#closed || this.#committing !== undefined || !this.#windowEnded) return;
    this.#windowEnded = false;
    this.#commit();
  }

  #commit(): void {
    const batch = this.#take();
    if (batch.records.length === 0 && this.failure === undefined) {
      settle(batch.waits, undefined);
      return;
    }
    this.#committing = batch;
    const started = this.#options.now();
    this.#lastCommit = started;
    this.#engine.commit(batch.records.length === 0 ? [PROBE] : batch.records.map(changeOf)).then(
      () => {
        this.counts.commits++;
        this.counts.records += batch.records.length;
        const took = this.#options.now() - started;
        this.counts.milliseconds += took;
        this.#usual += (took - this.#usual) / USUAL_OF;
        this.#committed(batch, undefined);
      },
      (error: unknown) => {
        this.counts.failures++;
        this.#committed(batch, error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  #take(): Batch {
    const batch: Batch = { records: [], waits: this.#waits };
    const { records } = batch;
    for (const record of this.#due) this.#takePending(record, records);
    this.#due = [];
    this.#takePatient(this.#old, records);
    this.#takePatient(this.#young, records);
    this.#everything = false;
    this.#waits = [];
    this.#forgetTouched();
    return batch;
  }

  #takePatient(patient: readonly StoreRecord[], batch: StoreRecord[]): void {
    for (const record of patient) {
      // All that need a record are committed with it: whichever of them goes first, it is never there for nobody.
      if (this.#everything || record.needs?.committing === true) this.#takePending(record, batch);
    }
  }

  #takePending(record: StoreRecord, batch: StoreRecord[]): void {
    if (!record.pending) return;
    const { needs } = record;
    if (needs?.pending === true && !record.dropped) this.#takeRecord(needs, batch);
    this.#takeRecord(record, batch);
  }

  #takeRecord(record: StoreRecord, batch: StoreRecord[]): void {
    if (record.pending) {
      record.pending = false;
      this.#pending--;
    }
    record.committing = true;
    batch.push(record);
    const needed = record.dropped ? letGo(record) : undefined;
    if (needed === undefined) return;
    needed.dropped = true;
    this.#takeRecord(needed, batch);
  }

  #committed({ records, waits }: Batch, failure: Error | undefined): void {
    this.#committing = undefined;
    const changed = (failure === undefined) !== (this.failure === undefined);
    this.failure = failure;
    if (changed) this.#options.onFailure(failure);
    for (const record of records) this.#written(record, failure);
    settle(waits, failure);
    for (const resolve of this.#idle.splice(0)) resolve();
    if (failure !== undefined) {
      this.#windowEnded = false;
      this.#startWindow();
    } else if (this.waiting === 0) this.#release();
    else this.#commitDue();
  }

  /** How much of a failed commit reached the disk is not known: it is written again, and removals are, too. */
  #written(record: StoreRecord, failure: Error | undefined): void {
    record.committing = false;
    const { waits } = record;
    record.waits = record.nextWaits;
    record.nextWaits = undefined;
    if (failure !== undefined) {
      record.onDisk = true;
      if (!record.pending) this.#collect(record, false);
    } else if (!record.pending) {
      record.onDisk = !record.dropped;
      if (record instanceof NamedRecord) this.#named.delete(record.name);
    } else {
      record.onDisk = true;
    }
    settle(waits, failure);
  }

  /** Nothing is left to commit. */
  #release(): void {
    const waits = this.#waits;
    this.#waits = [];
    settle(waits, undefined);
  }
}
