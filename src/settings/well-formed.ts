import { isTree } from "./defaults.ts";
import type { Path } from "./path.ts";

/**
 * Where a tree has a text, or a key, with half a surrogate pair, as `"\ud800"` in YAML makes one: UTF-8 cannot say it, so
 * wherever it is written it would be another text than the one that is compared with here.
 */
export function* illFormed(tree: unknown, path: Path = []): Generator<Path> {
  if (typeof tree === "string") {
    if (!tree.isWellFormed()) yield path;
  } else if (Array.isArray(tree)) {
    for (const [index, item] of tree.entries()) yield* illFormed(item, [...path, index]);
  } else if (isTree(tree)) {
    for (const [key, value] of Object.entries(tree)) {
      if (key.isWellFormed()) yield* illFormed(value, [...path, key]);
      else yield [...path, key];
    }
  }
}
