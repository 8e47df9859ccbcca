import { expect, it } from "vitest";
import { compileWith } from "#core/connect/actions.ts";
import { newActionCounters } from "#core/rules/action.ts";
import { Rules } from "#core/rules/rules.ts";
import { World } from "../../support/world.ts";

it("console writes each output down, with its rule and the event that it is of, and counts it (R-020)", () => {
  const world = new World();
  const written: object[] = [];
  let events = 0;
  const rules = new Rules({
    ...{ gate: world.gate, node: "isthmus@a", failed: () => {} },
    now: () => world.now,
    newId: () => `event-${++events}`,
  });
  const action = compileWith({
    ...{ emit: rules.emit, kindOf: () => undefined, sink: () => undefined, mark: () => "", cameBack() {} },
    log: (rule, output, occasion) => void written.push({ ...occasion, rule, output }),
    counters: newActionCounters,
  });
  const settings = { enable: true, description: "", ack: "store" as const, actions: [{ kind: "console" }] };
  rules.update({ inspect: { ...settings, sql: 'FOREACH payload.l AS e DO e, topic FROM "t/#"' } }, action);
  world.publish("t/a", '{"l":[7,"x"]}');
  world.publish("other", '{"l":[8]}');
  expect(written).toMatchObject([
    { rule: "inspect", event: "event-1", element: 0, output: { e: 7, topic: "t/a" } },
    { rule: "inspect", event: "event-1", element: 1, output: { e: "x", topic: "t/a" } },
  ]);
  expect(rules.get("inspect")!.actions[0]!.counters).toMatchObject({
    matched: 2,
    success: 2,
    failed: 0,
    dropped: 0,
  });
});
