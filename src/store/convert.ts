/** Makes a store of one kind of a store of the other. Interrupted at any moment, it loses nothing and can go on. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TABLES } from "../session/store.ts";
import type { Change, DiskEngine, EngineOptions } from "./engine.ts";
import { CONVERTING, FORMER, filesOf, KIND_NAMES, type KindName, kindIn, openKind } from "./kinds.ts";
import { FORMAT_KEY } from "./migrations.ts";
import { StoreError } from "./store-error.ts";

/** Records written in one commit. */
const BATCH = 1000;

/** Resolves to the number of records. */
export async function convertStore(options: EngineOptions, to: KindName): Promise<number> {
  const { folder } = options;
  const [made, former] = [join(folder, CONVERTING), join(folder, FORMER)];
  if (existsSync(former)) {
    const kind = KIND_NAMES.find(
      (name) => filesOf(name, made).length > 0 || filesOf(name, folder).length > 0,
    );
    if (kind !== undefined) return finish(options, kind);
  }
  const from = kindIn(folder);
  if (from === undefined) throw new StoreError("store-empty", `${folder} holds no store`);
  if (from === to) throw new StoreError("store-kind", `${folder} holds a store of the kind ${to} already`);
  rmSync(made, { recursive: true, force: true });
  const source = await openKind(from, options);
  try {
    const target = await openKind(to, { ...options, folder: made });
    await copy(source, target).finally(() => target.close());
  } finally {
    await source.close();
  }
  // From here on the new one is whole, and what is left to do is done again by whoever comes next.
  mkdirSync(former);
  for (const name of filesOf(from, folder)) renameSync(join(folder, name), join(former, name));
  return finish(options, to);
}

async function finish(options: EngineOptions, to: KindName): Promise<number> {
  const { folder } = options;
  const made = join(folder, CONVERTING);
  for (const name of filesOf(to, made)) renameSync(join(made, name), join(folder, name));
  rmSync(made, { recursive: true, force: true });
  rmSync(join(folder, "isthmus.mdb-lock"), { force: true });
  const engine = await openKind(to, options);
  const records = TABLES.reduce((sum, table) => sum + engine.count(table), 0);
  await engine.close();
  rmSync(join(folder, FORMER), { recursive: true, force: true });
  return records;
}

async function copy(source: DiskEngine, target: DiskEngine): Promise<void> {
  let batch: Change[] = [];
  for (const table of TABLES) {
    for (const [key, value] of source.entries(table)) {
      if (table === "meta" && key === FORMAT_KEY) continue;
      batch.push({ table, key, value: () => value });
      if (batch.length < BATCH) continue;
      await target.commit(batch);
      batch = [];
    }
  }
  await target.commit(batch);
}
