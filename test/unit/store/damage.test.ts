/** A file that a disk, a copy or an operator has spoilt: said in one line, and never by the end of the process. */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Key, Table } from "#core/session/store.ts";
import type { AsideRecord } from "#core/store/aside.ts";
import type { Damage } from "#core/store/engine.ts";
import { LmdbEngine } from "#core/store/lmdb/engine.ts";
import { checkStore, exportStore, importStore } from "#core/store/maintenance.ts";
import { mulberry32 } from "../../support/random.ts";

const PAGE = 4096;
const RECORDS = 1500;
const folder = mkdtempSync(join(tmpdir(), "isthmus-damage-"));
const sound = join(folder, "sound.mdb");
const spoilt = join(folder, "data", "isthmus.mdb");
const random = mulberry32(4711);
const pick = (below: number): number => Math.floor(random() * below);

let reported: string[] = [];
const damaged = ({ problem }: Damage): void => void reported.push(problem);
const open = (): Promise<LmdbEngine> =>
  LmdbEngine.open({ folder: join(folder, "data"), sync: true, sizeMax: 1e9, damaged });

beforeAll(async () => {
  const engine = await open();
  // Several commits, so that some pages are free, and values that take pages of their own.
  for (let round = 0; round < 3; round++) {
    await engine.commit(
      Array.from({ length: RECORDS }, (_, key) => ({
        ...{ table: "retained" as const, key: `site/${key % 7}/device/${key}` },
        value: () => new Uint8Array(key % 100 === 0 ? 10_000 : 50).fill(round),
      })),
    );
  }
  const size = engine.size();
  await engine.close();
  copyFileSync(spoilt, sound);
  // What is kept ahead holds nothing.
  truncateSync(sound, size);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function entriesOf(table: Table): Promise<(readonly [Key, unknown])[]> {
  const engine = await open();
  const entries = [...engine.entries(table)];
  await engine.close();
  return entries;
}

/** Opens a spoilt copy; resolves to what was said, or to how many records there are, the reported ones included. */
async function opened(spoil: (bytes: Buffer) => Buffer | undefined): Promise<string | number> {
  const bytes = spoil(readFileSync(sound)) ?? Buffer.alloc(0);
  rmSync(join(folder, "data"), { recursive: true, force: true });
  mkdirSync(join(folder, "data"));
  writeFileSync(spoilt, bytes);
  try {
    const engine = await open();
    reported = [];
    const count = [...engine.entries("retained")].length;
    await engine.close();
    return count + reported.length;
  } catch (error) {
    expect(error).toMatchObject({ code: "store-failed" });
    expect(readFileSync(spoilt).equals(bytes), "the file is left alone").toBe(true);
    return (error as Error).message;
  }
}

describe("a store file", () => {
  it("that is cut off anywhere is refused", { timeout: 30_000 }, async () => {
    const { length } = readFileSync(sound);
    for (let round = 0; round < 25; round++) {
      const said = await opened((bytes) => bytes.subarray(0, round === 0 ? 1 : 1 + pick(length - PAGE)));
      expect(said).toMatch(/ is (cut off|no store, or damaged|damaged)[:. ]/);
    }
  });

  it("with a page of garbage is refused, unless nothing is lost by it", { timeout: 30_000 }, async () => {
    const pages = readFileSync(sound).length / PAGE;
    let refused = 0;
    for (let page = 0; page < pages; page += 1 + pick(4)) {
      const said = await opened((bytes) => {
        for (let at = page * PAGE; at < (page + 1) * PAGE; at++) bytes[at] = pick(256);
        return bytes;
      });
      if (typeof said === "string") refused++;
      else expect(said, `page ${page}`).toBe(RECORDS);
      if (typeof said === "string") expect(said).toMatch(/ is (no store|damaged)|cannot be read/);
    }
    expect(refused).toBeGreaterThan(10);
  });

  it("whose pages have changed places is refused", { timeout: 30_000 }, async () => {
    const pages = readFileSync(sound).length / PAGE;
    for (let round = 0; round < 20; round++) {
      const [from, to] = [2 + pick(pages - 2), 2 + pick(pages - 2)];
      const said = await opened((bytes) => {
        bytes.copy(bytes, to * PAGE, from * PAGE, (from + 1) * PAGE);
        return bytes;
      });
      if (typeof said === "number") expect(said, `${from} to ${to}`).toBe(RECORDS);
      else expect(said).toMatch(/ is damaged: page \d+/);
    }
  });

  it("with single bytes changed never ends the process", { timeout: 30_000 }, async () => {
    for (let round = 0; round < 60; round++) {
      await opened((bytes) => {
        // Most in the heads of pages, where the structure is.
        const page = pick(bytes.length / PAGE) * PAGE;
        for (let change = 0; change < 4; change++) bytes[page + pick(change < 3 ? 64 : PAGE)] = pick(256);
        return bytes;
      });
    }
  });

  it("with a byte changed within a value has one record less, which is said, and stands aside from the next commit on", async () => {
    expect(
      await opened((bytes) => {
        const at = bytes.indexOf(Buffer.from(new Uint8Array(40).fill(2)));
        bytes[at + 5] = 77;
        return bytes;
      }),
    ).toBe(RECORDS);
    expect(reported).toEqual(["its checksum is wrong"]);
    const options = { engine: "lmdb", folder: join(folder, "data"), sync: true, sizeMax: 1e9 } as const;
    const [problem] = (await checkStore(options)).problems;
    expect(problem).toBe("retained: a record cannot be read: its checksum is wrong");
    const engine = await open();
    expect([...engine.entries("retained")]).toHaveLength(RECORDS - 1);
    await engine.commit([{ table: "meta", key: "any", value: () => 1 }]);
    await engine.close();
    const checked = await checkStore(options);
    expect(checked.problems).toEqual(["1 records that could not be read stand aside"]);
    expect(checked.records.get("retained")).toBe(RECORDS - 1);
    const [[, aside]] = (await entriesOf("aside")) as [[string, AsideRecord]];
    expect(aside).toMatchObject({ table: "retained", problem: "its checksum is wrong" });
    expect(Buffer.from(aside.raw!).includes(77)).toBe(true);
  });

  it("that is damaged can be exported as far as it can be read", async () => {
    // The number of a page, which LMDB does not look at itself.
    const said = await opened((bytes) => {
      for (let page = 2; page * PAGE < bytes.length; page++) bytes[page * PAGE + 5] = 1;
      return bytes;
    });
    expect(said).toMatch(/is damaged: page \d+\. .* isthmus store export may save what can be read/);
    const file = join(folder, "saved.jsonl");
    const options = { engine: "lmdb", folder: join(folder, "data"), sync: true, sizeMax: 1e9 } as const;
    // Values on several pages of their own have lost a byte there.
    const large = RECORDS / 100;
    expect(await exportStore(options, file)).toBe(RECORDS - large);
    expect(await importStore({ ...options, folder: join(folder, "new") }, file)).toBe(RECORDS - large);
  });

  it("that is sound is opened, after any number of commits", { timeout: 30_000 }, async () => {
    expect(await opened((bytes) => bytes)).toBe(RECORDS);
    let engine = await open();
    for (let round = 0; round < 120; round++) {
      await engine.commit(
        Array.from({ length: pick(200) }, () => {
          const key = `site/${pick(9)}/device/${pick(3000)}`;
          const size = pick(10) === 0 ? pick(40_000) : pick(200);
          const value = pick(3) === 0 ? undefined : () => new Uint8Array(size);
          return { table: pick(2) === 0 ? "retained" : "ban", key, value } as const;
        }),
      );
      if (round % 10 > 0) continue;
      const count = [...engine.entries("retained")].length;
      await engine.close();
      engine = await open();
      expect([...engine.entries("retained")]).toHaveLength(count);
    }
    await engine.close();
  });
});
