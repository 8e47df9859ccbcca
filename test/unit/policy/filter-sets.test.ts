import { describe, expect, it } from "vitest";
import { topicMatches } from "#core/bus/topic.ts";
import { filterCovers, filtersOverlap } from "#core/policy/filter-sets.ts";

/** Every text of `least` to `most` levels over an alphabet. */
function allOf(levels: readonly string[], least: number, most: number): string[] {
  let longest: string[][] = [[]];
  const all: string[] = [];
  for (let depth = 1; depth <= most; depth++) {
    longest = longest.flatMap((head) => levels.map((level) => [...head, level]));
    if (depth >= least) all.push(...longest.map((each) => each.join("/")));
  }
  return all;
}

// "z" stands for every name that no filter mentions.
const TOPICS = allOf(["a", "$s", "z"], 1, 4);
const PLAIN = allOf(["a", "$s", "+"], 1, 3);
const FILTERS = [...PLAIN, "#", ...allOf(["a", "$s", "+"], 1, 2).map((filter) => `${filter}/#`)];
const SETS = new Map(
  FILTERS.map((filter) => [filter, TOPICS.filter((topic) => topicMatches(filter, topic))]),
);

describe("topic filters as sets", () => {
  it("cover one another exactly when every topic of the inner is one of the outer", () => {
    const wrong: string[] = [];
    for (const outer of FILTERS) {
      const wide = new Set(SETS.get(outer));
      for (const inner of FILTERS) {
        const covered = SETS.get(inner)!.every((topic) => wide.has(topic));
        if (filterCovers(outer, inner) !== covered) wrong.push(`${outer} covers ${inner}: ${covered}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("overlap exactly when they share a topic", () => {
    const wrong: string[] = [];
    for (const one of FILTERS) {
      const first = new Set(SETS.get(one));
      for (const other of FILTERS) {
        const shared = SETS.get(other)!.some((topic) => first.has(topic));
        if (filtersOverlap(one, other) !== shared) wrong.push(`${one} overlaps ${other}: ${shared}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
