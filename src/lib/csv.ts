/** Comma-separated values (RFC 4180): rows of fields; undefined where a quoted field does not end as it should. */
function parseCsv(text: string): readonly (readonly string[])[] | undefined {
  const rows: string[][] = [];
  let row: string[] = [];
  // A field, and what ends it. Never empty at the end of the text, so it always moves on.
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|\r|$)/y;
  const start = text.startsWith("\ufeff") ? 1 : 0;
  field.lastIndex = start;
  while (field.lastIndex < text.length) {
    const found = field.exec(text);
    if (found === null) return undefined;
    const [, quoted, plain = "", end] = found;
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") {
      // The last field of all may be empty.
      if (field.lastIndex === text.length) row.push("");
      else continue;
    }
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  }
  return rows;
}

/** Rows as objects by the names in the first one; a text where it is no table, saying why. */
export function csvRecords(text: string): readonly Readonly<Record<string, string>>[] | string {
  const [names, ...rows] = parseCsv(text) ?? [];
  if (names === undefined) return "it is no CSV (RFC 4180), or empty";
  const columns = names.map((name) => name.trim());
  const odd = rows.findIndex((row) => row.length !== columns.length);
  if (odd >= 0) return `row ${odd + 2} has ${rows[odd]!.length} fields, and the first one ${columns.length}`;
  return rows.map((row) => Object.fromEntries(row.map((value, index) => [columns[index]!, value])));
}
