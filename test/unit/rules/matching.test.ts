import { expect, it } from "vitest";
import { Rules } from "#core/rules/rules.ts";
import { World } from "../../support/world.ts";

const SETTINGS = { enable: true, description: "", ack: "store" as const, actions: [] };

const noAction = () => {
  throw new Error("there is none");
};
const rulesOf = (world: World): Rules =>
  new Rules({
    gate: world.gate,
    node: "isthmus@a",
    now: () => world.now,
    newId: () => "id",
    failed: () => {},
  });

it("of 10,000 rules those that match a message are found in the tree, without a look at the others (R-051)", () => {
  const world = new World();
  const rules = rulesOf(world);
  const settings = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, id) => [
      `r${id}`,
      { ...SETTINGS, sql: `SELECT qos FROM "a/${id}/+"` },
    ]),
  );
  rules.update({ ...settings, all: { ...SETTINGS, sql: 'SELECT qos FROM "#"' } }, noAction);
  let looks = 0;
  for (const rule of rules.all) {
    const { keeps } = rule;
    Object.defineProperty(rule, "keeps", { get: () => [keeps, looks++][0] });
  }
  world.publish("a/7/x", "1");
  expect([...rules.all].filter(({ counters }) => counters.matched > 0).map(({ id }) => id)).toEqual([
    ...["r7", "all"],
  ]);
  expect(looks).toBeLessThanOrEqual(2);
});

it("a rule that comes, or goes, is asked from the next message on, also about a topic that was just published to", () => {
  const world = new World();
  const rules = rulesOf(world);
  const matched = (): Record<string, number> =>
    Object.fromEntries([...rules.all].map(({ id, counters }) => [id, counters.matched]));
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
