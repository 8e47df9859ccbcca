import { type Key, type StoredValue, StoreRecord, type Table } from "../session/store.ts";
import type { Change } from "./engine.ts";

/** What a name stands for, from its first change until that is committed. */
export class NamedRecord extends StoreRecord {
  readonly table: Table;
  readonly key: Key;
  readonly name: string;
  make: () => StoredValue = () => undefined;

  constructor(table: Table, key: Key, name: string) {
    super();
    this.table = table;
    this.key = key;
    this.name = name;
  }

  value(): StoredValue {
    return this.make();
  }
}

/** A record needs what it needed no more; returns that if nothing else does. */
export function letGo(record: StoreRecord): StoreRecord | undefined {
  const { needs } = record;
  if (needs === undefined) return undefined;
  record.needs = undefined;
  return --needs.needers === 0 ? needs : undefined;
}

/** What a record means for an engine. */
export const changeOf = (record: StoreRecord): Change => ({
  table: record.table,
  key: record.key,
  value: record.dropped ? undefined : () => record.value(),
});
