import { getHeapStatistics } from "node:v8";
import { describe, expect, it, vi } from "vitest";
import { collectInSteps, type HeapBytes, Rest } from "#core/heap.ts";

const MB = 1024 * 1024;
const PASSED = 10_000;
const megabytes = (used: number, taken: number): HeapBytes => ({ used: used * MB, taken: taken * MB });

describe("what a rush has left in the heap", () => {
  it("is collected when the process has come to rest, and not while it works", () => {
    const rest = new Rest(megabytes(50, 60), 0);
    expect(rest.look(megabytes(600, 700), 9_000, PASSED)).toBe(false);
    expect(rest.look(megabytes(600, 700), 18_000, PASSED)).toBe(false);
    expect(rest.look(megabytes(600, 700), 18_500, PASSED)).toBe(true);
  });

  it("is left where it is not worth a collection", () => {
    const small = new Rest(megabytes(50, 60), 0);
    expect(small.look(megabytes(60, 91), 0, PASSED)).toBe(false);
    expect(small.look(megabytes(60, 93), 0, PASSED)).toBe(true);
    const large = new Rest(megabytes(900, 1000), 0);
    expect(large.look(megabytes(1400, 1490), 0, PASSED)).toBe(false);
    expect(large.look(megabytes(1400, 1510), 0, PASSED)).toBe(true);
  });

  it("is collected three times at most, while pages are held that are mostly empty", () => {
    const rest = new Rest(megabytes(50, 60), 0);
    expect(rest.look(megabytes(600, 700), 0, PASSED)).toBe(true);
    expect(rest.look(megabytes(60, 600), 0, PASSED)).toBe(true);
    expect(rest.look(megabytes(60, 500), 0, PASSED)).toBe(true);
    expect(rest.look(megabytes(60, 400), 0, PASSED)).toBe(false);
    expect(rest.look(megabytes(60, 400), 0, PASSED)).toBe(false);
    const dense = new Rest(megabytes(50, 60), 0);
    expect(dense.look(megabytes(600, 700), 0, PASSED)).toBe(true);
    expect(dense.look(megabytes(60, 80), 0, PASSED)).toBe(false);
  });

  it("is not looked for again in what a collection found alive", () => {
    const rest = new Rest(megabytes(50, 60), 0);
    expect(rest.look(megabytes(480, 500), 0, PASSED)).toBe(true);
    expect(rest.look(megabytes(470, 490), 0, PASSED)).toBe(false);
    expect(rest.look(megabytes(480, 500), 0, PASSED)).toBe(false);
    expect(rest.look(megabytes(720, 740), 0, PASSED)).toBe(true);
  });

  it("is given back by V8 when it is told to collect in steps", async () => {
    const used = () => getHeapStatistics().used_heap_size;
    let garbage: object[] | undefined = Array.from({ length: 1_000_000 }, (_, n) => ({ n, of: [n] }));
    const full = used();
    expect(garbage.length).toBe(1_000_000);
    garbage = undefined;
    collectInSteps();
    await vi.waitFor(() => expect(used()).toBeLessThan(full - 50 * MB), { timeout: 10_000 });
  });
});
