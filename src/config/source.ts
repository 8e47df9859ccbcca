import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { isTree, type Tree } from "./defaults.ts";
import type { Path } from "./path.ts";
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

/** Reads YAML; `name` is what messages call it. */
export function readYaml(text: string, name: string): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems = document.errors.map((error): ConfigProblem => {
    const where = `${name}:${lines.linePos(error.pos[0]).line}`;
    return { key: "", where, message: `${where}: ${error.message}` };
  });
  const values: unknown = problems.length > 0 ? {} : (document.toJS() ?? {});
  if (!isTree(values)) {
    const message = `${name}: the file must hold sections of keys and values`;
    return { values: {}, problems: [{ key: "", where: name, message }], lineOf: () => undefined };
  }
  const lineOf = (path: Path) => {
    const position = positionOf(document.contents, path);
    return position === undefined ? undefined : lines.linePos(position).line;
  };
  return { values, problems, lineOf };
}
