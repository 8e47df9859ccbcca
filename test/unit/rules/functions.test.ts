import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { evaluate, select } from "./run.ts";

/** Expression and what it is worth. */
const WORTH: readonly (readonly [string, unknown])[] = [
  ["abs(-12)", 12],
  ["ceil(1.2)", 2],
  ["floor(-1.2)", -2],
  ["round(4.5)", 5],
  ["round(-4.5)", -5],
  ["sqrt(16)", 4],
  ["fmod(6.5, 2.5)", 1.5],
  ["power(2, 3)", 8],
  ["log10(1000)", 3],
  ["log2(8)", 3],
  ["is_float(1.5)", true],
  ["is_int(7)", true],
  ["is_str('x')", true],
  ["is_map(payload)", false],
  ["is_null(payload_that_is_not)", true],
  ["is_null(null)", false],
  ["is_null_var(null)", true],
  ["is_not_null_var(null)", false],
  ["is_not_null_var(1)", true],
  ["bool('true')", true],
  ["bool(0)", false],
  ["float('3.14')", 3.14],
  ["float('3.1415', 2)", 3.14],
  ["float2str(20.2, 10)", "20.2"],
  ["float2str(20.0, 10)", "20"],
  ["int('+200')", 200],
  ["int('0010')", 10],
  ["int('3.1415e2')", 314],
  ["int(-3.14)", -4],
  ["int(true)", 1],
  ["int('9007199254740993')", 9007199254740993n],
  ["str(1.12345678901)", "1.123456789"],
  ["str(1234)", "1234"],
  ["str(json_decode('{\"a\":1}'))", '{"a":1}'],
  ["ascii('a')", 97],
  ["concat('a', '/bc', 12)", "a/bc12"],
  ["find('eabcabcf', 'abc')", "abcabcf"],
  ["find('eabcabcf', 'abc', 'trailing')", "abcf"],
  ["find('eabc', 'x')", ""],
  ["join_to_string(', ', ['a', 'b', 'c'])", "a, b, c"],
  ["upper('hello')", "HELLO"],
  ["lower('Hello')", "hello"],
  ["trim(unescape('\\t  hello  \\r\\n'))", "hello"],
  ["ltrim(unescape('\\t  hello  \\r\\n'))", "hello  \r\n"],
  ["rtrim(unescape('\\t  hello  \\r\\n'))", "\t  hello"],
  ["pad('abc', 5)", "abc  "],
  ["pad('abc', 5, 'leading')", "  abc"],
  ["pad('abc', 5, 'both')", " abc "],
  ["pad('abc', 5, 'trailing', '*')", "abc**"],
  ["regex_match('123', '^\\d+$')", true],
  ["regex_match('a23', '^\\d+$')", false],
  ["regex_replace('hello 123', '\\d+', '$0')", "hello $0"],
  ["regex_replace('a1b2', '([a-z])(\\d)', '\\2\\1')", "1a2b"],
  ["regex_replace('abc', '', '-')", "-a-b-c-"],
  ["regex_extract('Number: 12345', '(\\d+)')", ["12345"]],
  ["regex_extract('Hello, world!', '(\\w+).*\\s(\\w+)')", ["Hello", "world"]],
  ["regex_extract('Hello', '(\\d+)')", []],
  ["replace('ababef', 'ab', 'cd')", "cdcdef"],
  ["replace('ababef', 'ab', 'cd', 'leading')", "cdabef"],
  ["replace('ababef', 'ab', 'cd', 'trailing')", "abcdef"],
  ["reverse('hello')", "olleh"],
  ["rm_prefix('foo/bar', 'foo/')", "bar"],
  ["split('a/b/ c', '/')", ["a", "b", " c"]],
  ["split('a//b/', '/')", ["a", "b"]],
  ["split('a//b/', '/', 'notrim')", ["a", "", "b", ""]],
  ["split('a/b/c', '/', 'leading')", ["a", "b/c"]],
  ["split('a/b/c', '/', 'trailing')", ["a/b", "c"]],
  ["split('/a/b', '/', 'leading_notrim')", ["", "a/b"]],
  ["tokens(' a/b ;c', '/ ;')", ["a", "b", "c"]],
  ["tokens(unescape('a b\\r\\nc'), ' ', 'nocrlf')", ["a", "b", "c"]],
  ["substr('abcdef', 2)", "cdef"],
  ["substr('abcdef', 2, 3)", "cde"],
  ["strlen('hello')", 5],
  ["strlen('né')", 2],
  ["strlen(unescape('a\\r\\nb'))", 3],
  ["sprintf('hello ~s ~b ~p~n~~', 'steve', 3, 'x')", 'hello steve 3 "x"\n~'],
  ["unescape('\\x41\\x1F600')", "A\u{1F600}"],
  ["map_get('a', json_decode('{\"a\":1}'))", 1],
  ["map_get('b', json_decode('{\"a\":1}'), 2)", 2],
  ["map_put('c', 3, json_decode('{\"a\":1}'))", { a: 1, c: 3 }],
  ['map_keys(json_decode(\'{"a":1,"b":2}\'))', ["a", "b"]],
  ['map_values(json_decode(\'{"a":1,"b":2}\'))', [1, 2]],
  ["map_to_entries(json_decode('{\"a\":1}'))", [{ key: "a", value: 1 }]],
  ["mget(['a', 'b'], json_decode('{\"a\":{\"b\":2}}'))", 2],
  ["mput(['a', 'b'], 5, json_decode('{\"a\":{\"c\":2}}'))", { a: { c: 2, b: 5 } }],
  ['map_to_redis_hset_args(json_decode(\'{"a":1,"b":"x","c":{}}\'))', ["a", "1", "b", "x"]],
  ["nth(2, [1, 2, 3])", 2],
  ["first([1, 2])", 1],
  ["last([1, 2])", 2],
  ["length([1, 2])", 2],
  ["sublist(2, [1, 2, 3])", [1, 2]],
  ["sublist(2, 2, [1, 2, 3, 4])", [2, 3]],
  ["contains(2, [1, 2])", true],
  ["md5('')", "d41d8cd98f00b204e9800998ecf8427e"],
  ["sha('')", "da39a3ee5e6b4b0d3255bfef95601890afd80709"],
  ["sha256('')", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["base64_encode('hello')", "aGVsbG8="],
  ["base64_decode('aGVsbG8=')", "hello"],
  ["base62_encode('hello')", "aGVsbGP"],
  ["base62_encode(hexstr2bin('FFFF'))", "9C9CP"],
  ["base62_decode('aGVsbGP')", "hello"],
  ["bin2hexstr(base62_decode('9C9C9C9C'))", "FFFFFF"],
  ["json_encode([1,2,3])", "[1,2,3]"],
  ["json_decode('[1, 2, 3]')", [1, 2, 3]],
  ["bin2hexstr('hello')", "68656C6C6F"],
  ["hexstr2bin('68656c6c6f')", "hello"],
  ["bin2hexstr(zip('hello'))", "CB48CDC9C90700"],
  ["bin2hexstr(zip_compress('hello'))", "789CCB48CDC9C90700062C0215"],
  ["unzip(hexstr2bin('CB48CDC9C90700'))", "hello"],
  ["zip_uncompress(hexstr2bin('789CCB48CDC9C90700062C0215'))", "hello"],
  ["gunzip(gzip('hello'))", "hello"],
  ["bitand(-10, -8)", -16],
  ["bitor(10, 8)", 10],
  ["bitxor(10, 8)", 2],
  ["bitnot(10)", -11],
  ["bitsl(8, 2)", 32],
  ["bitsr(8, 2)", 2],
  ["bitsl(1, 62)", 4611686018427387904n],
  ["bitsize('abc')", 24],
  ["byteszie('abc')", 3],
  ["bytesize('abc')", 3],
  ["subbits(hexstr2bin('9F4E58'), 8)", 159],
  ["subbits(hexstr2bin('9F4E58'), 16)", 40782],
  ["subbits(hexstr2bin('9F4E58'), 9, 8)", 78],
  ["subbits(hexstr2bin('9F4E58'), 9, 4)", 4],
  ["subbits(hexstr2bin('9F4E58'), 1, 8, 'integer', 'signed')", -97],
  ["subbits(hexstr2bin('9F4E58'), 1, 16, 'integer', 'unsigned', 'little')", 20127],
  ["subbits(hexstr2bin('41480000'), 1, 32, 'float')", 12.5],
  ["subbits(hexstr2bin('9F4E58'), 20, 8)", undefined],
  ["now_timestamp()", 1708703790],
  ["now_timestamp('millisecond')", 1708703790000],
  ["now_timestamp('nanosecond')", 1708703790000000000n],
  ["now_rfc3339()", "2024-02-23T15:56:30Z"],
  ["now_rfc3339('millisecond')", "2024-02-23T15:56:30.000Z"],
  ["unix_ts_to_rfc3339(1708703790)", "2024-02-23T15:56:30Z"],
  ["unix_ts_to_rfc3339(1708703790123, 'millisecond')", "2024-02-23T15:56:30.123Z"],
  ["rfc3339_to_unix_ts('2024-02-23T15:56:30Z')", 1708703790],
  ["rfc3339_to_unix_ts('2024-02-23T15:56:30+08:00')", 1708674990],
  ["rfc3339_to_unix_ts('2024-02-23T15:56:30.87Z', 'millisecond')", 1708703790870],
  ["date_to_unix_ts('second', '%Y-%m-%d %H:%M:%S%:z', '2024-02-23 15:00:00+08:00')", 1708671600],
  ["date_to_unix_ts('second', '+08:00', '%Y-%m-%d %H:%M:%S%:z', '2024-02-23 15:00:00')", 1708671600],
  [
    "date_to_unix_ts('nanosecond', '%Y-%m-%d %H:%M:%S.%N', '2024-02-23 07:00:00.123456789')",
    1708671600123456789n,
  ],
  ["format_date('second', '+08:00', '%Y-%m-%d %H:%M:%S%z', 1708674990)", "2024-02-23 15:56:30+0800"],
  [
    "format_date('millisecond', 0, '%Y-%m-%dT%H:%M:%S.%3N%:z', 1708703790007)",
    "2024-02-23T15:56:30.007+00:00",
  ],
  ["format_date('microsecond', 'Z', '%6N %::z', 1708703790000042)", "000042 +00:00:00"],
  ["timezone_to_offset_seconds('+08:00')", 28800],
  ["timezone_to_offset_seconds('-02:30:05')", -9005],
  ["coalesce(nothing, null, 'x')", "x"],
  ["coalesce_ne('', 'y')", "y"],
  ["cbor_decode(hexstr2bin('A16161182A')).a", 42],
  ["bin2hexstr(cbor_encode([1, 'a']))", "82016161"],
  ["contains_topic(['t/#', 'x'], 't/#')", true],
  ["contains_topic(['t/#', 'x'], 't/1')", false],
  ["contains_topic_match(['t/#', 'x'], 't/1')", true],
  ["7 div 2", 3],
  ["-7 mod 3", -1],
  ["7 / 2", 3.5],
  ["'a' + 'b'", "ab"],
  ["1 + 2 * 3", 7],
  ["true or true and false", true],
  ["not false and false", false],
  ["null < 1", false],
  ["-7 div 2", -3],
  [`json_decode('{"a":1}') = json_decode('{"a":1,"b":2}')`, false],
  ["pad('x', 4, 'both', '-')", "-x--"],
  ["rfc3339_to_unix_ts('1969-12-31T23:59:59.5Z')", -1],
  ["(1 + 2) * 3", 9],
  ["2 - 1 - 1", 0],
  ["9007199254740993 + 1", 9007199254740994n],
  ["not 1 = 2", true],
  ["1 = 1.0", true],
  ["'1' = 1", false],
  ["1 <> 2", true],
  ["'it''s'", "it's"],
  ["[1, 2, 3][2]", 2],
  ["[1, 2, 3][-1]", 3],
  ["[1][5]", undefined],
];

describe("what functions and operators are worth", () => {
  it.each(WORTH)("%s", (expression, worth) => {
    expect(evaluate(expression)).toEqual(worth);
  });

  it("gzip makes what gunzip elsewhere reads", () => {
    expect(gunzipSync(evaluate("gzip('hello')") as Uint8Array).toString()).toBe("hello");
  });

  it("random is at least 0 and below 1, and a UUID has its hyphens or not", () => {
    expect(evaluate("random() >= 0 and random() < 1")).toBe(true);
    expect(evaluate("uuid_v4()")).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(evaluate("uuid_v4_no_hyphen()")).toMatch(/^[0-9a-f]{32}$/);
  });

  it("getenv sees only variables that are meant for rules", () => {
    process.env["EMQXVAR_RULES_TEST"] = "seen";
    expect(evaluate("getenv('RULES_TEST')")).toBe("seen");
    expect(evaluate("getenv('PATH')")).toBeUndefined();
  });
});

describe("what fails the run of a rule, and says why", () => {
  it.each([
    ["abs('1')", "abs: argument 1 must be a number, not the text '1'"],
    ["int('-100+200')", "int: the text '-100+200' is no number"],
    ["bool(2)", "bool: 2 is neither true nor false"],
    ["nth(0, [1])", "nth: there is no place 0 in a list of 1"],
    ["nth(2, [1])", "nth: there is no place 2 in a list of 1"],
    ["first([])", "first: the list is empty"],
    ["1 + '1'", "`+` needs two numbers or two texts, not 1 and the text '1'"],
    ["1 < 'a'", "`<` needs two numbers or two texts"],
    ["1 / 0", "`/` by zero"],
    ["1 div 0", "`div` by zero"],
    ["sqrt(-1)", "sqrt: gives no number"],
    ["unescape('\\q')", "unescape: there is no escape \\q"],
    ["regex_match('a', '(')", "regex_match: no regular expression of RE2"],
    ["sprintf('~s')", "sprintf: has more places than values"],
    ["sprintf('~b', 'x')", "sprintf: ~b needs a whole number"],
    ["base64_decode('*')", "base64_decode: the text is no base64"],
    ["base62_decode('a')", "base62_decode: the text is no base62"],
    ["base62_decode('a9')", "base62_decode: the text is no base62"],
    ["base62_decode('a9D')", "base62_decode: the text is no base62"],
    ["base62_decode('aZ')", "base62_decode: the text is no base62"],
    ["hexstr2bin('1')", "hexstr2bin: the text is no hexadecimal octets"],
    ["json_decode('{')", "this is no JSON"],
    ["gunzip('x')", "gunzip: "],
    ["cbor_decode(hexstr2bin('A1'))", "cbor_decode: "],
    ["rfc3339_to_unix_ts('2024-02-30T00:00:00Z')", "there is no such day or time"],
    ["pad('', 99999999)", "pad: the text would be too long"],
    ["bitsl(1, 99999)", "bitsl: a number is shifted by"],
    ["topic =~ 'a/#/b'", "`=~` needs a topic filter on its right"],
    ["payload.x", "payload: this is no JSON"],
    ["not 1", "a condition must be true or false, not 1"],
  ])("%s", (expression, why) => {
    expect(() => evaluate(expression, { payload: "no JSON" })).toThrow(why);
  });

  it("an expression that would explode elsewhere takes linear time", () => {
    const started = process.cpuUsage();
    expect(evaluate("regex_match(payload, '^(a+)+$')", { payload: `${"a".repeat(50_000)}b` })).toBe(false);
    // Backtracking would take longer than the universe has been there.
    expect(process.cpuUsage(started).user).toBeLessThan(20_000_000);
  });

  it.each([
    ["texts", "payload AS a0", (name: string) => `concat(${name}, ${name})`],
    ["texts by +", "payload AS a0", (name: string) => `${name} + ${name}`],
    ["lists", "[1, 1] AS a0", (name: string) => `[${name}, ${name}]`],
    ["maps", "map_new() AS a0", (name: string) => `map_put('a', ${name}, map_put('b', ${name}, map_new()))`],
    ["lists of a payload", "payload.l AS a0", (name: string) => `[${name}, ${name}]`],
  ])("%s that double with each name fail before they are as large as the machine", (_what, first, twice) => {
    const doubled = Array.from({ length: 60 }, (_, place) => `${twice(`a${place}`)} AS a${place + 1}`);
    expect(() =>
      select(`SELECT ${first}, ${doubled.join(", ")} FROM "t/#"`, { payload: '{"l":[1,2]}' }),
    ).toThrow(/^what it makes is too (much|long)|^values may be nested 128 deep$/);
  });

  it("what selects a large payload again and again fails alike", () => {
    const columns = Array.from({ length: 3000 }, (_, place) => `payload AS a${place}`);
    const payload = "x".repeat(100_000);
    expect(() => select(`SELECT ${columns.join(", ")} FROM "t/#"`, { payload })).toThrow("too much");
  });

  it("an expression that reads half a megabyte is not begun on ten, and is on a part of them", () => {
    const payload = `${"x".repeat(10_000_000)} temp=21.5`;
    const extract = "regex_extract(PART, 'temp=([0-9.]+)')";
    expect(evaluate(extract.replace("PART", "payload"), { payload: payload.slice(-400_000) })).toEqual([
      "21.5",
    ]);
    expect(() => evaluate(extract.replace("PART", "payload"), { payload })).toThrow(
      "regex_extract: the text is too long for this expression",
    );
    expect(evaluate(extract.replace("PART", "find(payload, 'temp=')"), { payload })).toEqual(["21.5"]);
    expect(evaluate(extract.replace("PART", "substr(payload, 9999000)"), { payload })).toEqual(["21.5"]);
  });

  it("a payload of ten megabytes that is no JSON fails once for all that ask", () => {
    expect(() => evaluate("payload.a", { payload: "x".repeat(10_000_000) })).toThrow(
      "payload: this is no JSON",
    );
  });
});

describe("SenML (RFC 8428)", () => {
  it("resolves base fields and relative times (§5.1.2)", () => {
    const payload = [
      { bn: "urn:dev:ow:10e2073a01080063:", u: "Cel", v: 23.1 },
      { n: "voltage", u: "V", v: 120.1, t: -5 },
      { n: "label", vs: "x", t: 1.5e9 },
      { n: "on", vb: false },
      { n: "raw", vd: "aGk" },
    ];
    expect(evaluate("senml_decode(payload)", { payload })).toEqual([
      { name: "urn:dev:ow:10e2073a01080063:", unit: "Cel", value: 23.1, time: 1708703790 },
      { name: "urn:dev:ow:10e2073a01080063:voltage", unit: "V", value: 120.1, time: 1708703785 },
      { name: "urn:dev:ow:10e2073a01080063:label", value: "x", time: 1.5e9 },
      { name: "urn:dev:ow:10e2073a01080063:on", value: false, time: 1708703790 },
      { name: "urn:dev:ow:10e2073a01080063:raw", value: new Uint8Array([0x68, 0x69]), time: 1708703790 },
    ]);
  });

  it("reads CBOR's labels (§6)", () => {
    const pack = "81A3216761 3A6E30012202FB4039000000000000";
    expect(() => evaluate(`senml_decode(hexstr2bin('${pack.replaceAll(" ", "")}'))`)).toThrow();
    expect(evaluate("senml_decode(hexstr2bin('81A32162613A0061620218 19'))".replace(" ", ""))).toEqual([
      { name: "a:b", value: 25, time: 1708703790 },
    ]);
  });

  it("fails on what must be understood and is not (§4.4)", () => {
    expect(() => evaluate("senml_decode(payload)", { payload: [{ n: "a", v: 1, x_: 2 }] })).toThrow(
      "'x_' must be understood",
    );
  });
});
