import { describe, expect, it } from "vitest";
import { type History, last, longer, most, strongest, sums } from "../../../src/dashboard/lib/points.ts";

const history = (times: number[], points: History["points"]): History => ({ times, points });

describe("a plot that goes on (D-101, D-102)", () => {
  const begun = history([10, 11], { in: [1, 2], out: [3, 4] });

  it("has one point more with each second, and no more than its window holds", () => {
    expect(longer(begun, 12_400, { in: 5, out: 6 }, 3)).toEqual(
      history([10, 11, 12], { in: [1, 2, 5], out: [3, 4, 6] }),
    );
    expect(longer(begun, 12_400, { in: 5, out: 6 }, 2)).toEqual(
      history([11, 12], { in: [2, 5], out: [4, 6] }),
    );
  });

  it("has a gap where nothing came for seconds, and where a number is not known", () => {
    expect(longer(begun, 20_000, { in: 5 }, 9)).toEqual(
      history([10, 11, 12, 20], { in: [1, 2, null, 5], out: [3, 4, null, null] }),
    );
    expect(longer(begun, 14_000, { in: 5, out: 6 }, 9).times).toEqual([10, 11, 14]);
  });

  it("takes no second twice, and none that is over", () => {
    expect(longer(begun, 11_900, { in: 9, out: 9 }, 9)).toEqual(begun);
    expect(longer(begun, 5_000, { in: 9, out: 9 }, 9)).toEqual(begun);
  });
});

describe("how often something was in a window", () => {
  it("is its rate times the seconds of a point, the most first; what is less than one is not there", () => {
    const tens = history([0, 10, 20], {
      "refused.forbidden": [0.25, null, 0.5],
      "refused.banned": [1, 1, 1],
      "refused.quota": [0.001, 0, 0],
      "lost.expired": [5, 5, 5],
    });
    expect(sums(tens, "refused.")).toEqual([
      ["banned", 30],
      ["forbidden", 7.5],
    ]);
  });

  it("leaves out what nobody misses, and is nothing while nothing is known", () => {
    const seconds = history([0, 1], { "lost.away": [4, 4], "lost.expired": [1, 0] });
    expect(sums(seconds, "lost.", ["away"])).toEqual([["expired", 1]]);
    expect(sums(undefined, "lost.")).toEqual([]);
  });
});

describe("lines of a plot (D-101)", () => {
  it("are six: the five with most, and the others as one", () => {
    const lines = [1, 2, 3, 4, 5, 6, 7].map((value) => ({ name: `l${value}`, points: [value, null] }));
    const shown = strongest(lines);
    expect(shown.map(({ name }) => name)).toEqual(["l7", "l6", "l5", "l4", "l3", "others"]);
    expect(shown.at(-1)?.points).toEqual([3, null]);
    expect(strongest(lines.slice(1))).toEqual(lines.slice(1));
  });

  it("tell the last and the highest of what is known", () => {
    expect([last([1, 3, 2, null]), most([1, 3, 2, null])]).toEqual([2, 3]);
    expect([last([null]), most([])]).toEqual([undefined, undefined]);
  });
});
