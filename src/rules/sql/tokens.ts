import { exact } from "../value.ts";
import { SqlError } from "./sql-error.ts";

export type TokenKind = "word" | "text" | "quoted" | "number" | "sign" | "end";

export interface Token {
  readonly kind: TokenKind;
  /** A word as written; a text without its quotes; a sign. */
  readonly text: string;
  /** Of a number. */
  readonly value?: number | bigint;
  /** Where it begins, and where what follows begins. */
  readonly at: number;
  readonly to: number;
}

const SPACE = /[ \t\r\n\f\v\u00a0\ufeff]+/y;
const WORD = /[\p{L}_$][\p{L}\p{N}_$]*/uy;
const NUMBER = /(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const SIGN = /!=|<>|<=|>=|=~|[=<>+\-*/(),.;[\]]/y;

/** Cuts a SQL text into tokens, the last of which is its end. Throws `SqlError`. */
export function tokens(text: string): readonly Token[] {
  const found: Token[] = [];
  for (let at = skipSpace(text, 0); at < text.length; at = skipSpace(text, at)) {
    const token = tokenAt(text, at);
    found.push(token);
    at = token.to;
  }
  found.push({ kind: "end", text: "", at: text.length, to: text.length });
  return found;
}

const skipSpace = (text: string, at: number): number => at + (matched(SPACE, text, at)?.length ?? 0);

function matched(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function tokenAt(text: string, at: number): Token {
  const first = text[at]!;
  if (first === "'" || first === '"') return quoted(text, at, first);
  const word = matched(WORD, text, at);
  if (word !== undefined) return { kind: "word", text: word, at, to: at + word.length };
  const number = matched(NUMBER, text, at);
  if (number !== undefined) return numberAt(text, at, number);
  const sign = matched(SIGN, text, at);
  if (sign !== undefined) return { kind: "sign", text: sign, at, to: at + sign.length };
  const character = String.fromCodePoint(text.codePointAt(at)!);
  throw new SqlError(text, at, `\`${character}\` has no meaning here`);
}

function numberAt(text: string, at: number, number: string): Token {
  const to = at + number.length;
  if (matched(WORD, text, to) !== undefined)
    throw new SqlError(text, to, `a number ends here: expected a space or an operator behind ${number}`);
  const value = /^\d+$/.test(number) ? exact(BigInt(number)) : Number(number);
  if (value === Number.POSITIVE_INFINITY) throw new SqlError(text, at, `${number} is too large a number`);
  return { kind: "number", text: number, value, at, to };
}

/** No escapes, but a quote that is doubled is one. */
function quoted(text: string, at: number, quote: string): Token {
  let content = "";
  for (let from = at + 1; ; ) {
    const end = text.indexOf(quote, from);
    if (end < 0) throw new SqlError(text, at, `a text begins here and does not end: expected ${quote}`);
    content += text.slice(from, end);
    if (text[end + 1] !== quote) {
      return { kind: quote === "'" ? "text" : "quoted", text: content, at, to: end + 1 };
    }
    content += quote;
    from = end + 2;
  }
}
