/** Texts of devices as what they are: what would steer a terminal, a reader or the order of letters is named. */

/** C0, C1, soft hyphen, zero-width, bidirectional and variation controls, tags, lone surrogates, non-characters. */
const STEERING =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: one character each
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ufeff\ufff0-\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\u{e0001}|[\u{e0020}-\u{e007f}]/gu;

export interface Piece {
  readonly text: string;
  /** It stands for a character that is not shown. */
  readonly named: boolean;
}

const nameOf = (character: string): string =>
  `<U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`;

export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(STEERING)) {
    if (match.index > from) found.push({ text: text.slice(from, match.index), named: false });
    found.push({ text: nameOf(match[0]), named: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push({ text: text.slice(from), named: false });
  return found;
}

/** For titles and descriptions, which hold nothing but text. */
export const plain = (text: string): string =>
  pieces(text)
    .map((piece) => piece.text)
    .join("");

/** The beginning and the end, where it is longer; surrogate pairs stay together. */
export function middle(text: string, most: number): string {
  const characters = [...text];
  if (characters.length <= most) return text;
  const half = Math.floor((most - 1) / 2);
  return `${characters.slice(0, most - 1 - half).join("")}…${characters.slice(-half).join("")}`;
}
