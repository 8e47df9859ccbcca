import { describe, expect, it } from "vitest";
import { bytes, count, length, rate, reading, span, UNKNOWN } from "../../../src/dashboard/lib/quantities.ts";

const S = 1_000;
const MIN = 60 * S;
const H = 60 * MIN;

describe("numbers are written as the whole dashboard writes them (D-122)", () => {
  it.each([
    [0, "0"],
    [12_345, "12,345"],
    [999_999, "999,999"],
    [1_234_567, "1.23 M"],
  ])("a count: %d is %s", (value, said) => expect(count(value)).toBe(said));

  it.each([
    [0, "0/s"],
    [1_204, "1,204/s"],
    [9.94, "9.9/s"],
    [10.4, "10/s"],
    [0.034, "2 a minute"],
    [0.001, "1 a minute"],
  ])("a rate: %d is %s", (value, said) => expect(rate(value)).toBe(said));

  it.each([
    [21, "21 B"],
    [1_023, "1,023 B"],
    [1_229, "1.2 KB"],
    [16 * 1_024 * 1_024, "16.0 MB"],
    [300 * 1_024, "300 KB"],
  ])("bytes, in steps of 1024: %d is %s", (value, said) => expect(bytes(value)).toBe(said));

  it.each([
    [-20.075, "-20.075"],
    [21.100000381469727, "21.1"],
    [0.00012, "0.00012"],
    [12_345_678.9, "12345678.9"],
  ])("what was measured, with all its digits and no noise: %d is %s", (value, said) =>
    expect(reading(value)).toBe(said),
  );

  it("what is not known is a dash, and never 0", () => {
    for (const said of [count, rate, bytes])
      expect([said(undefined), said(Number.NaN)]).toEqual([UNKNOWN, UNKNOWN]);
  });
});

describe("lengths of time (D-123)", () => {
  it.each([
    [400, "0.4 s"],
    [12.9 * S, "12 s"],
    [59.9 * S, "59 s"],
    [4 * MIN + 59 * S, "4 min"],
    [3 * H + 12 * MIN, "3 h 12 min"],
    [26 * H, "26 h"],
    [6 * 24 * H + 20 * H, "6 d 20 h"],
    [-5, "0.0 s"],
  ])("an age: %d ms is %s", (value, said) => expect(span(value)).toBe(said));

  it.each([
    [0.3, "0.3 ms"],
    [58, "58 ms"],
    [5 * S, "5.0 s"],
    [11 * MIN + 2.9 * S, "11 min 02 s"],
    [3 * H + 5 * MIN, "3 h 05 min"],
    [49 * H, "2 d 1 h"],
  ])("a duration: %d ms is %s", (value, said) => expect(length(value)).toBe(said));
});
