/** What an operator does with a store while the gateway is stopped. Each opens the data folder for itself. */
import { createReadStream, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { type Key, TABLES, type Table } from "../session/store.ts";
import { type Checked, checkRecords } from "./check.ts";
import type { Change, Damage, DiskEngine, EngineOptions } from "./engine.ts";
import { bytesIn, type KindAsked, openEngine } from "./kinds.ts";
import { FORMAT } from "./migrations.ts";
import { StoreError } from "./store-error.ts";

export interface StoreStats {
  readonly records: ReadonlyMap<Table, number>;
  /** Bytes of the file, and of those that hold records. */
  readonly size: number;
  readonly used: number;
}

export interface StoreOptions extends EngineOptions {
  readonly engine: KindAsked;
}

/** Is told again and again how many records are done, and of how many; of 0 where that is not known. */
export type Counting = (done: number, all: number) => void;

/** Records written in one commit by an import. */
const BATCH = 1000;
/** Meta records that belong to the file and not to what it keeps. */
const META_KEPT_BACK: readonly Key[] = ["format", "probe"];

async function withStore<T>(options: StoreOptions, work: (engine: DiskEngine) => T | Promise<T>): Promise<T> {
  const engine = await openEngine(options.engine, options);
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

export function checkStore(options: StoreOptions): Promise<Checked> {
  const unreadable: Damage[] = [];
  const damaged = (damage: Damage): void => void unreadable.push(damage);
  return withStore({ ...options, damaged }, (engine) => checkRecords(engine, unreadable));
}

export const storeStats = (options: StoreOptions): Promise<StoreStats> =>
  withStore(options, (engine) => ({
    records: new Map(TABLES.map((table) => [table, engine.count(table)])),
    size: engine.size(),
    used: engine.used(),
  }));

/** Gives what records no longer need back to the disk; resolves to the sizes before and after. */
export async function compactStore(options: StoreOptions): Promise<readonly [before: number, after: number]> {
  const engine = await openEngine(options.engine, options);
  const before = engine.size();
  await engine.compact();
  // Looked at from outside: to open it would make room for what is written next.
  return [before, bytesIn(options.folder)];
}

/** Writes every record as a line of JSON; resolves to how many. Also of a damaged file, as far as it can be read. */
export function exportStore(options: StoreOptions, path: string, counting?: Counting): Promise<number> {
  return withStore({ ...options, salvage: true }, async (engine) => {
    let count = 0;
    const all = TABLES.reduce((sum, table) => sum + engine.count(table), 0);
    function* lines(): Generator<string> {
      yield `${JSON.stringify({ isthmus: "store", format: FORMAT })}\n`;
      for (const table of TABLES) {
        for (const [key, value] of engine.entries(table)) {
          if (table === "meta" && META_KEPT_BACK.includes(key)) continue;
          count++;
          counting?.(count, all);
          yield `${JSON.stringify([table, key, plain(value)])}\n`;
        }
      }
    }
    await pipeline(lines, createWriteStream(path, { mode: 0o600 }));
    return count;
  });
}

/** Reads an export into a store that is empty; resolves to how many records came in. Older formats are migrated. */
export async function importStore(options: StoreOptions, path: string, counting?: Counting): Promise<number> {
  const [count, format] = await withStore(options, async (engine) => {
    for (const table of TABLES) {
      if (table !== "meta" && engine.count(table) > 0) {
        throw new StoreError(
          "store-not-empty",
          `${options.folder} holds records; import into a new data folder`,
        );
      }
    }
    return readInto(engine, path, counting);
  });
  // A file of an older format is migrated as a store of that format is: when it is opened.
  if (format !== FORMAT) await storeStats(options);
  return count;
}

async function readInto(
  engine: DiskEngine,
  path: string,
  counting?: Counting,
): Promise<readonly [count: number, format: number]> {
  let format: number | undefined;
  let line = 0;
  let count = 0;
  let batch: Change[] = [];
  for await (const text of createInterface({
    input: createReadStream(path),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    line++;
    const record = parseLine(text, path, line);
    if (format === undefined) {
      const header = record as { isthmus?: unknown; format?: unknown };
      if (header.isthmus !== "store" || typeof header.format !== "number" || header.format > FORMAT) {
        throw new StoreError(
          "store-import",
          `${path} is no export that this version (format ${FORMAT}) reads`,
        );
      }
      format = header.format;
      continue;
    }
    const [table, key, value] = record as [Table, Key, unknown];
    if (!TABLES.includes(table))
      throw new StoreError("store-import", `${path}:${line}: no table ${String(table)}`);
    const restored = revived(value);
    batch.push({ table, key, value: () => restored });
    count++;
    if (batch.length >= BATCH) {
      await engine.commit(batch);
      batch = [];
      counting?.(count, 0);
    }
  }
  if (format === undefined) throw new StoreError("store-import", `${path} is empty`);
  const version = format;
  await engine.commit([...batch, { table: "meta", key: "format", value: () => version }]);
  return [count, version];
}

function parseLine(text: string, path: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new StoreError("store-import", `${path}:${line}: not JSON; the file is damaged`);
  }
}

/** JSON for what JSON cannot say: bytes and `Infinity`. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (value === Number.POSITIVE_INFINITY) return { $number: "Infinity" };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}

function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived);
  if (typeof value !== "object" || value === null) return value;
  const { $bytes, $number } = value as { $bytes?: unknown; $number?: unknown };
  if (typeof $bytes === "string") return new Uint8Array(Buffer.from($bytes, "base64"));
  if ($number === "Infinity") return Number.POSITIVE_INFINITY;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, revived(part)]));
}
