import { asText, described, isArray, type Value } from "../value.ts";
import {
  any,
  choice,
  count,
  type FunctionTable,
  fail,
  OCTETS_MAX,
  of,
  ofMany,
  optional,
  text,
} from "./define.ts";

/** Texts of more than plain letters are looked through for what people see as one character, which takes time. */
const SEGMENTED_MAX = 100_000;
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII begins with them
const PLAIN = /^[\0-\x0c\x0e-\x7f]*$/;
let segmenter: Intl.Segmenter | undefined;

/** What people see as characters, of which CR LF is one. */
function characters(name: string, subject: string): readonly string[] {
  if (PLAIN.test(subject)) return subject.split("");
  if (subject.length > SEGMENTED_MAX) throw fail(name, `a text may have ${SEGMENTED_MAX} characters here`);
  segmenter ??= new Intl.Segmenter("und", { granularity: "grapheme" });
  return Array.from(segmenter.segment(subject), ({ segment }) => segment);
}

const length = (name: string, subject: string): number =>
  PLAIN.test(subject) ? subject.length : characters(name, subject).length;

/** Unicode's pattern white space. */
const BLANK = " \t\n\v\f\r\u0085\u200e\u200f\u2028\u2029";

function ltrim(subject: string): string {
  let from = 0;
  while (from < subject.length && BLANK.includes(subject[from]!)) from++;
  return subject.slice(from);
}

function rtrim(subject: string): string {
  let to = subject.length;
  while (to > 0 && BLANK.includes(subject[to - 1]!)) to--;
  return subject.slice(0, to);
}

function pad(name: string, subject: string, wanted: number, where: string, by: string): string {
  const missing = wanted - length(name, subject);
  if (missing <= 0) return subject;
  if (missing * by.length > OCTETS_MAX) throw fail(name, "the text would be too long");
  if (where === "leading") return by.repeat(missing) + subject;
  if (where === "trailing") return subject + by.repeat(missing);
  const before = Math.floor(missing / 2);
  return by.repeat(before) + subject + by.repeat(missing - before);
}

function find(subject: string, part: string, from: "leading" | "trailing" = "leading"): string {
  const at = from === "leading" ? subject.indexOf(part) : subject.lastIndexOf(part);
  return at < 0 ? "" : subject.slice(at);
}

function replace(name: string, subject: string, part: string, by: string, which = "all"): string {
  if (part === "") return subject;
  if (which === "all") {
    const parts = subject.split(part);
    if (subject.length + (parts.length - 1) * by.length > OCTETS_MAX)
      throw fail(name, "the text would be too long");
    return parts.join(by);
  }
  const at = which === "leading" ? subject.indexOf(part) : subject.lastIndexOf(part);
  return at < 0 ? subject : subject.slice(0, at) + by + subject.slice(at + part.length);
}

const HOW_TO_SPLIT = ["notrim", "leading", "leading_notrim", "trailing", "trailing_notrim"] as const;

function split(subject: string, by: string, how?: (typeof HOW_TO_SPLIT)[number]): string[] {
  const parts = by === "" ? [subject] : splitting(subject, by, how);
  return how?.endsWith("notrim") === true ? parts : parts.filter((part) => part !== "");
}

function splitting(subject: string, by: string, how?: string): string[] {
  if (how === undefined || how === "notrim") return subject.split(by);
  const at = how.startsWith("leading") ? subject.indexOf(by) : subject.lastIndexOf(by);
  return at < 0 ? [subject] : [subject.slice(0, at), subject.slice(at + by.length)];
}

/** Each character of `separators` separates. */
function tokens(subject: string, separators: string, nocrlf: "nocrlf" | undefined): string[] {
  const all = new Set(separators + (nocrlf === undefined ? "" : "\r\n"));
  const found: string[] = [];
  let token = "";
  for (const character of subject) {
    if (!all.has(character)) token += character;
    else if (token !== "") {
      found.push(token);
      token = "";
    }
  }
  if (token !== "") found.push(token);
  return found;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  v: "\v",
  a: "\x07",
  "'": "'",
  '"': '"',
  "\\": "\\",
  "?": "?",
};

function unescaped(name: string, subject: string): string {
  return subject.replace(/\\(x[0-9a-fA-F]*|[\s\S]|$)/g, (whole, code: string) => {
    if (/^x[0-9a-fA-F]+$/.test(code)) return codePoint(name, Number.parseInt(code.slice(1), 16), whole);
    const stands = Object.hasOwn(ESCAPES, code) ? ESCAPES[code] : undefined;
    if (stands === undefined) throw fail(name, `there is no escape ${whole}`);
    return stands;
  });
}

function codePoint(name: string, code: number, whole: string): string {
  if (!(code <= 0x10ffff) || (code >= 0xd800 && code <= 0xdfff)) throw fail(name, `${whole} is no character`);
  return String.fromCodePoint(code);
}

/** Erlang's ~s ~p ~w ~b ~n ~~. */
function sprintf(name: string, format: string, given: readonly Value[]): string {
  let next = 0;
  const value = (): Value => {
    if (next >= given.length) throw fail(name, "has more places than values");
    return given[next++];
  };
  const filled = format.replace(/~([\s\S]|$)/g, (whole, directive: string) => {
    if (directive === "~") return "~";
    if (directive === "n") return "\n";
    if (directive === "s") return asText(value());
    if (directive === "p" || directive === "w") return printed(value());
    if (directive === "b") return wholeText(name, value());
    throw fail(name, `there is no ${whole}: expected ~s, ~p, ~b, ~n or ~~`);
  });
  if (next < given.length) throw fail(name, "has more values than places");
  return filled;
}

const printed = (value: Value): string => (typeof value === "string" ? `"${value}"` : asText(value));

function wholeText(name: string, value: Value): string {
  if (typeof value === "bigint" || Number.isInteger(value)) return String(value);
  throw fail(name, `~b needs a whole number, not ${described(value)}`);
}

function ascii(name: string, subject: string): number {
  const code = subject.charCodeAt(0);
  if (subject.length !== 1 || code > 0x7f) throw fail(name, "needs one character of ASCII");
  return code;
}

export const STRINGS: FunctionTable = {
  ascii: of([text], function (subject) {
    return ascii(this.name, subject);
  }),
  concat: ofMany(any, 1, (values) =>
    values.every(isArray) ? (values as readonly (readonly Value[])[]).flat(1) : values.map(asText).join(""),
  ),
  find: of([text, text, optional(choice("leading", "trailing"))], find),
  join_to_string: of([any, optional(any)], function (separator, array) {
    const [by, items] = isArray(separator) ? [", ", separator] : [separator, array];
    if (typeof by !== "string" || !isArray(items)) throw fail(this.name, "needs a separator and a list");
    return items.map(asText).join(by);
  }),
  lower: of([text], (subject) => subject.toLowerCase()),
  upper: of([text], (subject) => subject.toUpperCase()),
  trim: of([text], (subject) => rtrim(ltrim(subject))),
  ltrim: of([text], ltrim),
  rtrim: of([text], rtrim),
  pad: of(
    [text, count, optional(choice("leading", "trailing", "both")), optional(text)],
    function (subject, wanted, where = "trailing", by = " ") {
      return pad(this.name, subject, wanted, where, by);
    },
  ),
  replace: of(
    [text, text, text, optional(choice("all", "leading", "trailing"))],
    function (subject, part, by, which) {
      return replace(this.name, subject, part, by, which);
    },
  ),
  reverse: of([text], function (subject) {
    return characters(this.name, subject).toReversed().join("");
  }),
  rm_prefix: of([text, text], (subject, prefix) =>
    subject.startsWith(prefix) ? subject.slice(prefix.length) : subject,
  ),
  split: of([text, text, optional(choice(...HOW_TO_SPLIT))], split),
  tokens: of([text, text, optional(choice("nocrlf"))], tokens),
  substr: of([text, count, optional(count)], function (subject, start, most) {
    const end = most === undefined ? undefined : start + most;
    if (PLAIN.test(subject)) return subject.slice(start, end);
    return characters(this.name, subject).slice(start, end).join("");
  }),
  strlen: of([text], function (subject) {
    return length(this.name, subject);
  }),
  sprintf: ofMany(any, 1, ([format, ...given]) => {
    if (typeof format !== "string") throw fail("sprintf", "needs a format that is a text");
    return sprintf("sprintf", format, given);
  }),
  sprintf_s: ofMany(any, 1, ([format, ...given]) => {
    if (typeof format !== "string") throw fail("sprintf_s", "needs a format that is a text");
    return sprintf("sprintf_s", format, given);
  }),
  unescape: of([text], function (subject) {
    return unescaped(this.name, subject);
  }),
};
