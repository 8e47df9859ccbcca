import { expect, it } from "vitest";
import { lengthIn, stretchesOf } from "../../../src/dashboard/lib/stretches.ts";

const MINUTE = 60_000;
const START = Date.UTC(2027, 0, 4);

it("neighbours in one state are one stretch, and what is not known is a stretch of its own (D-054)", () => {
  const stretches = stretchesOf({
    ...{ step: 60, from: new Date(START).toISOString() },
    states: [null, "awake", "awake", "asleep", null, "asleep", "overdue"],
  });
  expect(
    stretches.map(({ state, from, to }) => [state, (from - START) / MINUTE, (to - START) / MINUTE]),
  ).toEqual([
    [null, 0, 1],
    ["awake", 1, 3],
    ["asleep", 3, 4],
    [null, 4, 5],
    ["asleep", 5, 6],
    ["overdue", 6, 7],
  ]);
  expect(lengthIn(stretches, "asleep")).toBe(2 * MINUTE);
});

it("nothing is no stretch", () => {
  expect(stretchesOf({ step: 60, from: new Date(START).toISOString(), states: [] })).toEqual([]);
});
