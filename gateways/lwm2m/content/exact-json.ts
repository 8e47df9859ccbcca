/**
 * JSON whose integers keep all their digits: `JSON.parse` turns 9007199254740993 into ...992, and LwM2M
 * integers have 64 bits. Integers that a `number` cannot hold exactly become `bigint`.
 */
import { type DecodeError, decodeError, ok, type Result } from "#core/lib/result.ts";
import { narrow } from "./value.ts";

export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

export const isJsonObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const CLAUSE = "RFC 8259 §2";
/** Deeper nesting is refused; nothing that LwM2M defines goes beyond three levels. */
const DEPTH_MAX = 32;
/** Only a run of sixteen digits can be more than a `number` holds. */
const LONG_INTEGER = /\d{16}/;

export function parseExactJson(text: string): Result<Json, DecodeError> {
  // What is read must be writable again: JSON.parse takes any depth, JSON.stringify runs out of stack.
  if (text.length > DEPTH_MAX && depthOf(text) > DEPTH_MAX)
    return decodeError(CLAUSE, 0, "nested too deeply");
  if (LONG_INTEGER.test(text)) return new Reader(text).document();
  try {
    return ok(JSON.parse(text) as Json);
  } catch {
    return decodeError(CLAUSE, 0, "not JSON");
  }
}

/** How deep brackets and braces go, outside of strings. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) deepest = Math.max(deepest, ++depth);
    else if (code === OPEN_BRACE + 2 || code === OPEN_BRACKET + 2) depth--;
  }
  return deepest;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** The closing ones lie two further. */
const OPEN_BRACKET = 0x5b;
const OPEN_BRACE = 0x7b;

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}

/** As `JSON.stringify`, with `bigint` as plain digits. Members that are `undefined` are left out. */
export function formatExactJson(value: Json | undefined): string {
  try {
    return JSON.stringify(value ?? null);
  } catch {
    // A bigint, which is rare: the slow way.
    return formatDigits(value);
  }
}

/** For readers whose numbers have 53 bits: integers that those cannot hold are texts. */
function withTexts(value: Json): Json {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withTexts);
  return textsIn(value as JsonObject);
}

export const textsIn = (object: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(object).map(([name, member]) => [
      name,
      member === undefined ? undefined : withTexts(member),
    ]),
  );

function formatDigits(value: Json | undefined): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  if (Array.isArray(value)) return `[${value.map(formatDigits).join(",")}]`;
  let members = "";
  for (const [key, member] of Object.entries(value as JsonObject)) {
    if (member === undefined) continue;
    members += `${members === "" ? "" : ","}${JSON.stringify(key)}:${formatDigits(member)}`;
  }
  return `{${members}}`;
}

class NotJson extends Error {}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Result<Json, DecodeError> {
    try {
      const value = this.#value(0);
      this.#space();
      if (this.#at !== this.#text.length) throw new NotJson("text after the value");
      return ok(value);
    } catch (error) {
      if (!(error instanceof NotJson)) throw error;
      return decodeError(CLAUSE, this.#at, error.message);
    }
  }

  #value(depth: number): Json {
    if (depth > DEPTH_MAX) throw new NotJson("nested too deeply");
    this.#space();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
      default:
        return this.#scalar();
    }
  }

  #object(depth: number): Json {
    const members: Record<string, Json> = {};
    this.#at++;
    this.#space();
    if (this.#taken("}")) return members;
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') throw new NotJson("a member name is missing");
      const name = this.#string();
      this.#space();
      if (!this.#taken(":")) throw new NotJson("a colon is missing");
      const value = this.#value(depth + 1);
      Object.defineProperty(members, name, { value, enumerable: true, configurable: true, writable: true });
      this.#space();
      if (this.#taken("}")) return members;
      if (!this.#taken(",")) throw new NotJson("a comma is missing");
    }
  }

  #array(depth: number): Json {
    const items: Json[] = [];
    this.#at++;
    this.#space();
    if (this.#taken("]")) return items;
    for (;;) {
      items.push(this.#value(depth + 1));
      this.#space();
      if (this.#taken("]")) return items;
      if (!this.#taken(",")) throw new NotJson("a comma is missing");
    }
  }

  #string(): string {
    const match = this.#match(/"[^"\\]*(?:\\.[^"\\]*)*"/y);
    if (match === undefined) throw new NotJson("a string does not end");
    return this.#native(match) as string;
  }

  #scalar(): Json {
    const number = this.#match(/-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y);
    if (number !== undefined) {
      return /[.eE]/.test(number) ? Number(number) : exactInteger(number);
    }
    const word = this.#match(/true|false|null/y);
    if (word === undefined) throw new NotJson("not a value");
    return this.#native(word);
  }

  #native(text: string): Json {
    try {
      return JSON.parse(text) as Json;
    } catch {
      throw new NotJson("a bad escape or control character");
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #space(): void {
    while (" \t\n\r".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  #taken(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }
}

/** Beyond forty digits only the magnitude can matter. */
const exactInteger = (digits: string): number | bigint =>
  digits.length > 40 ? Number(digits) : digits === "-0" ? 0 : narrow(BigInt(digits));
