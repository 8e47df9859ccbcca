/** The store port: what outlives the process, as tables of small records. Engines are in `src/store`. */

export const TABLES = [
  "meta",
  "session",
  "subscription",
  "queue",
  "message",
  "inbound",
  "retained",
  "delayed",
  "ban",
] as const;
export type Table = (typeof TABLES)[number];

/** Text of any length, a number, or a number within a number. */
export type Key = string | number | [number, number | string];

/** Plain data: what JSON can say, plus bytes, `Infinity` and absent array elements. */
export type StoredValue = unknown;

/**
 * Writes are collected and committed together. A record that is written and removed again before the commit
 * costs nothing, and its value is made only when it is committed.
 */
export interface Store {
  /** `isNew`: no record of this key was ever written, so that a `remove` before the commit leaves nothing to do. */
  put(table: Table, key: Key, value: () => StoredValue, isNew?: boolean): void;
  remove(table: Table, key: Key): void;
  /** What was committed, in the order of keys. For start-up and maintenance. */
  entries(table: Table): Iterable<readonly [key: Key, value: StoredValue]>;
  /** Grows with each `put` and `remove`. */
  readonly writes: number;
  /**
   * Runs when all writes so far are safe, or could not be made so: at once if there are none to wait for. `since`,
   * a former value of `writes`: only those after it count.
   */
  whenCommitted(run: (failure: Error | undefined) => void, since?: number): void;
  /** Why the last commit failed; undefined while all is well. Failed writes are kept and tried again. */
  readonly failure: Error | undefined;
  /** Commits what is left and closes. */
  close(): Promise<void>;
}
