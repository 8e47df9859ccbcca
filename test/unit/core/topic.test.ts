import { describe, expect, it, vi } from "vitest";
import { parseDelayedTopic } from "#core/bus/delayed.ts";
import {
  parseSharedFilter,
  topicFilterProblem,
  topicLevels,
  topicMatches,
  topicNameProblem,
} from "#core/bus/topic.ts";
import { TopicTree } from "#core/bus/topic-tree.ts";
import { fc } from "../../support/property.ts";

/** Matching as the specification words it, level by level and slowly. */
function matchesByTheBook(filter: string, topic: string): boolean {
  const wanted = filter.split("/");
  const given = topic.split("/");
  if (topic.startsWith("$") && (wanted[0] === "+" || wanted[0] === "#")) return false;
  for (let level = 0; level < wanted.length; level++) {
    if (wanted[level] === "#") return given.length >= level;
    if (level >= given.length) return false;
    if (wanted[level] !== "+" && wanted[level] !== given[level]) return false;
  }
  return wanted.length === given.length;
}

const level = fc.constantFrom("", "a", "b", "$x", "ab");
const topics = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join("/"));
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { maxLength: 4 }), fc.boolean())
  .map(([levels, rest]) => (rest ? [...levels, "#"] : levels).join("/"))
  .filter((filter) => filter !== "");

describe("topic matching", () => {
  it("agrees with the rules of MQTT 5 §4.7 on any filter and topic", () => {
    fc.assert(
      fc.property(filters, topics, (filter, topic) => {
        expect(topicMatches(filter, topic), `${filter} on ${topic}`).toBe(matchesByTheBook(filter, topic));
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ["sport/tennis/player1/#", "sport/tennis/player1", true],
    ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
    ["sport/#", "sport", true],
    ["sport/tennis/+", "sport/tennis/player1/ranking", false],
    ["sport/+", "sport", false],
    ["sport/+", "sport/", true],
    ["+/+", "/finance", true],
    ["/+", "/finance", true],
    ["+", "/finance", false],
    ["#", "$SYS/broker", false],
    ["+/monitor/Clients", "$SYS/monitor/Clients", false],
    ["$SYS/#", "$SYS/monitor", true],
    ["$SYS/monitor/+", "$SYS/monitor/Clients", true],
    ["ACCOUNTS", "accounts", false],
  ])("matches the example %s on %s: %s (MQTT 5 §4.7.1, §4.7.2)", (filter, topic, expected) => {
    expect(topicMatches(filter, topic)).toBe(expected);
  });
});

describe("the topic tree", () => {
  it("finds by topic exactly the filters that match it", () => {
    fc.assert(
      fc.property(fc.uniqueArray(filters, { maxLength: 20 }), topics, (stored, topic) => {
        const tree = new TopicTree<string>();
        for (const filter of stored) tree.set(filter, filter);
        const found: string[] = [];
        tree.match(topic, (filter) => found.push(filter));
        expect(found.sort()).toEqual(stored.filter((filter) => topicMatches(filter, topic)).sort());
      }),
    );
  });

  it("finds by filter exactly the topics that it matches", () => {
    fc.assert(
      fc.property(fc.uniqueArray(topics, { maxLength: 20 }), filters, (stored, filter) => {
        const tree = new TopicTree<string>();
        for (const topic of stored) tree.set(topic, topic);
        const found: string[] = [];
        tree.search(filter, (topic) => {
          found.push(topic);
          return true;
        });
        expect(found.sort()).toEqual(stored.filter((topic) => topicMatches(filter, topic)).sort());
      }),
    );
  });

  it("asks no hash table where filters branch into + and one name, however many they are", () => {
    const tree = new TopicTree<number>();
    for (let n = 0; n < 8192; n++) {
      tree.set(Array.from({ length: 13 }, (_, at) => ((n >> at) & 1 ? "+" : "a")).join("/"), n);
    }
    const lookUps = vi.spyOn(Map.prototype, "get");
    let found = 0;
    tree.match("a/a/a/a/a/a/a/a/a/a/a/a/a", () => found++);
    const asked = lookUps.mock.calls.length;
    lookUps.mockRestore();
    expect(found).toBe(8192);
    expect(asked).toBe(0);
  });

  it("is empty again when all that was set is deleted, whatever the order", () => {
    fc.assert(
      fc.property(fc.uniqueArray(filters, { maxLength: 20 }), fc.integer(), (stored, salt) => {
        const tree = new TopicTree<string>();
        for (const filter of stored) tree.set(filter, filter);
        expect(tree.size).toBe(stored.length);
        const order = [...stored].sort((a, b) => ((a.length * 7 + salt) % 5) - ((b.length * 7 + salt) % 5));
        for (const filter of order) expect(tree.delete(filter)).toBe(true);
        expect(tree.size).toBe(0);
        expect([...tree.values()]).toEqual([]);
        let visited = 0;
        tree.search("#", () => ++visited > 0);
        expect(visited).toBe(0);
      }),
    );
  });
});

describe("topic names and filters", () => {
  it.each([
    ["", "empty"],
    ["a\0b", "NUL character"],
    ["a/+", "wildcard in a topic name"],
    ["#", "wildcard in a topic name"],
    ["a/\ud800", "half a surrogate pair"],
    ["\ude00\ud83d", "half a surrogate pair"],
    ["a/😀", undefined],
    ["a/b", undefined],
    ["/", undefined],
    ["x".repeat(65_535), undefined],
    ["x".repeat(65_536), "too long"],
  ])("judges the topic name %j [MQTT-4.7.3-1, MQTT-3.3.2-2, MQTT-1.5.4-1]", (topic, problem) => {
    expect(topicNameProblem(topic)).toBe(problem);
  });

  it.each([
    ["a/#/b", "misplaced wildcard"],
    ["a#", "misplaced wildcard"],
    ["a+/b", "misplaced wildcard"],
    ["+a", "misplaced wildcard"],
    ["##", "misplaced wildcard"],
    ["#/", "misplaced wildcard"],
    ["a/\udc00/#", "half a surrogate pair"],
    ["😀/#", undefined],
    ["+/+/#", undefined],
    ["#", undefined],
    ["", "empty"],
  ])("judges the filter %j [MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-1.5.4-1]", (filter, problem) => {
    expect(topicFilterProblem(filter)).toBe(problem);
  });

  it("counts levels by their separators", () => {
    expect([topicLevels("a"), topicLevels("a/b"), topicLevels("/"), topicLevels("//")]).toEqual([1, 2, 2, 3]);
  });
});

describe("shared and delayed topics", () => {
  it.each([
    ["$share/g/a/+", { group: "g", filter: "a/+" }],
    ["$queue/a/#", { group: "$queue", filter: "a/#" }],
    ["$share/g/", "malformed"],
    ["$share/g", "malformed"],
    ["$share//a", "malformed"],
    ["$share/g+/a", "malformed"],
    ["$queue/", "malformed"],
    ["a/b", undefined],
  ])("reads the shared filter %j [MQTT-4.8.2-1]", (filter, expected) => {
    expect(parseSharedFilter(filter)).toEqual(expected);
  });

  it.each([
    ["$delayed/5/a/b", { seconds: 5, topic: "a/b" }],
    ["$delayed/4294967/x", { seconds: 4_294_967, topic: "x" }],
    ["$delayed/4294968/x", "malformed"],
    ["$delayed/-1/x", "malformed"],
    ["$delayed/x/y", "malformed"],
    ["$delayed/5/", "malformed"],
    ["a", undefined],
  ])("reads the delayed topic %j", (topic, expected) => {
    expect(parseDelayedTopic(topic)).toEqual(expected);
  });
});
