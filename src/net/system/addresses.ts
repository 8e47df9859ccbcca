import { isIPv4, isIPv6 } from "node:net";
import { plainAddress } from "../address.ts";

/**
 * An address as four words in the order in which they lie in memory: IPv6, and IPv4 in its mapped form
 * (RFC 4291 §2.5.5.2). Two are equal when their words are.
 */
export type Words = readonly [a: number, b: number, c: number, d: number];

/** `::ffff:0:0/96`: the third word, as memory has it. */
export const MAPPED_WORD = 0xffff0000;

export const isMapped = (words: Words): boolean =>
  words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD;

const scratch = new Uint32Array(new ArrayBuffer(16));
const octets = new Uint8Array(scratch.buffer);

/** Undefined when the text is no address. A zone counts for nothing. */
export function wordsOf(text: string): Words | undefined {
  const address = plainAddress(text);
  octets.fill(0);
  if (isIPv4(address)) {
    scratch[2] = MAPPED_WORD;
    octets.set(address.split(".").map(Number), 12);
  } else if (!isIPv6(address) || !readGroups(address)) return undefined;
  return [scratch[0] as number, scratch[1] as number, scratch[2] as number, scratch[3] as number];
}

/** The groups of an IPv6 address, the last two of which may be written as IPv4. */
function readGroups(address: string): boolean {
  const dotted = address.lastIndexOf(":") + 1;
  const hexadecimal = address.includes(".")
    ? address.slice(0, dotted) + dottedGroups(address.slice(dotted))
    : address;
  const [head = "", tail] = hexadecimal.split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = tail === undefined ? 0 : 8 - front.length - back.length;
  const groups = [...front, ...Array<string>(gap).fill("0"), ...back];
  for (const [index, group] of groups.entries()) {
    const value = Number.parseInt(group, 16);
    octets[2 * index] = value >> 8;
    octets[2 * index + 1] = value & 0xff;
  }
  return groups.length === 8;
}

function dottedGroups(text: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

/** RFC 5952; IPv4 where it is that. */
export function textOf(words: Words): string {
  scratch.set(words);
  if (isMapped(words)) return `${octets[12]}.${octets[13]}.${octets[14]}.${octets[15]}`;
  const groups = Array.from({ length: 8 }, (_, at) => (octets[2 * at]! << 8) | octets[2 * at + 1]!);
  const { at, length } = longestZeros(groups);
  const hexadecimal = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return length < 2 ? hexadecimal(0, 8) : `${hexadecimal(0, at)}::${hexadecimal(at + length, 8)}`;
}

/** RFC 5952 §4.2.3: of several runs of the same length the first. */
function longestZeros(groups: readonly number[]): { at: number; length: number } {
  let [at, length, run] = [0, 0, 0];
  for (const [index, group] of groups.entries()) {
    run = group === 0 ? run + 1 : 0;
    if (run > length) [at, length] = [index - run + 1, run];
  }
  return { at, length };
}

/** `fe80::/10`, which is reached with an interface alone (RFC 4291 §2.5.6). */
export const isLinkLocal = (words: Words): boolean => (words[0] & 0xc0ff) === 0x80fe;
