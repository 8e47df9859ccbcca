/**
 * Octets in letters and digits as EMQ X writes them: six bits a character, in the order of base64. The last three of its
 * 64 have no character of their own and are written as two, 9A to 9C. What is left at the end is not padded: two or four
 * bits are a character by themselves.
 */
const CHARACTERS: readonly string[] = [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz012345678",
  ...["9A", "9B", "9C"],
];

const VALUES: ReadonlyMap<string, number> = new Map(CHARACTERS.map((character, value) => [character, value]));

export function toBase62(octets: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const octet of octets) {
    held = (held << 8) | octet;
    for (bits += 8; bits >= 6; bits -= 6) text += CHARACTERS[(held >> (bits - 6)) & 63];
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + CHARACTERS[held];
}

/** Undefined: nothing is written so. */
export function fromBase62(text: string): Uint8Array | undefined {
  const values = new Uint8Array(text.length);
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const value = VALUES.get(text[at] === "9" ? text.slice(at, ++at + 1) : text[at]!);
    if (value === undefined) return undefined;
    values[count++] = value;
  }
  // Of four characters come three octets, of three two, of two one; one alone is less than an octet.
  const left = count % 4;
  const loose = left === 0 ? 0 : 8 - 2 * left;
  if (left === 1 || (loose > 0 && values[count - 1]! >> (6 - loose) !== 0)) return undefined;
  const octets = new Uint8Array(Math.floor((count * 6) / 8));
  let bits = 0;
  let held = 0;
  let length = 0;
  for (let index = 0; index < count; index++) {
    const width = index === count - 1 ? 6 - loose : 6;
    held = (held << width) | values[index]!;
    bits += width;
    if (bits >= 8) {
      bits -= 8;
      octets[length++] = held >> bits;
    }
    held &= (1 << bits) - 1;
  }
  return octets;
}
