/** Deeper than any settings are; parsers of nested texts, and what walks their values, have a stack that ends. */
export const NESTING_MAX = 200;

/** A list or section that begins on the same line as what it is in: `- - a`, `? - a`. */
const BEGINNINGS = /^ *((?:[-?:] +)*)/;
const FLOW = /[[\]{}]/g;

/**
 * The line of a YAML text on which it is nested deeper than that; undefined when it is nowhere. It is counted before
 * anything is parsed, so brackets inside of texts count as well: all those that nobody closes.
 */
export function tooDeepAt(text: string): number | undefined {
  /** How far each of the blocks is indented that a line is in. */
  const blocks: number[] = [];
  let brackets = 0;
  for (const [index, line] of text.split("\n").entries()) {
    const indented = line.length - line.trimStart().length;
    if (indented === line.length) continue;
    while (blocks.length > 0 && blocks.at(-1)! >= indented) blocks.pop();
    blocks.push(indented);
    const begun = BEGINNINGS.exec(line)![1]!.split(/[-?:]/).length - 1;
    for (const [bracket] of line.matchAll(FLOW)) {
      if (bracket === "[" || bracket === "{") brackets++;
      else if (brackets > 0) brackets--;
      if (blocks.length + begun + brackets > NESTING_MAX) return index + 1;
    }
    if (blocks.length + begun > NESTING_MAX) return index + 1;
  }
  return undefined;
}
