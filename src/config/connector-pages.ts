/** Writes the lists of settings in the guide's pages of connectors from their schemas: every key, its default, what it takes. */
import { type TSchema, Type } from "@sinclair/typebox";
import { KINDS, kindOf } from "../connect/kinds.ts";
import { connectorProperties } from "../connect/settings.ts";
import { closed, type JsonSchema, OPTIONAL } from "../settings/json-schema.ts";
import { meaning } from "./annotate.ts";

const WIDTH = 118;
/** Kinds differ in it. */
const OF_KIND = "batch.messages";

const common = closed(Type.Object(connectorProperties(1)) as TSchema as JsonSchema);

interface Entry {
  readonly key: string;
  readonly schema: JsonSchema;
  /** It has no default, and none can do without it. */
  readonly needed: boolean;
}

/** Keys down to values, lists and maps, as a path with points. */
function* entriesOf(schema: JsonSchema, within = ""): Generator<Entry> {
  const optional = (schema[OPTIONAL] as readonly string[] | undefined) ?? [];
  for (const [name, of] of Object.entries(schema.properties ?? {})) {
    const key = within === "" ? name : `${within}.${name}`;
    if (of.properties !== undefined) yield* entriesOf(of, key);
    else yield { key, schema: of, needed: of.default === undefined && !optional.includes(name) };
    if (of.items?.properties !== undefined) yield* entriesOf(of.items, `${key}[]`);
  }
}

function usual({ schema, needed }: Entry): string {
  if (schema.default === undefined) return needed ? " (needed)" : "";
  if (schema.default === "") return " (empty)";
  return ` (\`${typeof schema.default === "string" ? schema.default : JSON.stringify(schema.default)}\`)`;
}

/** Places of templates, and what looks like a tag, stand as code. */
const AS_IT_STANDS = /\$\{[^}]*\}|[\w:]*<\w+>(?:\.<\w+>)*/g;

/** An item of a list, in as many lines as it takes. */
function itemOf(entry: Entry, usually: string): string {
  const lines = [`- \`${entry.key}\`${usually}:`];
  for (const word of meaning(entry.schema).replaceAll(AS_IT_STANDS, "`$&`").split(" ")) {
    const line = lines.at(-1)!;
    if (line.length + 1 + word.length > WIDTH) lines.push(`  ${word}`);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.join("\n");
}

const listOf = (entries: readonly Entry[]): string =>
  entries.map((entry) => itemOf(entry, usual(entry))).join("\n");

const isKind = ({ key }: Entry): boolean => key === "kind";

/** Settings that connectors of all kinds have. */
const ofAll = (): string =>
  [...entriesOf(common)]
    .map((entry) => itemOf(entry, entry.key === OF_KIND ? " (by kind)" : usual(entry)))
    .join("\n");

function ofKind(kind: string): Readonly<Record<string, string>> {
  const { schema, action } = kindOf(kind)!;
  const shared = new Set([...entriesOf(common)].map(({ key }) => key));
  const own = [...entriesOf(closed(schema as JsonSchema))].filter(
    (entry) => !isKind(entry) && (entry.key === OF_KIND || !shared.has(entry.key)),
  );
  const done = [...entriesOf(closed(action as JsonSchema))].filter(
    (entry) => !isKind(entry) && entry.key !== "connector",
  );
  return { connector: listOf(own), action: listOf(done) };
}

/** The pages, and what stands in each between `<!-- <name> -->` and `<!-- /<name> -->`. */
export const connectorPages: ReadonlyMap<string, () => Readonly<Record<string, string>>> = new Map([
  ["connectors", () => ({ settings: ofAll() })],
  ...KINDS.map(({ kind }) => [`connectors/${kind}`, () => ofKind(kind)] as const),
]);

/** The page with its lists as they are in force. */
export function withLists(page: string, lists: Readonly<Record<string, string>>): string {
  let written = page;
  for (const [name, list] of Object.entries(lists)) {
    const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
    const [start, end] = [written.indexOf(open), written.indexOf(close)];
    if (start < 0 || end < start) throw new Error(`the page has no ${open} with ${close} behind it`);
    written = `${written.slice(0, start + open.length)}\n${list}\n${written.slice(end)}`;
  }
  return written;
}
