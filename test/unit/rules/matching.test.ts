import { expect, it } from "vitest";
import { Rules } from "#core/rules/rules.ts";
import { World } from "../../support/world.ts";

const SETTINGS = { enable: true, description: "", ack: "store" as const, actions: [] };

it("a rule that comes, or goes, is asked from the next message on, also about a topic that was just published to", () => {
  const world = new World();
  const rules = new Rules({
    gate: world.gate,
    node: "isthmus@a",
    now: () => world.now,
    newId: () => "id",
    failed: () => {},
  });
  const matched = (): Record<string, number> =>
    Object.fromEntries([...rules.all].map(({ id, counters }) => [id, counters.matched]));
  const noAction = () => {
    throw new Error("there is none");
  };
  const all = { ...SETTINGS, sql: 'SELECT * FROM "#"' };
  const below = { ...SETTINGS, sql: 'SELECT * FROM "a/+"' };
  rules.update({ all }, noAction);
  world.publish("a/b", "1");
  world.publish("a/b", "2");
  expect(matched()).toEqual({ all: 2 });
  rules.update({ all, below }, noAction);
  world.publish("a/b", "3");
  world.publish("c", "4");
  world.publish("a/b", "5");
  expect(matched()).toEqual({ all: 5, below: 2 });
  rules.update({ all: { ...all, enable: false }, below }, noAction);
  world.publish("a/b", "6");
  expect(matched()).toEqual({ all: 5, below: 3 });
});
