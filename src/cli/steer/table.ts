/** Rows for people: columns as wide as needed, and nothing in them that could lie to a terminal. */

/** Control characters, line breaks and those that change the direction of text, as `<U+202E>`. */
export const shown = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
    return `<U+${code}>`;
  });

const TEXT_MAX = 48;
const MIDDLE = "…";

/** Cut in the middle: ids differ at both ends. */
function cut(text: string): string {
  if (text.length <= TEXT_MAX) return text;
  const side = Math.floor((TEXT_MAX - 1) / 2);
  return text.slice(0, side) + MIDDLE + text.slice(-side);
}

export type Cell = string | number | boolean | undefined;

export interface Column<Row> {
  readonly title: string;
  cell(row: Row): Cell;
  /** Numbers stand at the right. */
  readonly right?: boolean;
  /** Never cut. */
  readonly whole?: boolean;
}

const textOf = (cell: Cell): string =>
  cell === undefined ? "–" : cell === true ? "yes" : cell === false ? "no" : shown(String(cell));

const COLOURS: Readonly<Record<string, string>> = {
  overdue: "31",
  asleep: "35",
  awake: "32",
  failed: "31",
  critical: "31",
  error: "31",
  warning: "33",
};

/** `coloured` on a terminal only. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], coloured: boolean): string {
  const cells = rows.map((row) =>
    columns.map(({ cell, whole }) => (whole === true ? textOf(cell(row)) : cut(textOf(cell(row))))),
  );
  const widths = columns.map(({ title }, at) =>
    Math.max(title.length, ...cells.map((line) => line[at]!.length)),
  );
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, at) => {
        const padded = columns[at]!.right === true ? text.padStart(widths[at]!) : text.padEnd(widths[at]!);
        const colour = coloured ? COLOURS[text] : undefined;
        return colour === undefined ? padded : `\u001b[${colour}m${padded}\u001b[0m`;
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...cells.map(line)].map((text) => `${text}\n`).join("");
}

/** Names and values of one thing, below each other; what is inside of it, indented. */
export function facts(value: object, indent = ""): string {
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  return entries
    .map(([name, inner]) => `${indent}${shown(name).padEnd(width)}  ${fact(inner, indent)}`)
    .join("");
}

function fact(value: unknown, indent: string): string {
  if (typeof value !== "object" || value === null) return `${textOf(value as Cell)}\n`;
  if (Array.isArray(value) && value.every((item) => typeof item !== "object"))
    return `${value.map(textOf).join(", ") || "none"}\n`;
  if (Object.keys(value).length === 0) return "none\n";
  return `\n${facts(value, `${indent}  `)}`;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `4 min ago`, `in 11 min`, from a time of the API. */
export function ago(time: string | undefined, now: number): string | undefined {
  if (time === undefined) return undefined;
  const length = now - Date.parse(time);
  const text = span(Math.abs(length));
  return length >= 0 ? `${text} ago` : `in ${text}`;
}

function span(length: number): string {
  if (length < MINUTE) return `${Math.round(length / 1000)} s`;
  if (length < HOUR) return `${Math.floor(length / MINUTE)} min`;
  if (length < 2 * DAY) return `${Math.floor(length / HOUR)} h ${Math.floor((length % HOUR) / MINUTE)} min`;
  return `${Math.floor(length / DAY)} d`;
}
