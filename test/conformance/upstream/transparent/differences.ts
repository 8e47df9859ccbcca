/** In what two accounts of one script differ: line by line, and within packets of one type field by field. */
export function differences(direct: readonly string[], through: readonly string[]): string[] {
  const lines = Math.max(direct.length, through.length);
  return Array.from({ length: lines }, (_, at) => differencesOf(direct[at], through[at])).flat();
}

type Fields = Readonly<Record<string, unknown>>;

interface Line {
  /** Which connection, and what came: the type of a packet, or its end. */
  readonly what: string;
  readonly fields: Fields;
}

function parse(line: string): Line {
  const [number, packet] = [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)];
  if (!packet.startsWith("{")) return { what: `${number} ${packet}`, fields: {} };
  const { cmd, properties, ...fields } = JSON.parse(packet) as Fields;
  return { what: `${number} ${cmd}`, fields: { ...fields, ...(properties as Fields | undefined) } };
}

const shown = ({ what, fields }: Line): string =>
  typeof fields["reasonCode"] === "number" ? `${what} 0x${fields["reasonCode"].toString(16)}` : what;

function differencesOf(direct: string | undefined, through: string | undefined): string[] {
  if (direct === through) return [];
  const [a, b] = [direct, through].map((line) => (line === undefined ? undefined : parse(line)));
  if (a === undefined || b === undefined || a.what !== b.what)
    return [`${a === undefined ? "nothing" : shown(a)} → ${b === undefined ? "nothing" : shown(b)}`];
  const names = [...new Set([...Object.keys(a.fields), ...Object.keys(b.fields)])].sort();
  const said = (value: unknown): string => (value === undefined ? "nothing" : JSON.stringify(value));
  return names
    .map((name) => [name, said(a.fields[name]), said(b.fields[name])])
    .filter(([, one, other]) => one !== other)
    .map(([name, one, other]) => `${a.what} ${name}: ${one} → ${other}`);
}
