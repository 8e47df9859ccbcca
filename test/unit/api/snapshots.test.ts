import fc from "fast-check";
import { expect, test } from "vitest";
import { compareValues } from "#core/api/lists.ts";
import { type Keyed, Snapshots } from "#core/api/snapshots.ts";

function* walk(rows: readonly Keyed[]): Generator<Keyed | undefined> {
  for (const row of rows) {
    yield row;
    if (row.number % 7 === 0) yield undefined;
  }
}

const value = fc.option(fc.oneof(fc.integer({ min: 0, max: 50 })), { nil: undefined });

test("a snapshot has every row once, in order, what has no value last, and equals in the order of their coming", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 2_000 }), fc.boolean(), async (values, descending) => {
      const rows = values.map((value, number): Keyed => ({ number, value }));
      const { numbers } = await new Snapshots().make("x", () => walk(rows), descending);
      const order = descending ? -1 : 1;
      const wanted = [...rows].sort((a, b) =>
        a.value === undefined || b.value === undefined
          ? compareValues(a.value, b.value) || a.number - b.number
          : order * compareValues(a.value, b.value) || a.number - b.number,
      );
      expect([...numbers]).toEqual(wanted.map(({ number }) => number));
    }),
    { numRuns: 30 },
  );
});

test("who asks for the same within seconds shares one, a minute later its cursors are gone, and eight are kept", async () => {
  let now = 0;
  let built = 0;
  const snapshots = new Snapshots(() => now);
  const make = (key: string) =>
    snapshots.make(
      key,
      () => {
        built++;
        return walk([{ number: 1, value: 1 }]);
      },
      false,
    );
  const [first, second] = await Promise.all([make("a"), make("a")]);
  expect([first.id, built]).toEqual([second.id, 1]);
  now = 4_000;
  expect((await make("a")).id).toBe(first.id);
  now = 6_000;
  expect((await make("a")).id).not.toBe(first.id);
  expect(snapshots.find(first.id).id).toBe(first.id);
  for (let index = 0; index < 8; index++) await make(`other ${index}`);
  expect(() => snapshots.find(first.id)).toThrow("no longer kept");
  const last = await make("last");
  now += 61_000;
  expect(() => snapshots.find(last.id)).toThrow("no longer kept");
});

test("100,000 rows are sorted in slices: others have hundreds of turns meanwhile", async () => {
  let turns = 0;
  let going = true;
  const count = (): void => {
    turns++;
    if (going) setImmediate(count);
  };
  setImmediate(count);
  const rows = Array.from(
    { length: 100_000 },
    (_, number): Keyed => ({ number, value: (number * 7_919) % 100_003 }),
  );
  const { numbers } = await new Snapshots().make("x", () => walk(rows), false);
  going = false;
  expect(numbers).toHaveLength(100_000);
  expect(turns).toBeGreaterThan(300);
});
