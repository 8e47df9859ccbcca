import { describe, expect, it } from "vitest";
import { AddressRanges } from "#gateways/mqtt-sn/addresses.ts";

describe("address ranges", () => {
  it.each([
    ["10.0.0.0/8", "10.255.1.2", true],
    ["10.0.0.0/8", "11.0.0.1", false],
    ["192.0.2.7", "192.0.2.7", true],
    ["192.0.2.7", "192.0.2.8", false],
    ["192.0.2.128/25", "192.0.2.127", false],
    ["192.0.2.128/25", "192.0.2.128", true],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["0.0.0.0/0", "2001:db8::1", false],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/32", "2001:db9::1", false],
    ["::1", "::1", true],
    ["::/0", "2001:db8::1", true],
    ["fe80::/10", "febf::1", true],
    ["fe80::/10", "fec0::1", false],
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["10.0.0.0/8", "nonsense", false],
  ])("%s holds %s: %s", (range, address, held) => {
    expect(new AddressRanges([range]).has(address)).toBe(held);
  });

  it.each(["10.0.0.0/33", "300.1.1.1", "10.0.0", "::/129", "1::2::3", "a.b.c.d", "10.0.0.0/x", ""])(
    "refuses %s as a range",
    (range) => expect(() => new AddressRanges([range])).toThrow(RangeError),
  );

  it("holds nothing when empty", () => expect(new AddressRanges([]).has("10.0.0.1")).toBe(false));
});
