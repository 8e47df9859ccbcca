import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { isTree, type Tree } from "./defaults.ts";
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

/** The classic: an IPv6 address without quotes. */
/** Where the library's own words are for who programs with it. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  MULTIPLE_DOCS: "a second document begins here: expected one, without a line --- in between",
};

const hint = (code: string): string =>
  code === "BLOCK_AS_IMPLICIT_KEY" || code === "BLOCK_IN_FLOW"
    ? "; a value with a colon, such as ::, needs quotes"
    : "";

/** Reads YAML; `name` is what messages call it. */
export function readYaml(text: string, name: string): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems = document.errors.map((error): ConfigProblem => {
    const where = `${name}:${lines.linePos(error.pos[0]).line}`;
    const path = pathAt(document.contents, error.pos[0]);
    const subject = path.length === 0 ? "" : `${showPath(path)}: `;
    return {
      key: showPath(path),
      path,
      where,
      message: `${where}: ${subject}${OTHER_WORDS[error.code] ?? error.message}${hint(error.code)}`,
    };
  });
  const values: unknown = problems.length > 0 ? {} : (document.toJS() ?? {});
  if (!isTree(values)) {
    const message = `${name}: the file must hold sections of keys and values`;
    return { values: {}, problems: [{ key: "", path: [], where: name, message }], lineOf: () => undefined };
  }
  const lineOf = (path: Path) => {
    const position = positionOf(document.contents, path);
    return position === undefined ? undefined : lines.linePos(position).line;
  };
  return { values, problems, lineOf };
}
