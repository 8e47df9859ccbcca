/** The log by itself: what damage costs, what a full disk does, how long it gets. */
import { describe, expect, it } from "vitest";
import type { Key } from "#core/session/store.ts";
import type { Change, Damage } from "#core/store/engine.ts";
import { LogEngine } from "#core/store/log/engine.ts";
import { KeyIndex } from "#core/store/log/key-index.ts";
import { fc } from "../../support/property.ts";
import { mulberry32 } from "../../support/random.ts";
import { SimulatedDisk } from "../../support/simulated-disk.ts";

const SEGMENT = 16_384;
const put = (key: Key, value: unknown): Change => ({ table: "message", key, value: () => value });
const remove = (key: Key): Change => ({ table: "message", key, value: undefined });

async function open(disk: SimulatedDisk, damages: Damage[] = []): Promise<LogEngine> {
  const damaged = (damage: Damage): void => void damages.push(damage);
  return LogEngine.on(disk, { folder: "simulated", sync: true, sizeMax: 1e9, segmentSize: SEGMENT, damaged });
}
const newDisk = (segments = 1000): SimulatedDisk => {
  const disk = new SimulatedDisk(mulberry32(1));
  disk.size = segments * SEGMENT;
  return disk;
};
const keysOf = (engine: LogEngine): Key[] => [...engine.entries("message")].map(([key]) => key);
const bytesOf = ({ files }: SimulatedDisk): number =>
  [...files.values()].reduce((sum, { length }) => sum + length, 0);

describe("a log", () => {
  it("with a sector spoilt loses what lay there, says so, and has everything before and behind", async () => {
    const disk = newDisk();
    const engine = await open(disk);
    for (let key = 0; key < 60; key++) await engine.commit([put(key, `value ${key} ${"x".repeat(500)}`)]);
    const [file] = [...disk.files.values()];
    const at = file!.indexOf("value 10 ");
    file!.fill(0xee, at, at + 300);
    const damages: Damage[] = [];
    const next = await open(disk.survive(), damages);
    expect(keysOf(next)).toEqual(Array.from({ length: 60 }, (_, key) => key).filter((key) => key !== 10));
    expect(damages.map(({ problem }) => problem)).toEqual([
      expect.stringMatching(/^bytes \d+ to \d+ of log file 1 are damaged$/),
    ]);
    await next.commit([put(100, 1)]);
    expect(next.count("aside")).toBe(1);
  });

  it("of any bytes changed anywhere opens, has no record that was not written, and says what is missing", async () => {
    const disk = newDisk();
    const engine = await open(disk);
    for (let key = 0; key < 40; key++) {
      await engine.commit([
        put(key, "v".repeat(600)),
        put(1000 + key, "w"),
        ...(key > 5 ? [remove(key - 5)] : []),
      ]);
    }
    const sound = new Map(engine.entries("message"));
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 4 }),
        fc.nat(),
        fc.nat({ max: 700 }),
        fc.nat({ max: 255 }),
        async (which, place, length, byte) => {
          const spoilt = disk.survive();
          const file = [...spoilt.files.values()][which % spoilt.files.size]!;
          const from = 64 + (place % (file.length - 64));
          file.fill(byte, from, Math.min(file.length, from + length));
          const damages: Damage[] = [];
          const found = new Map((await open(spoilt, damages)).entries("message"));
          for (const value of found.values()) expect(["v".repeat(600), "w"]).toContain(value);
          const lost = [...sound.keys()].filter((key) => !found.has(key));
          // Where nothing sound comes behind, nobody can tell what was damaged from what was never finished.
          if (lost.some((key) => (key as number) % 1000 < 36)) expect(damages).not.toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("whose file is none of its own is refused, and left alone", async () => {
    const disk = newDisk();
    disk.files.set(1, Buffer.alloc(SEGMENT, "this is no log"));
    await expect(open(disk)).rejects.toThrow(/file 1 is no log, or damaged/);
    expect(disk.files.get(1)!.equals(Buffer.alloc(SEGMENT, "this is no log"))).toBe(true);
  });

  it("does not get longer than twice what counts in it and some segments, whatever is written", async () => {
    const disk = newDisk();
    const engine = await open(disk);
    const random = mulberry32(2);
    for (let key = 0; key < 100; key++) await engine.commit([put(10_000 + key, "still".repeat(100))]);
    for (let round = 0; round < 3000; round++) {
      await engine.commit([put(Math.floor(random() * 50), "y".repeat(400))]);
    }
    expect(engine.used()).toBeGreaterThan(70_000);
    expect(bytesOf(disk)).toBeLessThan(2 * engine.used() + 12 * SEGMENT);
    expect(keysOf(await open(disk.survive()))).toHaveLength(150);
  });

  it("takes values larger than a segment", async () => {
    const disk = newDisk();
    const engine = await open(disk);
    await engine.commit([put(1, "z".repeat(5 * SEGMENT)), put(2, "small")]);
    expect(new Map((await open(disk.survive())).entries("message")).get(1)).toHaveLength(5 * SEGMENT);
  });

  it("is compacted to what counts, and goes on from there", async () => {
    const disk = newDisk();
    const engine = await open(disk);
    for (let key = 0; key < 200; key++) await engine.commit([put(key, "v".repeat(500))]);
    await engine.commit(Array.from({ length: 190 }, (_, key) => remove(key)));
    await engine.compact();
    expect(bytesOf(disk)).toBeLessThan(2 * SEGMENT);
    const next = await open(disk.survive());
    expect(keysOf(next)).toEqual([190, 191, 192, 193, 194, 195, 196, 197, 198, 199]);
    await next.commit([put(1, "again")]);
    expect(keysOf(next)).toHaveLength(11);
  });
});

describe("a log on a full disk", () => {
  const fill = async (engine: LogEngine): Promise<number> => {
    for (let key = 0; ; key++) {
      try {
        await engine.commit([put(key, "v".repeat(500))]);
      } catch (error) {
        expect(error).toMatchObject({ code: "disk-full" });
        return key;
      }
    }
  };

  it("refuses what it has no room for before it writes anything, and never loses what it has taken", async () => {
    const disk = newDisk(10);
    let failed = 0;
    const engine = await open(disk);
    const count = await fill(engine);
    expect(count).toBeGreaterThan(100);
    disk.fate = () => {
      failed++;
      return "done";
    };
    await expect(engine.commit([put(9999, "v".repeat(500))])).rejects.toMatchObject({ code: "disk-full" });
    expect(failed).toBe(0);
    expect(keysOf(await open(disk.survive()))).toHaveLength(count);
  });

  it.each(["oldest", "newest", "any"])(
    "is drained by removals, the %s first, and takes records again",
    async (first) => {
      const disk = newDisk(10);
      const engine = await open(disk);
      const keys = Array.from({ length: await fill(engine) }, (_, key) => key);
      const random = mulberry32(3);
      const order =
        first === "oldest"
          ? keys
          : first === "newest"
            ? keys.toReversed()
            : keys.toSorted(() => random() - 0.5);
      for (const key of order) await engine.commit([remove(key)]);
      expect(keysOf(engine)).toEqual([]);
      // Of ten segments two stay in reserve, and one and a half with what counts no more is not worth cleaning.
      expect(await fill(engine)).toBeGreaterThan(keys.length * 0.6);
      expect(keysOf(await open(disk.survive())).length).toBeGreaterThan(keys.length * 0.6);
    },
  );

  it("makes the removals of a commit whose records it refuses", async () => {
    const disk = newDisk(10);
    const engine = await open(disk);
    await fill(engine);
    await expect(engine.commit([remove(3), put(9999, "v".repeat(500))])).rejects.toMatchObject({
      code: "disk-full",
    });
    expect(keysOf(engine)).not.toContain(3);
  });

  it("recovers when others free room, is compacted when they do not, and opens either way", async () => {
    const disk = newDisk(10);
    const engine = await open(disk);
    const count = await fill(engine);
    for (let key = 0; key < count; key += 2) await engine.commit([remove(key)]);
    const again = await open(disk.survive());
    await again.compact();
    const more = disk.survive();
    more.size = 20 * SEGMENT;
    const next = await open(more);
    await next.commit([put(9999, "v".repeat(500))]);
    expect(keysOf(next)).toContain(9999);
  });
});

describe("the index of a log", () => {
  it("finds each key's newest entry among all others, as a map does", () => {
    const operations = fc.array(
      fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 3 }), fc.boolean(), fc.nat({ max: 1e6 })),
      {
        maxLength: 4000,
        size: "max",
      },
    );
    fc.assert(
      fc.property(operations, (list) => {
        const index = new KeyIndex(Buffer.alloc(8));
        const map = new Map<string, number>();
        for (const [key, deletes, offset] of list) {
          const name = Buffer.from(key).toString("hex");
          if (deletes) expect(index.delete(key, 0, key.length)).toBe(map.delete(name));
          else {
            expect(index.set(key, 0, key.length, 1, offset, 5)).toBe(map.has(name));
            map.set(name, offset);
          }
        }
        expect(index.size).toBe(map.size);
        for (const [name, offset] of map) {
          const key = Buffer.from(name, "hex");
          expect(index.find(key, 0, key.length)).toBe(true);
          expect(index.offset).toBe(offset);
        }
      }),
      { numRuns: 60 },
    );
  });
});
