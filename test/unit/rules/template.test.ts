import { describe, expect, it } from "vitest";
import { Template } from "#core/rules/template.ts";

const values = {
  name: "b",
  a: { b: 2, list: [{ c: "x" }] },
  none: null,
  raw: new Uint8Array([0xff, 0]),
  big: 2n ** 64n,
  payload: '{"t":1}',
};

describe("templates", () => {
  it.each([
    ["sensors/${a.b}", "sensors/2"],
    ["${name}-${.name}", "b-b"],
    ["clientid=${clientid}", "clientid=undefined"],
    ["${none}", "null"],
    ["${a}", '{"b":2,"list":[{"c":"x"}]}'],
    ["${a.list[1].c}${a.list[-1].c}", "xx"],
    ["${payload.t}", "1"],
    ["$ {name} $", "$ {name} $"],
    ["", ""],
  ])("%s", (template, filled) => {
    expect(new Template(template).fill(values)).toBe(filled);
  });

  it("the whole is JSON with all digits, and octets that are no text in base64", () => {
    expect(new Template("${.}").fill({ big: values.big, raw: values.raw })).toBe(
      '{"big":18446744073709551616,"raw":"/wA="}',
    );
  });

  it("octets alone stay octets", () => {
    expect(new Template("${raw}").content(values)).toBe(values.raw);
  });

  it("name the column of what is no place", () => {
    expect(() => new Template("x${name")).toThrow("column 2: `${` begins here and does not end: expected }");
    expect(() => new Template("ab${a..b}")).toThrow("column 3");
    expect(() => new Template("${a[0]}")).toThrow("is no place for a value");
  });
});
