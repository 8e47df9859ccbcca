import { describe, expect, it } from "vitest";
import { outOfRange } from "#gateways/lwm2m/objects/range.ts";
import { enabler } from "../../support/lwm2m-enabler.ts";

describe("ranges of definitions (LwM2M 1.1 Appendix D.1)", () => {
  it.each([
    [50, "0..100", undefined],
    [101, "0..100", "101 is out of the range 0..100"],
    [-1, "0..100", "-1 is out of the range 0..100"],
    [-40, "-110..-48", "-40 is out of the range -110..-48"],
    [-60, "-110..-48", undefined],
    [3, "0-3", undefined],
    [4, "0-3", "4 is out of the range 0-3"],
    [0.5, "0..1", undefined],
    [1.5, "0..1", "1.5 is out of the range 0..1"],
    [7, "1,3,7", undefined],
    [2, "1,3,7", "2 is out of the range 1,3,7"],
    [9, "0..3,8..9", undefined],
    [18_446_744_073_709_551_615n, "0..255", "18446744073709551615 is out of the range 0..255"],
    ["abc", "0..3 bytes", undefined],
    ["äb", "0..2 bytes", "a length of 3 bytes is out of the range 0..2 bytes"],
    [new Uint8Array(20), "16,32,48 bytes", "a length of 20 bytes is out of the range 16,32,48 bytes"],
    [new Uint8Array(32), "16,32,48 bytes", undefined],
    ["U", '"U","T","S"', undefined],
    ["X", '"U","T","S"', '"X" is not of "U","T","S"'],
    [true, "0..1", undefined],
    [5, "", undefined],
    [5, "see description", undefined],
    [{ object: 3, instance: 0 }, "0..1", undefined],
  ])("%s in %s: %s", (value, range, problem) => {
    expect(outOfRange(value, range)).toBe(problem);
  });

  const enforced = () => enabler({}, undefined, { enforceRanges: true });

  it("by setting, a value beyond its range is answered 4.00 with path, value and range, and not sent", () => {
    const { device, ask } = enforced();
    expect(ask("write", { path: "/1/0/0", value: 70_000 }).data).toEqual({
      reqPath: "/1/0/0",
      code: "4.00",
      codeMsg: "bad_request",
      reason: "the value of /1/0/0: 70000 is out of the range 1..65534",
    });
    expect(device.asked).toEqual([]);
  });

  it.each([
    ["write", { basePath: "/1/0", content: [{ path: "0", value: 0 }] }],
    ["write-composite", { content: [{ path: "/1/0/0", value: 0 }] }],
    ["create", { basePath: "/1", content: [{ path: "/1/0", value: 0 }] }],
  ])("%s %j too", (msgType, data) => {
    const { device, ask } = enforced();
    expect(ask(msgType, data).data).toMatchObject({
      code: "4.00",
      reason: expect.stringContaining("1..65534"),
    });
    expect(device.asked).toEqual([]);
  });

  it("values within it, and of resources that nobody defined, go out", () => {
    const { device, code } = enforced();
    expect(code("write", { path: "/1/0/0", value: 101 })).toBe("2.04");
    expect(code("write", { path: "/9999/0/1", value: 1e9 })).toBe("2.04");
    expect(device.lines()).toEqual(["PUT /1/0/0", "PUT /9999/0/1"]);
  });

  it("without the setting the device decides, as applications are used to", () => {
    const { device, code } = enabler();
    device.on("PUT /1/0/0", { code: "4.00" });
    expect(code("write", { path: "/1/0/0", value: 70_000 })).toBe("4.00");
    expect(device.lines()).toEqual(["PUT /1/0/0"]);
  });
});
