/** Formats 1 and 2: a table of LMDB for each of ours, keys in `ordered-binary`, values in MessagePack. */
import type { RootDatabase } from "lmdb";
import { unpack } from "msgpackr";
import { fromBufferKey, toBufferKey } from "ordered-binary";
import { type Key, type StoredValue, TABLES, type Table } from "../../session/store.ts";
import type { Damage } from "../engine.ts";

interface FormerRecord {
  /** The text of the key, where a digest stood in for it. */
  readonly k?: string;
  readonly v: StoredValue;
}

/** From this length on, text was written as it is, without a mark before characters that mean something in a key. */
const UNMARKED_LENGTH = 64;
/** Before text whose first character could be taken for another kind of key. */
const TEXT_MARK = 27;
/** A number within a key, and the zero behind it. */
const NUMBER_LENGTH = 10;

/** The tables that a file of these formats has. */
export const formerTables = (root: RootDatabase): readonly Table[] => {
  const names = new Set(root.getKeys().map(String));
  return TABLES.filter((table) => names.has(table));
};

/** What was read has gone; a version that knows these formats only finds the number of ours, and refuses. */
export async function leaveFormer(root: RootDatabase, format: number): Promise<void> {
  for (const table of formerTables(root)) {
    if (table !== "meta") await root.openDB({ name: table }).drop();
  }
  await root.openDB<FormerRecord, string>({ name: "meta", encoding: "msgpack" }).put("format", { v: format });
}

/** All records of a table; what cannot be read is reported. */
export function* formerEntries(
  root: RootDatabase,
  table: Table,
  damaged: (damage: Damage) => void,
): Generator<readonly [Key, StoredValue]> {
  const database = root.openDB<Buffer, Buffer>({ name: table, encoding: "binary", keyEncoding: "binary" });
  for (const { key: rawKey, value: raw } of database.getRange({ snapshot: false })) {
    try {
      const { k, v } = unpack(raw) as FormerRecord;
      const key = formerKey(rawKey);
      // What is retained says its topic itself.
      if (table === "retained") yield [(v as [string])[0], v];
      else yield [k === undefined ? key : typeof key === "object" ? [key[0], k] : k, v];
    } catch (error) {
      const { message } = error as Error;
      damaged({ table, problem: message, raw: Buffer.concat([rawKey, raw]) });
    }
  }
}

/** Among the keys that these bytes may stand for, the one that was written as these. */
function formerKey(raw: Buffer): Key {
  const candidates = [() => fromBufferKey(raw) as Key, () => unmarked(raw, 0), () => within(raw)];
  for (const candidate of candidates) {
    try {
      const key = candidate();
      if (toBufferKey(key).equals(raw)) return key;
    } catch {
      // Not this one.
    }
  }
  throw new Error("its key is no key");
}

const within = (raw: Buffer): Key => {
  const [number] = fromBufferKey(raw) as [number];
  return [number, unmarked(raw, NUMBER_LENGTH)];
};

function unmarked(raw: Buffer, from: number): string {
  const text = raw.toString("utf8", raw[from] === TEXT_MARK ? from + 1 : from);
  if (text.length < UNMARKED_LENGTH) throw new Error("too short");
  return text;
}
