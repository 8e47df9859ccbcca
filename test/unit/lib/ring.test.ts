import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Ring } from "#core/lib/ring.ts";

type Step = readonly [name: "push" | "unshift" | "shift" | "pop" | "filter" | "take", value: number];

/** What a step does to a list, and to a ring; both answer what came out. */
const onList = (list: number[], [name, value]: Step): unknown => {
  switch (name) {
    case "push":
      return void list.push(value);
    case "unshift":
      return void list.unshift(value);
    case "shift":
      return list.shift();
    case "pop":
      return list.pop();
    case "filter":
      return void list.splice(0, list.length, ...list.filter((item) => item % 5 !== value % 5));
    case "take": {
      const place = list.findIndex((item) => item % 7 === value % 7);
      return place < 0 ? undefined : list.splice(place, 1)[0];
    }
  }
};
const onRing = (ring: Ring<number>, [name, value]: Step): unknown => {
  switch (name) {
    case "push":
      return ring.push(value);
    case "unshift":
      return ring.unshift(value);
    case "shift":
      return ring.shift();
    case "pop":
      return ring.pop();
    case "filter":
      return ring.filter((item) => item % 5 !== value % 5);
    case "take":
      return ring.takeAt(ring.findIndex((item) => item % 7 === value % 7));
  }
};

describe("a ring", () => {
  it("holds what a list would after any steps, and gives the same", () => {
    const step = fc.tuple(
      fc.constantFrom("push", "push", "push", "unshift", "shift", "pop", "filter", "take"),
      fc.nat({ max: 100 }),
    ) as fc.Arbitrary<Step>;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
        const list: number[] = [];
        const ring = new Ring<number>();
        for (const one of steps) {
          expect(onRing(ring, one)).toEqual(onList(list, one));
          expect([...ring]).toEqual(list);
          expect(ring.length).toBe(list.length);
          expect(ring.peek()).toBe(list[0]);
        }
      }),
    );
  });
});
