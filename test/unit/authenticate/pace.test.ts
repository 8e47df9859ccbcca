import { setImmediate as turn } from "node:timers/promises";
import { expect, it } from "vitest";
import { Pace } from "#core/authenticate/pace.ts";

it("lets one of a crowd through each turn of the event loop, in order, and one alone at once (17.4)", async () => {
  const pace = new Pace();
  const through: number[] = [];
  for (let number = 0; number < 4; number++) {
    const wait = pace.turn();
    if (wait === undefined) through.push(number);
    else void wait.then(() => through.push(number));
  }
  const seen: number[][] = [[...through]];
  for (let turns = 0; turns < 4; turns++) {
    await turn();
    seen.push([...through]);
  }
  expect(seen).toEqual([[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3]]);
  expect(pace.turn()).toBeUndefined();
});
