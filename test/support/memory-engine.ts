import type { Key, StoredValue, Table } from "#core/session/store.ts";
import type { Change, Engine } from "#core/store/engine.ts";

type Records = Map<string, { readonly key: Key; readonly value: StoredValue }>;

/**
 * Keeps records in this process, for tests and simulations: it survives the store on top of it, as a disk does,
 * and `beforeCommit` may make any commit fail. Values are copied, so nothing is shared with the living.
 */
export class MemoryEngine implements Engine {
  readonly #tables = new Map<Table, Records>();
  /** Rejecting makes this commit fail and leaves everything as it was. */
  beforeCommit: (changes: readonly Change[]) => Promise<void> = () => Promise.resolve();
  commits = 0;

  async commit(changes: readonly Change[]): Promise<void> {
    const made = changes.map(({ table, key, value }) => ({ table, key, value: structuredClone(value?.()) }));
    await this.beforeCommit(changes);
    this.commits++;
    for (const { table, key, value } of made) {
      const records = this.#records(table);
      if (value === undefined) records.delete(String(key));
      else records.set(String(key), { key, value });
    }
  }

  *entries(table: Table): Iterable<readonly [Key, StoredValue]> {
    const records = [...this.#records(table).values()].sort((a, b) => compare(a.key, b.key));
    for (const { key, value } of records) yield [key, structuredClone(value)];
  }

  /** Records in all tables: what a test counts to find orphans. */
  get records(): number {
    let count = 0;
    for (const records of this.#tables.values()) count += records.size;
    return count;
  }

  size(): number {
    return 0;
  }

  async close(): Promise<void> {}

  #records(table: Table): Records {
    let records = this.#tables.get(table);
    if (records === undefined) {
      records = new Map();
      this.#tables.set(table, records);
    }
    return records;
  }
}

function compare(a: Key, b: Key): number {
  const [left, right] = [parts(a), parts(b)];
  for (let index = 0; index < left.length; index++) {
    const x = left[index]!;
    const y = right[index]!;
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

const parts = (key: Key): readonly (string | number)[] => (typeof key === "object" ? key : [key]);
