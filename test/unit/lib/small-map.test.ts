import { expect, it } from "vitest";
import { SmallMap } from "#core/lib/small-map.ts";
import { fc } from "../../support/property.ts";

it("does what a Map does, whatever is put in and taken out", () => {
  const step = fc.record({ key: fc.integer({ min: 0, max: 3 }), value: fc.integer(), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const [small, map] = [new SmallMap<number, number>(), new Map<number, number>()];
      for (const { key, value, remove } of steps) {
        if (remove) expect(small.delete(key)).toBe(map.delete(key));
        else {
          small.set(key, value);
          map.set(key, value);
        }
        expect(small.size).toBe(map.size);
        expect(small.has(key)).toBe(map.has(key));
        expect(small.get(key)).toBe(map.get(key));
        expect([...small]).toEqual([...map]);
        expect([...small.keys(), ...small.values()]).toEqual([...map.keys(), ...map.values()]);
        const visited: [number, number][] = [];
        small.forEach((each, at) => {
          visited.push([at, each]);
        });
        expect(visited).toEqual([...map]);
      }
      small.clear();
      expect([small.size, [...small]]).toEqual([0, []]);
    }),
  );
});
