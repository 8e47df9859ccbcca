import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { convertStore } from "#core/store/convert.ts";
import type { Change } from "#core/store/engine.ts";
import { KIND_NAMES, type KindName, openEngine } from "#core/store/kinds.ts";
import { compactStore } from "#core/store/maintenance.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-convert-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const options = () => ({ folder: join(folder, "data"), sync: false, sizeMax: 1e9 });
const changes: Change[] = Array.from({ length: 2500 }, (_, key) => ({
  ...{ table: key % 2 === 0 ? ("retained" as const) : ("queue" as const) },
  ...{ key: key % 2 === 0 ? `\u0001topic/${"x".repeat(key)}` : ([key, 1] as [number, number]) },
  value: () => [key, new Uint8Array([1, key & 255]), undefined, Number.POSITIVE_INFINITY],
}));

const contents = async () => {
  const engine = await openEngine("embedded", options());
  const all = [...engine.entries("retained"), ...engine.entries("queue")];
  await engine.close();
  return new Map(all.map(([key, value]) => [String(key), value]));
};
async function make(kind: KindName): Promise<Map<string, unknown>> {
  const engine = await openEngine(kind, options());
  await engine.commit(changes);
  await engine.close();
  return contents();
}

describe("a store", () => {
  it.each(KIND_NAMES)(
    "of the kind %s that is compacted takes no more on disk than its records and a little",
    async (kind) => {
      await make(kind);
      const engine = await openEngine(kind, options());
      await engine.commit(changes.slice(10).map(({ table, key }) => ({ table, key, value: undefined })));
      await engine.close();
      const [before, after] = await compactStore({ ...options(), engine: kind });
      const { folder: data } = options();
      const onDisk = readdirSync(data)
        .filter((name) => /\.(log|mdb)$/.test(name))
        .reduce((sum, name) => sum + statSync(join(data, name)).size, 0);
      expect(after).toBe(onDisk);
      expect(onDisk).toBeLessThan(200_000);
      expect(before).toBeGreaterThan(10 * onDisk);
      expect((await contents()).size).toBe(10);
    },
  );

  it.each([
    ["lmdb", "log"],
    ["log", "lmdb"],
  ] as const)("of the kind %s becomes one of the kind %s, with all that it holds", async (from, to) => {
    const before = await make(from);
    expect(before.size).toBe(2500);
    await expect(openEngine(to, options())).rejects.toMatchObject({ code: "store-kind" });
    expect(await convertStore(options(), to)).toBe(2501);
    expect(await contents()).toEqual(before);
    await expect(openEngine(from, options())).rejects.toMatchObject({ code: "store-kind" });
    await expect(convertStore(options(), to)).rejects.toMatchObject({ code: "store-kind" });
    expect(readdirSync(options().folder)).not.toContain("former");
  });

  it("whose conversion was interrupted is whole, and the conversion goes on", async () => {
    const before = await make("lmdb");
    const { folder: data } = options();
    // Before the new one is whole: begun anew.
    mkdirSync(join(data, "converting"));
    expect(await contents()).toEqual(before);
    await convertStore(options(), "log");
    // After: the files of the new one are half in their place.
    mkdirSync(join(data, "converting"));
    mkdirSync(join(data, "former"));
    const [first] = readdirSync(data).filter((name) => name.endsWith(".log"));
    renameSync(join(data, first!), join(data, "converting", first!));
    await expect(openEngine("embedded", options())).rejects.toMatchObject({ code: "store-kind" });
    await convertStore(options(), "log");
    expect(await contents()).toEqual(before);
    expect(existsSync(join(data, "former"))).toBe(false);
  });
});
