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
  // What cannot be read, moved out of the others. New tables come last: a key begins with the place of its table.
  "aside",
  "association",
  "route",
  "shelf",
  "login",
] as const;
export type Table = (typeof TABLES)[number];

/** Text of any length and any characters, a whole number from 0 on, or one of these within a number. */
export type Key = string | number | [number, number | string];

/** Plain data: what JSON can say, plus bytes, `Infinity` and absent array elements. */
export type StoredValue = unknown;

/**
 * A record that keeps its own place on the way to the disk, so that the path of every message needs no look-up.
 * Its key is its own: no other record and no `put` uses it.
 */
export abstract class StoreRecord {
  abstract readonly table: Table;
  abstract readonly key: Key;
  /**
   * Another record that must be there as long as this one is, and goes with the last that needs it. The store lets go
   * of it when this record is removed.
   */
  needs: StoreRecord | undefined = undefined;
  /** How many records need this one. */
  needers = 0;

  // The store's own notes.
  /** It may be there. */
  onDisk = false;
  /** Waits for a commit. */
  pending = false;
  /** Is part of the commit that runs. */
  committing = false;
  /** Nobody needs it any more: what is to be committed is its removal. */
  dropped = false;
  /** Those who wait for it as it is written or, else, will be; and, while it is being written, for the next time. */
  waits: CommitWait[] | undefined = undefined;
  nextWaits: CommitWait[] | undefined = undefined;

  /** What to write; asked for when it is committed. */
  abstract value(): StoredValue;
}

/** Somebody who waits until records are safe. */
export abstract class CommitWait {
  /** Records that are not safe yet. */
  left = 0;

  /** Called once: they are safe, or need not be any more, or one of them could not be made so. */
  abstract settled(failure: Error | undefined): void;
}

/** Writes are collected and committed together; a value is made only when it is committed. */
export interface Store {
  put(table: Table, key: Key, value: () => StoredValue): void;
  remove(table: Table, key: Key): void;
  /**
   * Writes a record that is new or has changed. `patient`: it will likely be dropped within milliseconds, and may
   * wait that long for a commit, so that it costs none.
   */
  write(record: StoreRecord, patient: boolean): void;
  /** The next commit takes all that there is, patient or not. */
  hasten(): void;
  /** A record is needed no more, and so not waited for. Nobody waits for this to be committed. */
  drop(record: StoreRecord): void;
  /** Moves a record that makes no sense out of its table, to where somebody may look at it. */
  setAside(table: Table, key: Key, value: StoredValue, problem: string): void;
  /** What was committed, in the order of keys. For start-up and maintenance. */
  entries(table: Table): Iterable<readonly [key: Key, value: StoredValue]>;
  /** Grows with each write that somebody may have to wait for. */
  readonly writes: number;
  /**
   * Runs when all writes so far are safe, or could not be made so: at once if there are none to wait for. `since`,
   * a former value of `writes`: only those after it count.
   */
  whenCommitted(run: (failure: Error | undefined) => void, since?: number): void;
  /** Runs when all writes so far are safe, however often commits fail before. */
  whenSafe(run: () => void): void;
  /** As `whenCommitted`, without a closure. */
  wait(wait: CommitWait, since: number): void;
  /** Why the last commit failed; undefined while all is well. Failed writes are kept and tried again. */
  readonly failure: Error | undefined;
  /** Commits what is left and closes. */
  close(): Promise<void>;
}
