import {
  type Alias,
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from "yaml";
import { isTree, type Tree } from "./defaults.ts";
import { NESTING_MAX, tooDeepAt } from "./nesting.ts";
import { type Path, showPath } from "./path.ts";
import type { ConfigProblem } from "./problem.ts";

/** A configuration file, read: its values, and on which line each of them stands. */
export interface YamlSource {
  readonly values: Tree;
  readonly problems: readonly ConfigProblem[];
  /** The line of the deepest part of a path that stands in the file; undefined when nothing of it does. */
  lineOf(path: Path): number | undefined;
}

function positionOf(root: Node | null, path: Path): number | undefined {
  let at: unknown = root;
  let found: number | undefined;
  for (const step of path) {
    if (isMap(at)) {
      const pair = at.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
      if (pair === undefined) return found;
      found = (pair.key as Node).range?.[0] ?? found;
      at = pair.value;
    } else if (isSeq(at)) {
      at = at.items[Number(step)];
      found = (at as Node | undefined)?.range?.[0] ?? found;
    } else {
      return found;
    }
  }
  return found;
}

/** The keys around a place in the file, as far as the parser made out any. */
function pathAt(root: unknown, position: number): Path {
  const path: (string | number)[] = [];
  for (let at = root; ; ) {
    const next = childAt(at, position);
    if (next === undefined) return path;
    path.push(next.key);
    at = next.value;
  }
}

/** The last entry of a section or list that begins before the place. */
function childAt(at: unknown, position: number): { key: string | number; value: unknown } | undefined {
  const begins = (node: unknown): boolean =>
    ((node as Node | null)?.range?.[0] ?? Number.POSITIVE_INFINITY) < position;
  if (isMap(at)) {
    const pair = at.items.findLast(({ key }) => isScalar(key) && begins(key));
    return pair && { key: String((pair.key as { value: unknown }).value), value: pair.value };
  }
  if (!isSeq(at)) return undefined;
  const index = at.items.findLastIndex(begins);
  return index === -1 ? undefined : { key: index, value: at.items[index] };
}

/** Where the library's own words are for who programs with it. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: "a second document begins here: expected one, without a line --- in between",
};

/** The classic: an IPv6 address without quotes. */
const hint = (code: string): string =>
  code === "BLOCK_AS_IMPLICIT_KEY" || code === "BLOCK_IN_FLOW"
    ? "; a value with a colon, such as ::, needs quotes"
    : "";

/** Something that is wrong at a place of the file. */
interface Fault {
  readonly at: number;
  readonly says: string;
}

/** Aliases that stand for nothing, or for what they are part of, which would have no end. */
function faultyAliases(document: Document.Parsed): Fault[] {
  const faults: Fault[] = [];
  const look = (_key: unknown, alias: Alias): void => {
    const at = alias.range?.[0] ?? 0;
    const [begin, end] = alias.resolve(document)?.range ?? [];
    const name = alias.source;
    if (begin === undefined || end === undefined)
      faults.push({ at, says: `there is no anchor &${name} before the alias *${name}` });
    else if (begin <= at && at < end)
      faults.push({ at, says: `the alias *${name} is part of what it stands for` });
  };
  visit(document, { Alias: look });
  return faults;
}

function faultsOf(document: Document.Parsed): Fault[] {
  const faults = document.errors.map(({ code, message, pos }) => ({
    at: pos[0],
    says: `${OTHER_WORDS[code] ?? message}${hint(code)}`,
  }));
  return faults.length > 0 ? faults : faultyAliases(document);
}

/** Undefined where aliases of aliases would make much of little. */
function valuesOf(document: Document.Parsed): unknown {
  try {
    return document.toJS() ?? {};
  } catch {
    return undefined;
  }
}

/** Nothing can be made of it as a whole. */
const unusable = (where: string, says: string): YamlSource => ({
  values: {},
  problems: [{ key: "", path: [], where, message: `${where}: ${says}` }],
  lineOf: () => undefined,
});

/** Reads YAML; `name` is what messages call it. */
export function readYaml(text: string, name: string): YamlSource {
  const deep = tooDeepAt(text);
  if (deep !== undefined)
    return unusable(`${name}:${deep}`, `lists and sections are nested more than ${NESTING_MAX} deep`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems = faultsOf(document).map(({ at, says }): ConfigProblem => {
    const where = `${name}:${lines.linePos(at).line}`;
    const path = pathAt(document.contents, at);
    const subject = path.length === 0 ? "" : `${showPath(path)}: `;
    return { key: showPath(path), path, where, message: `${where}: ${subject}${says}` };
  });
  const values = problems.length > 0 ? {} : valuesOf(document);
  if (!isTree(values)) {
    const why = values === undefined ? "has too many aliases" : "must hold sections of keys and values";
    return unusable(name, `the file ${why}`);
  }
  const lineOf = (path: Path) => {
    const position = positionOf(document.contents, path);
    return position === undefined ? undefined : lines.linePos(position).line;
  };
  return { values, problems, lineOf };
}
