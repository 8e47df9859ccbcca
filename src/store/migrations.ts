import type { Key, StoredValue, Table } from "../session/store.ts";
import type { Change } from "./engine.ts";

/**
 * Version of the tables and records in the file. Raise it with each change that an older version cannot read.
 * Of formats 1 and 2, whose keys and values were coded by others, `lmdb/former-format.ts` reads all records.
 */
export const FORMAT = 3;
/** Where the number stands, in the table `meta`. */
export const FORMAT_KEY = "format";

/** What changes from one format to the next; it is committed as one, together with the new version. */
export type Migration = (
  entries: (table: Table) => Iterable<readonly [key: Key, value: StoredValue]>,
) => Iterable<Change>;

/** By the format that a migration reads; it writes the next one. */
export const MIGRATIONS: ReadonlyMap<number, Migration> = new Map();
