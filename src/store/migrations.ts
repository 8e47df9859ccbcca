import type { Key, StoredValue, Table } from "../session/store.ts";
import type { Change } from "./engine.ts";

/** Version of the tables and records in the file. Raise it with each change that an older version cannot read. */
export const FORMAT = 2;

/** What changes from one format to the next; it is committed as one, together with the new version. */
export type Migration = (
  entries: (table: Table) => Iterable<readonly [key: Key, value: StoredValue]>,
) => Iterable<Change>;

/** By the format that a migration reads; it writes the next one. */
export const MIGRATIONS: ReadonlyMap<number, Migration> = new Map([
  // From 2 on a message that waits for one session is part of its delivery. What stands in a table of its own is read.
  [1, () => []],
]);
