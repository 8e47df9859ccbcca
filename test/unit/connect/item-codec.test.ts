import { Packr } from "msgpackr";
import { describe, expect, it } from "vitest";
import type { Item } from "#core/connect/connector.ts";
import { decodeItem, encodeItem } from "#core/connect/item-codec.ts";

const ITEM: Item = {
  ...{ id: "0A-r-1-2", rule: "r", place: 1, client: "mqtt:c1", at: 1_708_703_790_000.5 },
  parameters: {
    text: "büro",
    octets: new Uint8Array([0, 0xff, 0x80]),
    whole: 9_007_199_254_740_993n,
    list: [1.5, null, true, { __proto__of: "x" }],
  },
  ...{ through: ["r", "s"], via: "AAAAAAAA,BBBBBBBB" },
};
const written = (...values: unknown[]): Uint8Array => new Packr({ useRecords: false }).pack(values);

describe("what waits for a connector", () => {
  it("is read as it was written", () => {
    const read = decodeItem(encodeItem(ITEM))!;
    expect({ ...read, parameters: undefined }).toEqual({ ...ITEM, parameters: undefined });
    const { octets, ...others } = read.parameters;
    expect(Array.from(octets as Uint8Array)).toEqual([0, 0xff, 0x80]);
    expect(others).toEqual({
      ...{ text: "büro", whole: 9_007_199_254_740_993n },
      list: [1.5, null, true, { __proto__of: "x" }],
    });
  });

  it("is read as versions before the marks of circles have written it", () => {
    expect(decodeItem(written(1, "id", "r", 0, "mqtt:c1", 7, { payload: "x" }))).toEqual({
      ...{ id: "id", rule: "r", place: 0, client: "mqtt:c1", at: 7, parameters: { payload: "x" } },
      ...{ through: undefined, via: undefined },
    });
  });

  it.each([
    ["another version's", written(2, "id", "r", 0, "mqtt:c1", 7, {})],
    ["without parameters", written(1, "id", "r", 0, "mqtt:c1", 7)],
    ["no list", written().subarray(0, 0)],
    ["something else", Buffer.from("hello")],
  ])("is nothing of ours when it is %s", (_what, octets) => {
    expect(decodeItem(octets)).toBeUndefined();
  });
});
