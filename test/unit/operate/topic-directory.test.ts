import { expect, it } from "vitest";
import type { Looker } from "#core/bus/gate.ts";
import { Message } from "#core/bus/message.ts";
import type { Instant } from "#core/lib/time.ts";
import { TopicDirectory } from "#core/operate/topic-directory.ts";

const message = (topic: string, text: string, retain = false, at = 0): Message =>
  new Message(topic, new TextEncoder().encode(text), 0, retain, at as Instant);

function directory(max = 100, retained: readonly Message[] = []) {
  const passage = {
    looker: undefined as Looker | undefined,
    look(looker: Looker) {
      passage.looker = looker;
      return () => {
        passage.looker = undefined;
      };
    },
  };
  const topics = new TopicDirectory(passage, { max, retained: () => retained });
  const levels = (at?: string, options = {}) =>
    topics.children(at, { now: 1, after: undefined, prefix: "", limit: 200, ...options });
  return { passage, topics, levels };
}

it("looks at nothing until somebody asks, and at nothing more ten minutes after the last who did", () => {
  const { passage, topics, levels } = directory();
  expect(passage.looker).toBeUndefined();
  levels();
  expect(passage.looker).toBeDefined();
  topics.rest(599_000);
  expect(passage.looker).toBeDefined();
  topics.rest(600_002);
  expect(passage.looker).toBeUndefined();
  expect(topics.count).toBe(0);
});

it("begins with what is retained, and shows levels with how many topics are below each", () => {
  const { passage, levels } = directory(100, [message("room/7/temp", "21", true)]);
  levels();
  passage.looker?.saw(message("room/8/temp", "22"));
  passage.looker?.saw(message("room/7", "open"));
  passage.looker?.saw(message("room/7/temp", "23"));
  expect(levels().items.map(({ topic, below }) => [topic, below])).toEqual([["room", 3]]);
  const rooms = levels("room").items;
  expect(rooms.map(({ level, below, messages }) => [level, below, messages])).toEqual([
    ["7", 1, 1],
    ["8", 1, 0],
  ]);
  const [temp] = levels("room/7").items;
  expect(new TextDecoder().decode(temp?.last?.payload)).toBe("23");
});

it("has a level without a name like any other", () => {
  const { passage, levels } = directory();
  levels();
  passage.looker?.saw(message("/a", "1"));
  expect(levels().items.map(({ level, topic }) => [level, topic])).toEqual([["", ""]]);
  expect(levels("").items.map(({ topic }) => topic)).toEqual(["/a"]);
});

it("keeps no more topics, levels and bytes than it may, and counts what found no room", () => {
  const { passage, topics, levels } = directory(2);
  levels();
  passage.looker?.saw(message("a", "1"));
  passage.looker?.saw(message(`b${"/".repeat(60_000)}`, "1"));
  passage.looker?.saw(message("c", "x".repeat(10_000)));
  passage.looker?.saw(message("d", "1"));
  expect(topics.left).toBe(2);
  expect(topics.count).toBe(2);
  expect(topics.at("c", 1)?.last?.payload.length).toBe(512);
  expect(topics.at("c", 1)?.last?.bytes).toBe(10_000);
});

it("gives levels in pages, in their order, by their beginning", () => {
  const { passage, levels } = directory(1_000);
  levels();
  for (let index = 0; index < 30; index++)
    passage.looker?.saw(message(`t/${String(index).padStart(2, "0")}`, "1"));
  const first = levels("t", { limit: 20 });
  expect(first.items).toHaveLength(20);
  const rest = levels("t", { limit: 20, after: first.next });
  expect([rest.items.length, rest.next]).toEqual([10, undefined]);
  expect(levels("t", { prefix: "2" }).items).toHaveLength(10);
});

it("keeps what was there when a retained message is taken back", () => {
  const { passage, topics, levels } = directory(10, [message("a", "1", true)]);
  levels();
  passage.looker?.saw(message("a", "", true));
  expect(topics.at("a", 1)?.last?.bytes).toBe(1);
});
