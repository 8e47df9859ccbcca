import { describe, expect, it } from "vitest";
import { copyOf, own } from "#core/lib/bytes.ts";

describe("bytes that are kept", () => {
  it("are a copy also when they come as a Buffer, whose own slice is a view", () => {
    const chunk = Buffer.alloc(64 * 1024, "a");
    const reading = chunk.subarray(10, 20);
    const kept = [copyOf(reading), own(reading)];
    chunk.fill("b");
    expect(kept.map((bytes) => Buffer.from(bytes).toString())).toEqual(["aaaaaaaaaa", "aaaaaaaaaa"]);
    expect(kept.map((bytes) => bytes.buffer.byteLength)).toEqual([10, 10]);
  });
});
