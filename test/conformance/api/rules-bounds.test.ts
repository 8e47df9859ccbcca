/**
 * Statements, expressions and templates that would explode, tried over HTTP: each has a clear answer, and what is computed
 * on the way is bounded, since everybody waits for it. Work is counted where it can be, not time.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { startApi, type TestApi } from "../../support/api.ts";

const place = (name: string): string => `\${${name}}`;

let api: TestApi;
beforeAll(async () => {
  api = await startApi({}, { bodyMax: 4_000_000 });
});
afterAll(() => api.stop());
afterEach(() => vi.restoreAllMocks());

const tried = (body: object) => api.ask("POST", "/api/v1/rules/test", { body });
const select = (columns: string, payload: unknown = "") =>
  tried({ sql: `SELECT ${columns} FROM "t"`, fields: { payload } });
const a = (count: number) => "a".repeat(count);
const many = (count: number, each: (place: number) => string) =>
  Array.from({ length: count }, (_, at) => each(at));

describe("a regular expression (R-066)", () => {
  it.each([
    ["^(a+)+$", 60_000, false],
    ["^(a|aa)+$", 60_000, false],
    ["(a*)*b", 60_000, true],
    ["^(([a-z])+.)+[A-Z]([a-z])+$", 60_000, false],
  ])("%s takes linear time on %i characters", async (pattern, length, found) => {
    const { body } = await select(`regex_match(payload, '${pattern}') AS x`, `${a(length)}b`);
    expect(body.outputs).toEqual([{ x: found }]);
  });

  it.each([
    ["with counts in counts", "((a{100}){100}){100}", "regex_match: "],
    ["with a large count in another", "(a{1000}){1000}", "regex_match: "],
    ["of 5,000 characters", "(".repeat(5_000), "regex_match: an expression may have 2000 characters"],
    ["that is none", "(", "regex_match: no regular expression of RE2"],
  ])("%s is refused", async (_what, pattern, why) => {
    const { body } = await select(`regex_match('x', '${pattern}') AS x`);
    expect(body).toMatchObject({ outputs: [], failure: expect.stringContaining(why) });
  });

  it("is not run on a text that it would take too long for", async () => {
    const { body } = await select(`regex_match(payload, '(a?){400}b') AS x`, a(200_000));
    expect(body.failure).toBe("regex_match: the text is too long for this expression");
  });

  it("is not run for each of many elements when that takes too long, all together", async () => {
    const payload = { l: many(2_000, String), text: a(2_000) };
    const sql = `FOREACH payload.l DO regex_match(payload, '^(a+)+(b?){100}$') AS x FROM "t"`;
    const { body } = await tried({ sql, fields: { payload } });
    expect(body.failure).toBe("regex_match: the expressions of this run together take too long");
  });

  it("that replaces makes no more than a text may have", async () => {
    const { body } = await select(`regex_replace(payload, 'a', '${a(1_000)}') AS x`, a(60_000));
    expect(body.failure).toBe("regex_replace: the text would be too long");
  });
});

describe("a statement", () => {
  it.each([
    ["nested in brackets", `${"(".repeat(10_000)}1${")".repeat(10_000)} AS x`, "nested 100 deep"],
    ["nested in lists", `${"[".repeat(10_000)}1${"]".repeat(10_000)} AS x`, "nested 100 deep"],
    ["nested in functions", `${"abs(".repeat(10_000)}1${")".repeat(10_000)} AS x`, "nested 100 deep"],
    ["nested in NOT", `${"not ".repeat(10_000)}true AS x`, "nested 100 deep"],
    [
      "nested in CASE",
      `${"case when true then ".repeat(1_000)}1${" end".repeat(1_000)} AS x`,
      "nested 100 deep",
    ],
    ["with members without end", `payload${".a".repeat(10_000)} AS x`, "nested 100 deep"],
    ["with operators without end", `1${"+1".repeat(10_000)} AS x`, "may have 1000 operators"],
  ])("%s is refused with its place", async (_what, columns, why) => {
    const { status, body } = await select(columns);
    expect(status).toBe(400);
    expect(body.errors).toMatchObject([{ field: "/sql", detail: expect.stringContaining(why) }]);
    expect(body.errors[0].detail).toMatch(/^line 1, column \d+: /);
    expect(body.errors[0].detail.length).toBeLessThan(300);
  });

  it.each([
    ["a pad", "pad('', 99999999) AS x", "pad: the text would be too long"],
    ["a replacement", `replace(payload, 'a', '${a(1_000)}') AS x`, "replace: the text would be too long"],
    ["a shift", "bitsl(1, 99999999) AS x", "bitsl: a number is shifted by"],
    ["a power", "power(10, 400) AS x", "power: gives no number"],
    ["texts of many columns", many(64, (at) => `pad('x', 1000000) AS a${at}`).join(), "too much"],
    [
      "many texts of which one is selected",
      `length([${many(64, () => "is_str(pad('x', 4000000))").join()}]) AS x`,
      "what it makes is too much: a run computes with",
    ],
    [
      "a long text that functions are given again and again",
      many(1_500, (at) => `is_str(payload) AS a${at}`).join(),
      "what it makes is too much: a run computes with",
    ],
  ])("that makes too much by %s fails as a run", async (_what, columns, why) => {
    const { status, body } = await select(columns, a(100_000));
    expect(status).toBe(200);
    expect(body).toMatchObject({ outputs: [], failure: expect.stringContaining(why) });
  });

  it("that makes too much of each of many elements ends at the first too many", async () => {
    const lower = vi.spyOn(String.prototype, "toLowerCase");
    const sql = `FOREACH payload.l DO lower(pad('X', 1000000)) AS x FROM "t"`;
    const { body } = await tried({ sql, fields: { payload: { l: many(9_000, String) } } });
    expect(body.failure).toContain("what it makes is too much");
    const long = lower.mock.contexts.filter((text) => String(text).length > 500_000);
    expect(long.length).toBeLessThan(70);
  });

  it("of more characters than a rule may have is refused", async () => {
    const { status, body } = await select(`'${a(70_000)}' AS x`);
    expect(status).toBe(400);
    expect(body.errors).toMatchObject([
      { field: "/sql", detail: expect.stringContaining("65536 characters") },
    ]);
  });

  it("goes through 10,000 elements at most", async () => {
    const { body } = await tried({
      sql: 'FOREACH payload.l FROM "t"',
      fields: { payload: { l: many(10_001, String) } },
    });
    expect(body.failure).toBe("FOREACH goes through 10000 elements at most, not 10001");
  });

  it("reads a payload that is no JSON once, whoever asks", async () => {
    const payload = `[${"1,".repeat(500_000)}`;
    const parse = vi.spyOn(JSON, "parse");
    const { body } = await select(many(500, (at) => `payload.a${at} AS a${at}`).join(), payload);
    expect(body.failure).toContain("payload: this is no JSON");
    expect(parse.mock.calls.filter(([text]) => text === payload)).toHaveLength(1);
  });
});

describe("a template", () => {
  const republish = (payload: string) => [{ kind: "republish", topic: "x", payload }];

  it("is filled to what may be kept, and no further", async () => {
    const { body } = await tried({
      sql: 'SELECT payload FROM "t"',
      actions: republish(place("payload").repeat(1_000)),
      fields: { payload: a(100_000) },
    });
    expect(JSON.stringify(body)).toContain("a template may be filled to 33554432 characters");
  });

  it("reads the payload once, however many places ask for a member of it", async () => {
    const payload = `[${"1,".repeat(200_000)}`;
    const parse = vi.spyOn(JSON, "parse");
    const { body } = await tried({
      sql: 'SELECT payload FROM "t"',
      actions: republish(place("payload.a").repeat(500)),
      fields: { payload },
    });
    expect(body.actions[0].parameters[0].payload).toBe("undefined".repeat(500));
    expect(parse.mock.calls.filter(([text]) => text === payload)).toHaveLength(1);
  });
});

describe("a try", () => {
  it("of a body beyond what a request may have is refused before it is read as JSON", async () => {
    const parse = vi.spyOn(JSON, "parse");
    const { status } = await tried({ sql: 'SELECT * FROM "t"', fields: { payload: a(5_000_000) } });
    expect(status).toBe(413);
    expect(parse.mock.calls.filter(([text]) => String(text).length > 1_000_000)).toEqual([]);
  });
});
