import { expect, it } from "vitest";
import { addressBlock } from "#core/lib/address-block.ts";
import { FairLine } from "#core/lib/fair-line.ts";
import { fc } from "../../support/property.ts";

it("addresses take turns, and of one address the names: nobody waits for more than one of each other", () => {
  const entry = fc.record({ address: fc.constantFrom("a", "b", "c"), name: fc.constantFrom("x", "y") });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 100 }), entry, (entries, late) => {
      const line = new FairLine<{ address: string; name: string }>();
      for (const each of entries) line.push(each.address, each.name, each);
      const own = entries.filter(
        ({ address, name }) => address === late.address && name === late.name,
      ).length;
      line.push(late.address, late.name, late);
      let turns = 1;
      while (line.shift() !== late) turns++;
      // Each of those before it of its own address and name waits for the other name, and each of those for two addresses.
      expect(turns).toBeLessThanOrEqual((own + 1) * 2 * 3);
    }),
  );
});

it("keeps the order of one name, loses nothing, and makes room only at the cost of who has more", () => {
  const step = fc.record({
    address: fc.constantFrom("a", "b", "c"),
    name: fc.constantFrom("x", "y"),
    kind: fc.constantFrom("push", "push", "shift", "room"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const line = new FairLine<{ address: string; key: string; number: number }>();
      const waiting = new Map<string, number[]>();
      const count = (address: string) =>
        [...waiting].reduce((sum, [key, list]) => sum + (key.startsWith(address) ? list.length : 0), 0);
      steps.forEach(({ address, name, kind }, number) => {
        const key = address + name;
        if (kind === "push") {
          line.push(address, name, { address, key, number });
          waiting.set(key, [...(waiting.get(key) ?? []), number]);
          return;
        }
        const before = count(address);
        const taken = kind === "shift" ? line.shift() : line.makeRoomFor(address);
        if (taken === undefined) {
          if (kind === "shift") expect(line.length).toBe(0);
          else for (const other of ["a", "b", "c"]) expect(count(other)).toBeLessThanOrEqual(before + 1);
          return;
        }
        if (kind === "room") expect(count(taken.address)).toBeGreaterThan(before + 1);
        expect(waiting.get(taken.key)!.shift()).toBe(taken.number);
        expect(line.length).toBe(count("a") + count("b") + count("c"));
      });
    }),
  );
});

it.each([
  ["192.0.2.7", 32, "192.0.2.7"],
  ["192.0.2.7", 24, "192.0.2"],
  ["2001:db8:1:2:3:4:5:6", 24, "2001:db8:1:2"],
  ["2001:db8::6", 24, "2001:db8:0:0"],
  ["2001:db8:1:2::", 24, "2001:db8:1:2"],
  ["::1", 24, "0:0:0:0"],
  ["fe80::1:2:3:4:5", 32, "fe80:0:0:1"],
] as const)("the block of %s, at /%i for IPv4, is %s", (address, bits, block) => {
  expect(addressBlock(address, bits)).toBe(block);
});
