import { isTree } from "./defaults.ts";
import type { Path } from "./path.ts";

/** What every object of JavaScript has already: whoever sets or looks for one of these names would find something else. */
const INHERITED: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

export const isInherited = (name: string): boolean => INHERITED.has(name);

/** Where a tree has a key of such a name. */
export function* inheritedNames(tree: unknown, path: Path = []): Generator<Path> {
  if (Array.isArray(tree)) {
    for (const [index, item] of tree.entries()) yield* inheritedNames(item, [...path, index]);
  } else if (isTree(tree)) {
    for (const [key, value] of Object.entries(tree)) {
      if (isInherited(key)) yield [...path, key];
      else yield* inheritedNames(value, [...path, key]);
    }
  }
}
