import { Type } from "@sinclair/typebox";
import { describe, expect, it } from "vitest";
import { loadText } from "#core/config/load.ts";
import { buildSchema } from "#core/config/schema.ts";
import { countSetting, durationSetting } from "#core/lib/setting.ts";
import { milliseconds } from "#core/lib/time.ts";
import { formatDuration, formatSize, parseCount, parseDuration, parseSize } from "#core/lib/units.ts";
import { editDistance, nearest } from "#core/settings/nearest.ts";
import { fc } from "../../support/property.ts";

const module = (properties: Parameters<typeof Type.Object>[0]) => [
  { name: "x", schema: Type.Object(properties) },
];

describe("a gateway's own options", () => {
  it("stand beside the core's keys, with defaults and units", () => {
    const modules = module({
      wait: durationSetting({ description: "Wait.", default: "5s" }),
      most: countSetting({ description: "Most.", default: "unlimited" }),
      inner: Type.Object(
        { flag: Type.Boolean({ description: "Flag.", default: true }) },
        { description: "Inner." },
      ),
      maybe: Type.Optional(Type.String({ description: "Maybe." })),
      either: Type.Union([Type.Literal("a"), Type.Literal("b")], { description: "Either.", default: "a" }),
      list: Type.Array(Type.Object({ n: Type.Integer({ description: "N.", default: 3 }) }), {
        description: "List.",
        default: [],
      }),
    });
    expect(loadText(modules, "").config.gateways["x"]).toEqual({
      enable: true,
      mountpoint: "",
      presents: { username: "", password: "" },
      listeners: {},
      wait: 5000,
      most: Number.POSITIVE_INFINITY,
      inner: { flag: true },
      either: "a",
      list: [],
    });
    const given = loadText(modules, "gateways: { x: { wait: 1m, list: [{}], maybe: here } }").config.gateways[
      "x"
    ];
    expect(given).toMatchObject({ wait: 60_000, list: [{ n: 3 }], maybe: "here", inner: { flag: true } });
    expect(() => loadText(modules, "gateways: { x: { either: c } }")).toThrow("allowed: one of a, b");
    expect(() => loadText(modules, "gateways: { x: { inner: { falg: true } } }")).toThrow(
      'did you mean "flag"?',
    );
  });

  it("may not take a key that is the core's", () => {
    const clash = module({ mountpoint: Type.String() });
    expect(() => buildSchema(clash)).toThrow('gateway x: the core owns the key "mountpoint"');
  });
});

describe("units", () => {
  it("read what people write", () => {
    expect(["100ms", "30s", "5m", "1h", "7d", "1.5h", "90"].map((text) => parseDuration(text))).toEqual([
      100, 30_000, 300_000, 3_600_000, 604_800_000, 5_400_000, 90_000,
    ]);
    expect([parseDuration(0.5), parseDuration("forever")]).toEqual([500, Number.POSITIVE_INFINITY]);
    expect(["512B", "64KB", "1.5MB", "2GB", "10"].map((text) => parseSize(text))).toEqual([
      512, 65_536, 1_572_864, 2_147_483_648, 10,
    ]);
    expect([parseSize("unlimited"), parseCount("unlimited"), parseCount("12"), parseCount(0)]).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      12,
      0,
    ]);
  });

  it("do not read anything else", () => {
    for (const text of ["", "-1s", "1 s", "5 minutes", "s", "1S", "NaN", "Infinity", "0x10", "1e3"]) {
      expect([parseDuration(text), parseSize(text), parseCount(text)], text).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
    }
    expect([parseDuration(-1), parseSize(-1), parseCount(-1)]).toEqual([undefined, undefined, undefined]);
  });

  it("write what they read", () => {
    fc.assert(
      fc.property(fc.nat(1e9), (count) => {
        expect(parseDuration(formatDuration(milliseconds(count)))).toBe(count);
        expect(parseSize(formatSize(count))).toBe(count);
      }),
    );
    expect([formatDuration(milliseconds(90_000)), formatSize(65_536)]).toEqual(["90s", "64KB"]);
  });
});

describe("the nearest word", () => {
  it("counts letters put in, left out, replaced and swapped", () => {
    const distances = [
      ["port", "port"],
      ["port", "prt"],
      ["port", "porrt"],
      ["port", "part"],
      ["port", "prot"],
      ["", "ab"],
    ];
    expect(distances.map(([a, b]) => editDistance(a!, b!))).toEqual([0, 1, 1, 1, 1, 2]);
  });

  it("is one that differs little, or none", () => {
    expect(nearest("mount_point", ["enable", "mountpoint"])).toBe("mountpoint");
    expect(nearest("lisener", ["enable", "listeners"])).toBe("listeners");
    expect(nearest("zzz", ["enable", "port"])).toBeUndefined();
  });
});
