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
}

type Waiter = (failure: Error | undefined) => void;
interface Pending extends Change {
  value: (() => StoredValue) | undefined;
  /** The engine has no record of this key: removing it again leaves nothing to write. */
  readonly isNew: boolean;
}

/**
 * Collects writes for a short window and commits them as one; while a commit runs, the next one collects. What
 * was written and removed within a window is never committed, and when nothing is left to commit nobody waits.
 */
export class GroupCommit implements Store {
  writes = 0;
  failure: Error | undefined = undefined;
  readonly #engine: Engine;
  readonly #options: GroupCommitOptions;
  /** By table and key. */
  #pending = new Map<string, Pending>();
  /** Being committed; undefined while no commit runs. */
  #committing: Map<string, Pending> | undefined = undefined;
  #waiters: Waiter[] = [];
  #scheduled = false;
  #idle: (() => void)[] = [];

  constructor(engine: Engine, options: GroupCommitOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  put(table: Table, key: Key, value: () => StoredValue, isNew = false): void {
    this.writes++;
    const name = nameOf(table, key);
    const known = this.#pending.get(name);
    if (known !== undefined) {
      known.value = value;
      return;
    }
    this.#pending.set(name, { table, key, value, isNew: isNew && this.#committing?.has(name) !== true });
    this.#schedule();
  }

  remove(table: Table, key: Key): void {
    this.writes++;
    const name = nameOf(table, key);
    const known = this.#pending.get(name);
    if (known === undefined) {
      this.#pending.set(name, { table, key, value: undefined, isNew: false });
      this.#schedule();
    } else if (known.isNew) {
      this.#pending.delete(name);
      if (this.#pending.size === 0 && this.#committing === undefined) this.#release(undefined);
    } else {
      known.value = undefined;
    }
  }

  entries(table: Table): Iterable<readonly [Key, StoredValue]> {
    return this.#engine.entries(table);
  }

  whenCommitted(run: Waiter): void {
    if (this.#pending.size === 0 && this.#committing === undefined) run(this.failure);
    else this.#waiters.push(run);
  }

  async close(): Promise<void> {
    while (this.#pending.size > 0 || this.#committing !== undefined) {
      if (this.#committing === undefined) this.#commit();
      await new Promise<void>((resolve) => this.#idle.push(resolve));
      if (this.failure !== undefined) break;
    }
    await this.#engine.close();
  }

  #schedule(): void {
    if (this.#scheduled || this.#committing !== undefined) return;
    this.#scheduled = true;
    this.#options.later(
      () => {
        this.#scheduled = false;
        if (this.#committing === undefined && this.#pending.size > 0) this.#commit();
      },
      this.failure === undefined ? this.#options.window : this.#options.retry,
    );
  }

  #commit(): void {
    const batch = this.#pending;
    const waiters = this.#waiters;
    this.#committing = batch;
    this.#pending = new Map();
    this.#waiters = [];
    this.#engine.commit([...batch.values()]).then(
      () => this.#committed(waiters, undefined),
      (error: unknown) => {
        this.#keep(batch);
        this.#committed(waiters, error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  #committed(waiters: Waiter[], failure: Error | undefined): void {
    this.#committing = undefined;
    if ((failure === undefined) !== (this.failure === undefined)) this.#options.onFailure(failure);
    this.failure = failure;
    for (const waiter of waiters) waiter(failure);
    for (const resolve of this.#idle.splice(0)) resolve();
    if (this.#pending.size > 0) this.#schedule();
    else this.#release(failure);
  }

  /** What could not be committed waits for the next try, unless it has been overwritten since. */
  #keep(batch: Map<string, Pending>): void {
    for (const [name, change] of batch) {
      const newer = this.#pending.get(name);
      if (newer === undefined) this.#pending.set(name, change);
      else if (change.isNew) this.#pending.set(name, { ...newer, isNew: true });
    }
  }

  #release(failure: Error | undefined): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter(failure);
  }
}

const nameOf = (table: Table, key: Key): string =>
  typeof key === "object" ? `${table} ${key[0]} ${key[1]}` : `${table} ${key}`;
