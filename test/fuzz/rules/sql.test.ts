import { describe, expect, it } from "vitest";
import { FUNCTIONS } from "#core/rules/functions/functions.ts";
import { compile } from "#core/rules/sql/compile.ts";
import { SqlError } from "#core/rules/sql/sql-error.ts";
import { Template, TemplateError } from "#core/rules/template.ts";
import { RuleFailure } from "#core/rules/value.ts";
import { fc } from "../../support/property.ts";
import { published } from "../../unit/rules/run.ts";

const word = fc.constantFrom(
  ..."SELECT FOREACH DO INCASE FROM WHERE AS CASE WHEN THEN ELSE END AND OR NOT DIV MOD payload topic qos item . , ( ) [ ] = != < >= =~ + - * / ; 'x' \"t/#\" 1 1.5 -1 true null".split(
    " ",
  ),
  ...Object.keys(FUNCTIONS),
);

/** Runs what can be compiled: the only errors are those that rules may have. */
function tried(sql: string): void {
  let query: ReturnType<typeof compile>;
  try {
    query = compile(sql);
  } catch (error) {
    expect(error).toBeInstanceOf(SqlError);
    const { line, column } = (error as SqlError).place;
    expect(line).toBeGreaterThan(0);
    expect(column).toBeGreaterThan(0);
    return;
  }
  try {
    query.run(published({ payload: '{"a":[1,{"b":"c"}],"x":1}' }));
  } catch (error) {
    expect(error).toBeInstanceOf(RuleFailure);
  }
}

describe("SQL", () => {
  it("is a rule, or an error with a place, whatever the text is", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), tried));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), (words) => tried(words.join(" "))),
      { numRuns: 600 },
    );
    const statement = fc
      .array(word, { maxLength: 12 })
      .map((words) => `SELECT ${words.join(" ")} AS x FROM "t/#"`);
    fc.assert(fc.property(statement, tried), { numRuns: 600 });
  });

  it("is an error with a place wherever a good rule is cut or has a character more", () => {
    const sql = `FOREACH payload.a AS e DO CASE WHEN e.b =~ 'x/#' THEN nth(1, [1, 2]) ELSE -1.5e3 END AS v INCASE not is_null(e) FROM "t/#", '$events/client_connected' WHERE qos >= 0 and topic <> 'y'`;
    for (let at = 0; at <= sql.length; at++) {
      tried(sql.slice(0, at));
      for (const more of ["'", '"', "(", ")", ".", " AS ", "\0", "\u{1F600}"])
        tried(sql.slice(0, at) + more + sql.slice(at));
    }
  });

  it("functions fail as rules may fail, whatever they are given", () => {
    const value = fc.constantFrom(
      "1",
      "-1",
      "0",
      "1.5",
      "9007199254740993",
      "1e308",
      "''",
      "'a'",
      "'Z'",
      "'second'",
      "'%Y'",
      "'(a+)+'",
      "null",
      "nothing",
      "true",
      "[]",
      "[1,'a']",
      "[['k',1]]",
      "payload",
      "payload.a",
      'json_decode(\'{"a":{"b":1}}\')',
      "hexstr2bin('9F4E58')",
    );
    for (const [name, { least, most }] of Object.entries(FUNCTIONS)) {
      const given = fc.array(value, { minLength: least, maxLength: Math.min(most, 6) });
      fc.assert(
        fc.property(given, (values) => tried(`SELECT ${name}(${values.join(", ")}) AS x FROM "#"`)),
        { numRuns: 30 },
      );
    }
  });
});

describe("templates", () => {
  it("are texts with places, or an error", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc
        .array(fc.constantFrom("$", "{", "}", ".", "a", "[", "1", "]", "${", "'"), { maxLength: 12 })
        .map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, (template) => {
        try {
          new Template(template).fill({ a: [{ a: 1 }], payload: "{}" });
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateError);
        }
      }),
      { numRuns: 600 },
    );
  });
});
