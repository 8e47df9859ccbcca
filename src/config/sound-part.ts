import { fillDefaults, isTree, type Tree } from "../settings/defaults.ts";
import type { JsonSchema } from "../settings/json-schema.ts";
import { isWithin, type Path, showPath } from "../settings/path.ts";
import type { ConfigProblem, Locate } from "../settings/problem.ts";
import { validate } from "../settings/validate.ts";
import { UnitConversion } from "./convert.ts";
import type { Config } from "./schema.ts";

/** Rounds of leaving out what is wrong: what one leaves may show something else. */
const ROUNDS_MAX = 8;

export interface SoundPart {
  /** What the schema passes, converted; undefined when not even leaving things out leads there. */
  readonly config: Config | undefined;
  /** What it does not pass. */
  readonly problems: readonly ConfigProblem[];
  /** For whoever checks the rest: knows where its list members stood. */
  readonly locate: Locate;
}

/**
 * Checks the form of a configuration, and makes one of what is well formed, so that one run can check the meaning of
 * that part as well: an operator wants to see every mistake at once.
 */
export function soundPart(schema: JsonSchema, given: Tree, where: Locate): SoundPart {
  const left = new Leftover(given);
  const locate: Locate = Object.assign((path: Path) => where(path), {
    original: (path: Path) => left.original(path),
  });
  const problems: ConfigProblem[] = [];
  const defaults = fillDefaults(schema, {});
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const tree = fillDefaults(schema, left.values);
    const wrong = validate(schema, tree, locate, defaults);
    const units = new UnitConversion(locate);
    const config = wrong.length > 0 ? undefined : (units.convert(schema, tree) as Config);
    const found = wrong.length > 0 ? wrong : units.problems;
    if (config !== undefined && found.length === 0) return { config, problems, locate };
    // A section is wrong for want of what was left out of it: that was said.
    const fresh = found.filter(({ path }) => !problems.some((known) => isWithin(known.path, path)));
    problems.push(...fresh);
    for (const { path } of found) left.leaveOut(path);
  }
  return { config: undefined, problems, locate };
}

/** Values from which some were left out, and where the remaining members of lists stood. */
class Leftover {
  readonly values: Tree;
  /** Places in the list as it was given, by the path of the list. */
  readonly #places = new Map<string, number[]>();

  constructor(values: Tree) {
    this.values = structuredClone(values);
  }

  /** The path in what was given. */
  original(path: Path): Path {
    const found: (string | number)[] = [];
    for (const step of path) {
      const places = typeof step === "number" ? this.#places.get(showPath(found)) : undefined;
      found.push(places?.[step as number] ?? step);
    }
    return found;
  }

  /** Takes out what stands at a path of what was given, or around it: of a list, the whole member. */
  leaveOut(path: Path): void {
    const list = path.findIndex((step) => typeof step === "number");
    if (list !== -1 && this.#deleteMember(path.slice(0, list), path[list] as number)) return;
    for (let length = list === -1 ? path.length : list; length > 0; length--) {
      if (this.#deleteKey(path.slice(0, length))) return;
    }
  }

  #deleteKey(path: Path): boolean {
    const parent = at(this.values, path.slice(0, -1));
    const key = String(path.at(-1));
    if (!isTree(parent) || !Object.hasOwn(parent, key)) return false;
    delete parent[key];
    return true;
  }

  #deleteMember(path: Path, place: number): boolean {
    const list = at(this.values, path);
    if (!Array.isArray(list)) return false;
    const key = showPath(path);
    const places = this.#places.get(key) ?? [...list.keys()];
    const index = places.indexOf(place);
    if (index !== -1) {
      places.splice(index, 1);
      list.splice(index, 1);
    }
    this.#places.set(key, places);
    return true;
  }
}

function at(tree: unknown, path: Path): unknown {
  let found = tree;
  for (const step of path) found = isTree(found) ? found[step] : undefined;
  return found;
}
