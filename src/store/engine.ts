import type { Key, StoredValue, Table } from "../session/store.ts";

/** One change: a value to be written, or undefined to be removed. */
export interface Change {
  readonly table: Table;
  readonly key: Key;
  readonly value: (() => StoredValue) | undefined;
}

/** What really keeps records. `GroupCommit` makes a store of it. */
export interface Engine {
  /** Makes all changes or none, and resolves when they are on disk. */
  commit(changes: readonly Change[]): Promise<void>;
  entries(table: Table): Iterable<readonly [key: Key, value: StoredValue]>;
  /** Bytes on disk in use; 0 where nothing is on disk. */
  size(): number;
  close(): Promise<void>;
}
