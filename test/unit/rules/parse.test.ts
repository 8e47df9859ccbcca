import { describe, expect, it } from "vitest";
import { sourceOf } from "#core/rules/event-names.ts";
import { compile } from "#core/rules/sql/compile.ts";
import { SqlError } from "#core/rules/sql/sql-error.ts";
import { fc } from "../../support/property.ts";
import { evaluate, select } from "./run.ts";

const errorOf = (sql: string): string => {
  try {
    compile(sql);
  } catch (error) {
    if (error instanceof SqlError) return error.message;
    throw error;
  }
  return "none";
};

describe("errors of a statement name the line, the column and what was expected", () => {
  it.each([
    ["", "line 1, column 1: expected SELECT or FOREACH, found the end"],
    ["SELECT", "line 1, column 7: expected an expression, found the end"],
    ["SELECT a", "line 1, column 9: expected FROM, found the end"],
    [
      "SELECT a FROM t",
      'line 1, column 15: expected a topic filter or an event in quotes, as in FROM "t/#", found `t`',
    ],
    ['SELECT a,\n  FROM "t"', "line 2, column 3: expected an expression, found `FROM`"],
    ['SELECT a FROM "t" WHERE', "line 1, column 24: expected an expression, found the end"],
    [
      'SELECT a FROM "t" WHERE a = "x"',
      "line 1, column 29: texts stand in single quotes: expected 'x' for \"x\"",
    ],
    ['SELECT a FROM "t" WHER a', "line 1, column 19: expected `,`, WHERE or the end, found `WHER`"],
    ["SELECT 'a FROM", "line 1, column 8: a text begins here and does not end: expected '"],
    ['SELECT (a FROM "t"', "line 1, column 11: expected an operator or `)`, found `FROM`"],
    ['SELECT uper(a) FROM "t"', "line 1, column 8: there is no function uper: expected perhaps upper"],
    ['SELECT nth(1) FROM "t"', "line 1, column 8: nth takes 2 values: expected so many, found 1"],
    ['SELECT CASE a END FROM "t"', "line 1, column 13: expected WHEN, found `a`"],
    ['SELECT CASE WHEN a END FROM "t"', "line 1, column 20: expected an operator or THEN, found `END`"],
    ['SELECT 1a FROM "t"', "line 1, column 9: a number ends here"],
    ['SELECT a ? b FROM "t"', "line 1, column 10: `?` has no meaning here"],
    ['FOREACH * FROM "t"', "line 1, column 11: expected the list that FOREACH goes through"],
  ])("%s", (sql, says) => {
    expect(errorOf(sql)).toContain(says);
  });

  it("refuses what would take the stack, not the statement before it", () => {
    expect(errorOf(`SELECT ${"(".repeat(5000)}a FROM "t"`)).toContain("nested 100 deep");
    expect(errorOf(`SELECT ${"not ".repeat(5000)}a FROM "t"`)).toContain("nested 100 deep");
    expect(errorOf(`SELECT ${"-".repeat(5000)}1 FROM "t"`)).toContain("nested 100 deep");
    expect(errorOf(`SELECT a${".b".repeat(5000)} FROM "t"`)).toContain("nested 100 deep");
    expect(errorOf(`SELECT 1${"+1".repeat(5000)} FROM "t"`)).toContain("1000 operators");
    expect(evaluate(`1${"+1".repeat(900)}`)).toBe(901);
  });
});

describe("what is selected", () => {
  it("has its own path as its name where it has no other", () => {
    expect(select('SELECT payload.a.b, qos FROM "#"', { payload: { a: { b: 2 } } })).toEqual([
      { payload: { a: { b: 2 } }, qos: 1 },
    ]);
    expect(select('SELECT qos + 1 FROM "#"')).toEqual([{ "qos + 1": 2 }]);
  });

  it("goes into a map where its name is a path", () => {
    expect(select('SELECT 1 AS a.b, 2 AS a.c FROM "#"')).toEqual([{ a: { b: 1, c: 2 } }]);
  });

  it("sees what is selected before it, and itself as the event has it", () => {
    expect(select('SELECT qos + 1 AS qos, qos + 1 AS next FROM "#"')).toEqual([{ qos: 2, next: 3 }]);
  });

  it("is computed once: an id in WHERE and in the output is the same", () => {
    const [output] = select('SELECT uuid_v4() AS id, id AS same FROM "#" WHERE is_str(id)');
    expect((output as { id: string; same: string }).id).toBe((output as { same: string }).same);
  });

  it("keeps members called __proto__ or constructor as what they are", () => {
    const payload = '{"__proto__":{"x":1},"a":2}';
    expect(evaluate("payload.constructor", { payload })).toBeUndefined();
    expect(evaluate("payload.'__proto__'.x", { payload })).toBe(1);
    expect(Object.keys(evaluate("map_put('__proto__', 1, json_decode('{}'))") as object)).toEqual([
      "__proto__",
    ]);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it("is not failed by what WHERE has excluded", () => {
    expect(select("SELECT payload.a AS a FROM \"#\" WHERE topic =~ 'x/#'", { payload: "no JSON" })).toEqual(
      [],
    );
  });
});

describe("sources", () => {
  it("are topic filters, and events by the names of three generations", () => {
    expect(sourceOf("t/#")).toEqual({ kind: "topic", filter: "t/#" });
    for (const name of ["$events/client_connected", "$events/client/connected"])
      expect(sourceOf(name)).toEqual({ kind: "event", event: "client_connected", generation: 5 });
    expect(sourceOf("client.connected")).toEqual({ kind: "event", event: "client_connected", generation: 4 });
    expect(sourceOf("$events/session/subscribed")).toMatchObject({ event: "session_subscribed" });
    expect(sourceOf("$events/message/delivery_dropped")).toMatchObject({ event: "delivery_dropped" });
    expect(sourceOf("$events/x")).toContain("there is no such event");
    expect(sourceOf("a/#/b")).toContain("no topic filter");
  });
});

describe("properties", () => {
  it("a number of JSON is worth itself", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        expect(evaluate("payload.x", { payload: { x: number } })).toBe(JSON.parse(JSON.stringify(number)));
      }),
    );
  });

  it("a text in quotes, those in it doubled, is itself", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(evaluate(`'${text.replaceAll("'", "''")}'`)).toBe(text);
      }),
    );
  });

  it("coding and decoding give back what there was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (payload) => {
        for (const [to, from] of [
          ["base64_encode", "base64_decode"],
          ["base62_encode", "base62_decode"],
          ["bin2hexstr", "hexstr2bin"],
          ["gzip", "gunzip"],
          ["zip", "unzip"],
          ["json_encode", "json_decode"],
        ])
          expect(evaluate(`${from}(${to}(payload))`, { payload })).toBe(payload);
      }),
    );
  });

  it("octets that are no text come through unchanged", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (payload) => {
        const coded = Buffer.from(payload).toString("hex").toUpperCase();
        expect(evaluate("bin2hexstr(payload)", { payload })).toBe(coded);
      }),
    );
  });
});
