import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open as openLmdb } from "lmdb";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Key, Table } from "#core/session/store.ts";
import { LmdbEngine, type LmdbOptions } from "#core/store/lmdb/engine.ts";
import {
  compactStore,
  exportStore,
  importStore,
  type StoreOptions,
  storeStats,
} from "#core/store/maintenance.ts";
import type { Migration } from "#core/store/migrations.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "isthmus-format-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const options = (more: Partial<LmdbOptions> = {}): LmdbOptions & StoreOptions => ({
  engine: "lmdb",
  ...{ folder: join(folder, "data"), sync: true, sizeMax: 1e9 },
  ...more,
});

async function fill(engine: LmdbEngine, count = 10): Promise<void> {
  await engine.commit(
    Array.from({ length: count }, (_, key) => ({
      table: "message" as const,
      key,
      value: () => ["t", new Uint8Array([key, 255]), Number.POSITIVE_INFINITY, { nested: [undefined, null] }],
    })),
  );
}

describe("the format of a store", () => {
  it("of an earlier version is taken up step by step, each step as one commit", async () => {
    const old = await LmdbEngine.open(options({ format: 1 }));
    await old.commit([{ table: "ban", key: "a", value: () => 1 }]);
    await old.close();
    const add = (step: number): Migration =>
      function* (entries) {
        for (const [key, value] of entries("ban")) {
          yield { table: "ban", key, value: () => `${String(value)},${step}` };
        }
        if (step === 2) yield { table: "ban", key: "new", value: () => "made" };
      };
    const migrations = new Map([
      [1, add(1)],
      [2, add(2)],
    ]);
    for (let opening = 0; opening < 2; opening++) {
      const engine = await LmdbEngine.open(options({ format: 3, migrations }));
      expect([...engine.entries("ban")]).toEqual([
        ["a", "1,1,2"],
        ["new", "made"],
      ]);
      await engine.close();
    }
  });

  it("of a later version, or without a way from it, is refused and left alone", async () => {
    await (await LmdbEngine.open(options({ format: 9 }))).close();
    await expect(LmdbEngine.open(options())).rejects.toMatchObject({ code: "store-format" });
    await expect(LmdbEngine.open(options({ format: 10 }))).rejects.toMatchObject({ code: "store-format" });
    await (await LmdbEngine.open(options({ format: 9 }))).close();
  });
});

describe("maintenance", () => {
  it("exports and imports every kind of value", async () => {
    const engine = await LmdbEngine.open(options());
    await fill(engine);
    const long = "long/".repeat(1000);
    await engine.commit([{ table: "subscription", key: [4, long], value: () => ({ qos: 1 }) }]);
    await engine.close();
    const file = join(folder, "export.jsonl");
    expect(await exportStore(options(), file)).toBe(11);
    const other = options({ folder: join(folder, "other") });
    expect(await importStore(other, file)).toBe(11);
    const read = await LmdbEngine.open(other);
    const messages = [...read.entries("message")] as [number, [string, Uint8Array, number, unknown]][];
    expect(messages.map(([key, [, bytes]]) => [key, ...bytes])).toEqual(
      Array.from({ length: 10 }, (_, key) => [key, key, 255]),
    );
    expect(messages[0]?.[1][2]).toBe(Number.POSITIVE_INFINITY);
    expect([...read.entries("subscription")]).toEqual([[[4, long], { qos: 1 }]]);
    await read.close();
    await expect(importStore(other, file)).rejects.toMatchObject({ code: "store-not-empty" });
  });

  it("compacts, and keeps what there is", async () => {
    const engine = await LmdbEngine.open(options());
    await fill(engine, 20_000);
    const removals = Array.from({ length: 19_990 }, (_, key) => ({
      ...{ table: "message" as const, key, value: undefined },
    }));
    await engine.commit(removals);
    await engine.close();
    const [before, after] = await compactStore(options());
    expect(after).toBeLessThan(before / 4);
    expect((await storeStats(options())).records.get("message")).toBe(10);
  });

  it("frees room by removals when the store is full, and takes records again", async () => {
    const engine = await LmdbEngine.open(options({ sizeMax: 1 << 20 }));
    const put = (key: number) =>
      engine.commit([{ table: "message", key, value: () => new Uint8Array(50_000) }]);
    let key = 0;
    await expect(
      (async () => {
        for (; key < 100; key++) await put(key);
      })(),
    ).rejects.toMatchObject({ code: "store-full" });
    const mixed = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((gone) => ({
      ...{ table: "message" as const, key: gone, value: undefined },
    }));
    await expect(
      engine.commit([...mixed, { table: "message", key: 1000, value: () => 1 }]),
    ).rejects.toMatchObject({ code: "store-full" });
    await put(1000);
    expect(engine.count("message")).toBe(key - 10 + 1);
    await engine.close();
  });
});

/** A file as versions before format 3 have written it. */
async function formerFile(records: readonly (readonly [Table, Key, unknown])[]): Promise<void> {
  mkdirSync(join(folder, "data"));
  const root = openLmdb({ path: join(folder, "data", "isthmus.mdb"), maxDbs: 10 });
  const database = (name: Table) => root.openDB<unknown, Key>({ name, encoding: "msgpack" });
  for (const [table, key, v] of [...records, ["meta", "format", 2] as const])
    await database(table).put(key, { v });
  await root.close();
}

describe("a store of formats 1 and 2", () => {
  const message = (topic: string) => [topic, new Uint8Array([1]), 1, true, 5, -1, "", undefined];

  it("is taken up with all its records, and refused by the versions that wrote it from then on", async () => {
    const long = `long/${"ü/".repeat(40)}`;
    const session = {
      gateway: "mqtt",
      clientId: "c",
      expiry: Number.POSITIVE_INFINITY,
      memo: [null, undefined],
    };
    await formerFile([
      ["session", 3, session],
      ["subscription", [3, "a/#"], { qos: 1 }],
      ["subscription", [3, long], { qos: 2 }],
      ["retained", "t", message("t")],
      ["queue", [3, 300], [message("t"), 0, 0, 1, false, [], undefined]],
    ]);
    const engine = await LmdbEngine.open(options());
    expect([...engine.entries("session")]).toEqual([[3, session]]);
    expect([...engine.entries("subscription")]).toEqual([
      [[3, "a/#"], { qos: 1 }],
      [[3, long], { qos: 2 }],
    ]);
    expect([...engine.entries("queue")].map(([key]) => key)).toEqual([[3, 300]]);
    expect([...engine.entries("retained")]).toEqual([["t", message("t")]]);
    await engine.close();
    const root = openLmdb({ path: join(folder, "data", "isthmus.mdb"), maxDbs: 12 });
    expect(root.openDB<unknown, string>({ name: "meta", encoding: "msgpack" }).get("format")).toEqual({
      v: 3,
    });
    expect([...root.getKeys()].sort()).toEqual(["meta", "records"]);
    await root.close();
  });

  it("is taken up although a topic broke its keys, and the filter that a client asked for comes back as itself", async () => {
    const topic = `\u0001\u000c${"a".repeat(70)}`;
    const filter = `secret/data\u0001${"a".repeat(60)}`;
    await formerFile([
      ["retained", topic, message(topic)],
      ["retained", "t", message("t")],
      ["subscription", [3, filter], { qos: 1 }],
    ]);
    const engine = await LmdbEngine.open(options());
    expect(new Map(engine.entries("retained") as Iterable<[string, unknown]>)).toEqual(
      new Map([
        [topic, message(topic)],
        ["t", message("t")],
      ]),
    );
    expect([...engine.entries("subscription")]).toEqual([[[3, filter], { qos: 1 }]]);
    await engine.close();
  });
});
