import { describe, expect, it } from "vitest";
import { type Key, TABLES, type Table } from "#core/session/store.ts";
import { decodeKey, encodeKey } from "#core/store/codec/key.ts";
import { decodeRecord, encodeRecord } from "#core/store/codec/record.ts";
import { ByteSink, decodeValue, encodeValue } from "#core/store/codec/value.ts";
import { fc } from "../../support/property.ts";

/** Text of every length and every character, those included that some coding gives a meaning to. */
const texts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.string({ unit: fc.constantFrom("\u0001", "\u0002", "\u0003", "\u0004", "\u001b", "a"), maxLength: 200 }),
  fc
    .tuple(
      fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 4 }),
      fc.nat({ max: 4000 }),
      fc.constantFrom("a", "ü", "/", "\u0001", "😀"),
    )
    .map(([head, count, rest]) => head + rest.repeat(count)),
  // Not well-formed Unicode.
  fc.array(fc.nat({ max: 0xffff }), { maxLength: 80 }).map((units) => String.fromCharCode(...units)),
);
const numbers = fc.oneof(fc.nat(), fc.maxSafeNat());
const keys: fc.Arbitrary<Key> = fc.oneof(texts, numbers, fc.tuple(numbers, fc.oneof(texts, numbers)));
const tables = fc.constantFrom<Table>(...TABLES);
const bytesOf = (table: Table, key: Key): Buffer => Buffer.from(encodeKey(table, key));

describe("keys in a store", () => {
  it("are what they were, whatever characters they hold and however long they are", () => {
    fc.assert(
      fc.property(tables, keys, (table, key) => {
        expect(decodeKey(bytesOf(table, key))).toEqual([table, key]);
      }),
      { numRuns: 3000 },
    );
  });

  it("that differ have different bytes, as for topics that begin alike behind U+0001", () => {
    const topics = [
      "",
      "a",
      "\u0001",
      "\u0001\u000c",
      "secret/data",
      "secret/data\u0001",
      "\ud800",
      "\ufffd",
    ];
    const all = topics.flatMap((topic) =>
      ["", "a".repeat(60), "a".repeat(70), "\u0000"].map((rest) => topic + rest),
    );
    const seen = new Map<string, Key>();
    for (const text of all) {
      for (const key of [text, [1, text], [256, text]] as Key[]) {
        const bytes = bytesOf("retained", key).toString("latin1");
        if (seen.has(bytes)) expect(seen.get(bytes)).toEqual(key);
        seen.set(bytes, key);
      }
    }
    expect(seen.size).toBe(new Set(all).size * 3);
  });

  it("sort as their numbers do", () => {
    fc.assert(
      fc.property(numbers, numbers, numbers, numbers, (a, b, c, d) => {
        const order = Buffer.compare(bytesOf("queue", [a, b]), bytesOf("queue", [c, d]));
        expect(order).toBe(Math.sign(a === c ? b - d : a - c));
      }),
    );
  });

  it("of any other bytes are refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        let read: readonly [Table, Key];
        try {
          read = decodeKey(bytes);
        } catch (error) {
          expect((error as Error).message).toMatch(/^not a key/);
          return;
        }
        expect(TABLES).toContain(read[0]);
      }),
      { numRuns: 2000 },
    );
  });
});

const values = fc.anything({
  values: [
    ...[texts, fc.double(), fc.integer(), fc.maxSafeInteger(), fc.boolean()],
    ...[fc.constant(undefined), fc.constant(null), fc.uint8Array({ maxLength: 300 }), fc.constant(-0)],
  ],
  key: texts,
  maxDepth: 6,
});

const encoded = (value: unknown): Buffer => {
  const sink = new ByteSink(16);
  encodeValue(sink, value);
  return sink.bytes.subarray(0, sink.length);
};

describe("values in a store", () => {
  it("are what they were", () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(decodeValue(encoded(value))).toEqual(value);
      }),
      { numRuns: 2000 },
    );
  });

  it("cut off or changed are refused or read as another value, and never more than that", () => {
    fc.assert(
      fc.property(values, fc.nat(), fc.nat({ max: 255 }), (value, place, byte) => {
        const bytes = encoded(value);
        const at = place % bytes.length;
        if (bytes.length > 1) expect(() => decodeValue(bytes.subarray(0, at))).toThrow(/^not a value|bounds/);
        bytes[at] = byte;
        try {
          decodeValue(bytes);
        } catch (error) {
          expect((error as Error).message).toMatch(/^not a value|bounds/);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("nested without end are refused, written or read", () => {
    let nested: unknown = 1;
    for (let depth = 0; depth < 20_000; depth++) nested = [nested];
    expect(() => encoded(nested)).toThrow(TypeError);
    expect(() => decodeValue(Buffer.alloc(20_000, 0x21))).toThrow(/nested too deep/);
  });

  it("that are none are refused", () => {
    for (const value of [() => 1, Symbol("s"), 1n]) expect(() => encoded([value])).toThrow(TypeError);
  });
});

describe("a record", () => {
  it("with any byte changed is known to be damaged", () => {
    fc.assert(
      fc.property(keys, values, fc.nat(), fc.integer({ min: 1, max: 255 }), (key, value, place, change) => {
        const stored = bytesOf("retained", key);
        const record = encodeRecord(stored, undefined, value);
        expect(decodeRecord(stored, record)).toEqual(["retained", key, value]);
        record[place % record.length]! ^= change;
        expect(() => decodeRecord(stored, record)).toThrow(/checksum/);
      }),
    );
  });
});
