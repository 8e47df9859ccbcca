import type { Key, Store, StoredValue, Table } from "../session/store.ts";
import type { Change, Engine } from "./engine.ts";

export interface GroupCommitOptions {
  /** Milliseconds for which writes are collected before they are committed. */
  readonly window: number;
  /** Milliseconds after which a failed commit is tried again. */
  readonly retry: number;
  /** Calls back after a time; real or virtual. */
  readonly later: (run: () => void, milliseconds: number) => void;
  /** Told when commits begin to fail and when they work again. */
  readonly onFailure: (failure: Error | undefined) => void;
  /** Milliseconds that go on, for the time that commits take. */
  readonly now?: () => number;
}

type Waiter = (failure: Error | undefined) => void;
interface Pending extends Change {
  value: (() => StoredValue) | undefined;
  /** The engine has no record of this key: removing it again leaves nothing to write. */
  isNew: boolean;
  /** Still to be committed; false once it was removed again. */
  live: boolean;
  /** Those who wait for this record among others. */
  waits: Wait[] | undefined;
}

/** Somebody who waits for some records only. */
interface Wait {
  readonly run: Waiter;
  left: number;
}

/** What a commit that failed while nothing waits is tried again with. */
const PROBE: Change = { table: "meta", key: "probe", value: () => 1 };

/** For metrics; they only grow. */
export interface CommitCounts {
  commits: number;
  /** Records written or removed. */
  records: number;
  failures: number;
  /** Milliseconds that all commits together have taken. */
  milliseconds: number;
}

/**
 * Collects writes for a short window and commits them as one; while a commit runs, the next one collects. What
 * was written and removed within a window is never committed, and when nothing is left to commit nobody waits.
 */
export class GroupCommit implements Store {
  writes = 0;
  failure: Error | undefined = undefined;
  readonly counts: CommitCounts = { commits: 0, records: 0, failures: 0, milliseconds: 0 };
  readonly #engine: Engine;
  readonly #options: GroupCommitOptions;
  /** By table and key: what was written in this window. */
  #pending = new Map<string, Pending>();
  /** What was written in the window before, and was given another one to be taken back. */
  #aged = new Map<string, Pending>();
  #agedWaiters: Waiter[] = [];
  /** Records of this window, and how many were taken back in it. */
  #added = 0;
  #collapsed = 0;
  /** Being committed; undefined while no commit runs. */
  #committing: Map<string, Pending> | undefined = undefined;
  #waiters: Waiter[] = [];
  /** What each write since the last commit began has touched; the first of them had this number. */
  #touched: Pending[] = [];
  #touchedFrom = 0;
  #scheduled = false;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(engine: Engine, options: GroupCommitOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  /** Records that wait for a commit, those of the one that runs included. */
  get waiting(): number {
    return this.#pending.size + this.#aged.size + (this.#committing?.size ?? 0);
  }

  put(table: Table, key: Key, value: () => StoredValue, isNew = false): void {
    this.writes++;
    const name = nameOf(table, key);
    const known = this.#find(name);
    if (known !== undefined) {
      known.value = value;
      this.#touched.push(known);
      return;
    }
    this.#add(name, table, key, value, isNew && this.#committing?.has(name) !== true);
  }

  remove(table: Table, key: Key): void {
    this.writes++;
    const name = nameOf(table, key);
    const known = this.#find(name);
    if (known === undefined) {
      this.#add(name, table, key, undefined, false);
      return;
    }
    this.#touched.push(known);
    if (!known.isNew) {
      known.value = undefined;
      return;
    }
    if (!this.#pending.delete(name)) this.#aged.delete(name);
    this.#collapsed++;
    known.live = false;
    satisfy(known, undefined);
    if (this.waiting === 0) this.#release();
  }

  entries(table: Table): Iterable<readonly [Key, StoredValue]> {
    return this.#engine.entries(table);
  }

  whenCommitted(run: Waiter, since = 0): void {
    if (this.waiting === 0) {
      run(undefined);
      return;
    }
    if (since < this.#touchedFrom) {
      this.#waiters.push(run);
      return;
    }
    const wait: Wait = { run, left: 0 };
    for (let index = since - this.#touchedFrom; index < this.#touched.length; index++) {
      const record = this.#touched[index]!;
      if (!record.live || record.waits?.at(-1) === wait) continue;
      record.waits ??= [];
      record.waits.push(wait);
      wait.left++;
    }
    if (wait.left === 0) run(undefined);
  }

  async close(): Promise<void> {
    while (this.waiting > 0) {
      if (this.#committing === undefined) this.#commit(this.#all());
      await new Promise<void>((resolve) => this.#idle.push(resolve));
      if (this.failure !== undefined) break;
    }
    this.#closed = true;
    await this.#engine.close();
  }

  #add(name: string, table: Table, key: Key, value: Pending["value"], isNew: boolean): void {
    const record: Pending = { table, key, value, isNew, live: true, waits: undefined };
    this.#pending.set(name, record);
    this.#added++;
    this.#touched.push(record);
    this.#schedule();
  }

  #find(name: string): Pending | undefined {
    return this.#pending.get(name) ?? (this.#aged.size === 0 ? undefined : this.#aged.get(name));
  }

  #schedule(): void {
    if (this.#scheduled || this.#committing !== undefined) return;
    this.#scheduled = true;
    this.#options.later(
      () => {
        this.#scheduled = false;
        if (this.#closed || this.#committing !== undefined) return;
        if (this.waiting > 0 || this.failure !== undefined) this.#endWindow();
      },
      this.failure === undefined ? this.#options.window : this.#options.retry,
    );
  }

  /**
   * Where most of what is written is taken back soon, because clients acknowledge at once, the records of this
   * window get another one: a commit would cost all of them a write more, to be removed.
   */
  #endWindow(): void {
    const short = this.#collapsed * 2 > this.#added && this.failure === undefined;
    this.#added = 0;
    this.#collapsed = 0;
    if (!short) {
      this.#commit(this.#all());
      return;
    }
    const batch = this.#aged;
    const waiters = this.#agedWaiters;
    this.#aged = this.#pending;
    this.#agedWaiters = this.#waiters;
    this.#pending = new Map();
    this.#waiters = [];
    this.#forgetTouched();
    if (batch.size > 0) {
      this.#commit(batch, waiters);
      return;
    }
    for (const waiter of waiters) waiter(undefined);
    if (this.waiting > 0) this.#schedule();
  }

  #all(): Map<string, Pending> {
    const batch = this.#aged;
    for (const [name, record] of this.#pending) batch.set(name, record);
    this.#aged = new Map();
    this.#pending = new Map();
    return batch;
  }

  #forgetTouched(): void {
    this.#touched = [];
    this.#touchedFrom = this.writes;
  }

  #commit(batch: Map<string, Pending>, waiters = this.#takeWaiters()): void {
    const started = this.#options.now?.() ?? 0;
    this.#committing = batch;
    this.#forgetTouched();
    this.#engine.commit(batch.size === 0 ? [PROBE] : [...batch.values()]).then(
      () => {
        this.counts.commits++;
        this.counts.records += batch.size;
        this.counts.milliseconds += (this.#options.now?.() ?? 0) - started;
        this.#committed(batch, waiters, undefined);
      },
      (error: unknown) => {
        this.counts.failures++;
        this.#keep(batch);
        this.#committed(batch, waiters, error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  #committed(batch: Map<string, Pending>, waiters: Waiter[], failure: Error | undefined): void {
    this.#committing = undefined;
    const changed = (failure === undefined) !== (this.failure === undefined);
    this.failure = failure;
    if (changed) this.#options.onFailure(failure);
    for (const record of batch.values()) satisfy(record, failure);
    for (const waiter of waiters) waiter(failure);
    for (const resolve of this.#idle.splice(0)) resolve();
    if (this.waiting > 0 || failure !== undefined) this.#schedule();
    else this.#release();
  }

  /**
   * What could not be committed waits for the next try, unless it has been overwritten since. How much of a failed
   * commit reached the disk is not known, so from now on a removal is written, too.
   */
  #keep(batch: Map<string, Pending>): void {
    for (const [name, change] of batch) {
      const newer = this.#find(name);
      if (newer === undefined) this.#aged.set(name, change);
      (newer ?? change).isNew = false;
    }
  }

  /** Nothing is left to commit. */
  #release(): void {
    for (const waiter of this.#takeWaiters()) waiter(undefined);
  }

  #takeWaiters(): Waiter[] {
    const waiters = [...this.#agedWaiters, ...this.#waiters];
    this.#agedWaiters = [];
    this.#waiters = [];
    return waiters;
  }
}

/** A record is committed, could not be, or need not be any more: tells those who waited for it alone. */
function satisfy(record: Pending, failure: Error | undefined): void {
  const { waits } = record;
  if (waits === undefined) return;
  record.waits = undefined;
  for (const wait of waits) {
    if (wait.left === 0) continue;
    wait.left = failure === undefined ? wait.left - 1 : 0;
    if (wait.left === 0) wait.run(failure);
  }
}

const nameOf = (table: Table, key: Key): string =>
  typeof key === "object" ? `${table} ${key[0]} ${key[1]}` : `${table} ${key}`;
