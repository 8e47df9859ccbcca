import { expect, it } from "vitest";
import { accessRuleProblem } from "#core/policy/access.ts";
import { AddressSet, isAddressRange } from "#core/policy/addresses.ts";
import { fc } from "../../support/property.ts";

const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
type Octets = readonly [number, number, number, number];
const number = ([a, b, c, d]: Octets): number => ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
const hex = (bytes: Octets): string =>
  `::ffff:${(number(bytes) >>> 16).toString(16)}:${(number(bytes) & 0xffff).toString(16)}`;

it("a range means the same in every spelling that the check lets pass", () => {
  fc.assert(
    fc.property(octets, octets, fc.nat(32), fc.nat(32), (network, address, bits, flip) => {
      // Near ones, too: the address differs from the network in one bit or in any.
      const near = flip < 32 ? (number(network) ^ (1 << flip)) >>> 0 : number(address);
      const text = [near >>> 24, (near >>> 16) & 255, (near >>> 8) & 255, near & 255].join(".");
      const within = bits === 0 || number(network) >>> (32 - bits) === near >>> (32 - bits);
      const dotted = network.join(".");
      for (const range of [
        `${dotted}/${bits}`,
        `::ffff:${dotted}/${96 + bits}`,
        `${hex(network)}/${96 + bits}`,
      ]) {
        expect(isAddressRange(range)).toBe(true);
        expect([range, text, new AddressSet([range]).has(text)]).toEqual([range, text, within]);
      }
    }),
  );
});

it.each([
  "010.0.0.1",
  "0x0a.0.0.1",
  "10.1",
  "167772161",
  "10.0.0.0/33",
  "10.0.0.0/08",
  "010.0.0.0/8",
  "10.0/16",
  "::ffff:10.0.0.0/90",
  "2001:db8::/129",
  "2001:db8::/",
])("%s, which could match nobody or somebody else than the reader thinks, is refused", (text) => {
  expect(isAddressRange(text)).toBe(false);
  expect(accessRuleProblem(`allow ${text}`)).toBeDefined();
  expect(new AddressSet([text]).has("10.0.0.1")).toBe(false);
});

it.each([
  ["2001:db8::/32", "2001:db8:1::7", true],
  ["2001:db8::1", "2001:db8::1", true],
  ["2001:db8::1", "2001:db8::2", false],
  ["10.0.0.1", "::ffff:10.0.0.1", true],
  ["::ffff:10.0.0.1", "10.0.0.1", true],
])("%s holds %s: %s", (range, address, holds) => {
  expect(new AddressSet([range]).has(address)).toBe(holds);
});
