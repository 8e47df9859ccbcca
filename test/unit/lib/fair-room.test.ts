import { expect, test } from "vitest";
import { FairRoom } from "#core/lib/fair-room.ts";
import { fc } from "../../support/property.ts";

const GRACE = 10;
const address = fc.integer({ min: 1, max: 4 }).map((n) => `192.0.2.${n}`);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("enter" as const), address }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("leave", "renew"), guest: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("move" as const), guest: fc.nat(50), address }) },
);

test("whoever comes and goes, the room holds no more than its places, and nobody yields to an address with more", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 6 }), (steps, places) => {
      const room = new FairRoom<number>(places, GRACE);
      const inside = new Map<number, string>();
      const count = (at: string): number => [...inside.values()].filter((each) => each === at).length;
      for (const [now, does] of steps.entries()) {
        if ("guest" in does) {
          if (does.kind === "leave") {
            room.leave(does.guest);
            inside.delete(does.guest);
          } else if (!("address" in does)) {
            room.renew(does.guest, now);
          } else if (inside.has(does.guest)) {
            room.move(does.guest, does.address);
            inside.set(does.guest, does.address);
          }
        } else {
          const full = inside.size === places;
          const loser = room.enter(now, does.address, now);
          expect(loser !== undefined).toBe(full);
          inside.set(now, does.address);
          if (loser !== undefined) {
            expect(count(inside.get(loser)!)).toBe(Math.max(...[...inside.values()].map(count)));
            inside.delete(loser);
          }
        }
        expect(room.size).toBe(inside.size);
        for (const at of inside.values()) expect(room.of(at)).toBe(count(at));
        expect(new Set(room.guests())).toEqual(new Set(inside.keys()));
      }
    }),
    { numRuns: 300 },
  );
});

test("within its grace a guest keeps its place from its own address, after it the oldest goes", () => {
  const room = new FairRoom<string>(2, GRACE);
  room.enter("first", "192.0.2.1", 0);
  room.enter("second", "192.0.2.1", 1);
  expect(room.enter("third", "192.0.2.1", 9)).toBe("third");
  expect(room.enter("fourth", "192.0.2.1", 10)).toBe("first");
  room.renew("second", 11);
  expect(room.enter("fifth", "192.0.2.1", 20)).toBe("fourth");
  // Another address waits for nothing, unless it would have as many.
  expect(room.enter("other", "2001:db8::1", 20)).toBe("second");
  expect(room.enter("neighbour", "2001:db8::2", 20)).toBe("neighbour");
  expect(room.enter("third address", "2001:db8:0:1::1", 29)).toBe("third address");
  expect(room.enter("third address", "2001:db8:0:1::1", 30)).toBe("fifth");
});
