/**
 * Keys as bytes: no two keys have the same, numbers sort by size, and so do numbers within numbers. Text is UTF-8
 * behind a mark of its own and to the end, so whatever characters it holds, none of them means anything.
 */
import type { Key, Table } from "../../session/store.ts";
import { TABLES } from "../../session/store.ts";

/** A number: this plus how many bytes follow, the highest first. */
const NUMBER = 0x10;
/** Text to the end of the key. */
const TEXT = 0x20;
/** The same of text that is not well-formed Unicode, which UTF-8 cannot say: two bytes a unit. */
const UNITS = 0x21;
/** Bytes of the highest safe integer. */
const NUMBER_BYTES_MAX = 7;

/** The first byte of a key says in which table it is. */
export const tableByte = (table: Table): number => 1 + TABLES.indexOf(table);
const TABLE_BYTES = new Map<Table, number>(TABLES.map((table) => [table, tableByte(table)]));

let scratch = Buffer.allocUnsafeSlow(4096);
let at = 0;

/** Bytes of a key in its table; they are overwritten by the next call. */
export function encodeKey(table: Table, key: Key): Buffer {
  at = 0;
  scratch[at++] = TABLE_BYTES.get(table)!;
  if (typeof key === "object") {
    writeNumber(key[0]);
    writePart(key[1]);
  } else writePart(key);
  return scratch.subarray(0, at);
}

function writePart(part: string | number): void {
  if (typeof part === "number") writeNumber(part);
  else writeText(part);
}

function writeNumber(value: number): void {
  if (!(Number.isSafeInteger(value) && value >= 0)) throw new TypeError(`no key: ${value}`);
  let length = 0;
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) length++;
  scratch[at] = NUMBER + length;
  let rest = value;
  for (let index = length; index > 0; index--) {
    scratch[at + index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  at += 1 + length;
}

function writeText(text: string): void {
  makeRoom(at + 1 + text.length * 3);
  if (text.isWellFormed()) {
    scratch[at] = TEXT;
    at += 1 + scratch.write(text, at + 1, "utf8");
  } else {
    scratch[at] = UNITS;
    at += 1 + scratch.write(text, at + 1, "utf16le");
  }
}

function makeRoom(length: number): void {
  if (length <= scratch.length) return;
  const larger = Buffer.allocUnsafeSlow(length * 2);
  larger.set(scratch.subarray(0, at));
  scratch = larger;
}

/** Throws where the bytes are no key. */
export function decodeKey(bytes: Uint8Array): readonly [table: Table, key: Key] {
  const table = TABLES[bytes[0]! - 1];
  if (table === undefined) throw new Error("not a key: no such table");
  const [first, rest] = readPart(bytes, 1);
  if (rest === bytes.length) return [table, first];
  const [second, end] = readPart(bytes, rest);
  if (typeof first !== "number" || end !== bytes.length) throw new Error("not a key: what follows is none");
  return [table, [first, second]];
}

function readPart(bytes: Uint8Array, from: number): readonly [part: string | number, end: number] {
  const kind = bytes[from];
  if (kind === TEXT || kind === UNITS) {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset + from + 1, bytes.length - from - 1);
    return [view.toString(kind === TEXT ? "utf8" : "utf16le"), bytes.length];
  }
  const length = (kind ?? 0) - NUMBER;
  const end = from + 1 + length;
  if (length < 0 || length > NUMBER_BYTES_MAX || end > bytes.length) throw new Error("not a key: no part");
  let value = 0;
  for (let index = from + 1; index < end; index++) value = value * 256 + bytes[index]!;
  return [value, end];
}
