import type { Key, StoredValue, Table } from "../session/store.ts";

/** One change: a value to be written, or undefined to be removed. */
export interface Change {
  readonly table: Table;
  readonly key: Key;
  readonly value: (() => StoredValue) | undefined;
}

/** What the log says of a value that no store can keep: the others of its commit are kept, and what stood there stays. */
export const unwritable = ({ table, key }: Change, error: unknown): string =>
  `a value for ${table} ${typeof key === "object" ? key.join(" ") : key} cannot be kept, and what was there stays: ${String(error)}`;

/** A record that cannot be read, as it lay there. */
export interface Damage {
  readonly problem: string;
  readonly table: Table | undefined;
  readonly raw: Uint8Array;
}

/** What really keeps records. `GroupCommit` makes a store of it. */
export interface Engine {
  /** Makes all changes or none, and resolves when they are on disk. */
  commit(changes: readonly Change[]): Promise<void>;
  /**
   * In the order of keys. What cannot be read is reported as damage and left out; the next commit moves it to the
   * table `aside`.
   */
  entries(table: Table): Iterable<readonly [key: Key, value: StoredValue]>;
  /** Bytes on disk in use; 0 where nothing is on disk. */
  size(): number;
  close(): Promise<void>;
}

/** An engine in files of a data folder, which an operator may look after. */
export interface DiskEngine extends Engine {
  count(table: Table): number;
  /** Bytes on disk that hold records; the rest is free for new ones. */
  used(): number;
  /** Gives what records no longer need back to the disk, and closes. */
  compact(): Promise<void>;
}

export interface EngineOptions {
  readonly folder: string;
  /** Wait for the disk at each commit. Without it a power cut may cost the last second, a crash nothing. */
  readonly sync: boolean;
  /** Records may not take more than this many bytes on disk. */
  readonly sizeMax: number;
  /** Opens also what is damaged, to save what can be read of it. */
  readonly salvage?: boolean;
  /** Hears of records that cannot be read. */
  readonly damaged?: (damage: Damage) => void;
  /** Hears what an operator should know, in a sentence. */
  readonly note?: (sentence: string) => void;
}
