import { SmallMap } from "../lib/small-map.ts";

/**
 * A level: its value, and its next levels by name. Those named `+` and `#` are asked for at every step of `match`, and
 * are fields: of a tree that branches at each level into `+` and a name no step costs a look-up by hash.
 */
class Node<Value> extends SmallMap<string, Node<Value>> {
  value: Value | undefined = undefined;
  any: Node<Value> | undefined = undefined;
  rest: Node<Value> | undefined = undefined;

  get isEmpty(): boolean {
    return this.any === undefined && this.rest === undefined && this.value === undefined && this.size === 0;
  }

  next(level: string): Node<Value> | undefined {
    return level === "+" ? this.any : level === "#" ? this.rest : this.get(level);
  }

  grow(level: string): Node<Value> {
    const child = new Node<Value>();
    if (level === "+") this.any = child;
    else if (level === "#") this.rest = child;
    else this.set(level, child);
    return child;
  }

  cut(level: string): void {
    if (level === "+") this.any = undefined;
    else if (level === "#") this.rest = undefined;
    else this.delete(level);
  }
}

/** Below a `#`: its own level is behind it, so that `$` topics further down are found. */
const ALL = ["", "#"];

/**
 * A tree of topic levels with at most one value a path. Filters are stored as they are written and found by topic name
 * with `match`; topic names, which have no wildcards, are stored the same way and found by filter with `search`.
 */
export class TopicTree<Value> {
  readonly #root = new Node<Value>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(path: string): Value | undefined {
    let at: Node<Value> | undefined = this.#root;
    for (const level of path.split("/")) {
      at = at.next(level);
      if (at === undefined) return undefined;
    }
    return at.value;
  }

  set(path: string, value: Value): void {
    let at: Node<Value> = this.#root;
    for (const level of path.split("/")) {
      at = at.next(level) ?? at.grow(level);
    }
    if (at.value === undefined) this.#size++;
    at.value = value;
  }

  /** Removes a value and the branches that only led to it. */
  delete(path: string): boolean {
    const levels = path.split("/");
    const trail: Node<Value>[] = [this.#root];
    for (const level of levels) {
      const child = trail[trail.length - 1]!.next(level);
      if (child === undefined) return false;
      trail.push(child);
    }
    const last = trail[trail.length - 1]!;
    if (last.value === undefined) return false;
    last.value = undefined;
    this.#size--;
    for (let depth = levels.length; depth > 0; depth--) {
      if (!trail[depth]!.isEmpty) break;
      trail[depth - 1]!.cut(levels[depth - 1]!);
    }
    return true;
  }

  /** Visits the values of all stored filters that match a topic name. */
  match(topic: string, visit: (value: Value) => void): void {
    const levels = topic.split("/");
    // A wildcard at the first level never matches a topic that begins with `$` [MQTT-4.7.2-1].
    if (topic.charCodeAt(0) === 0x24) {
      const child = this.#root.get(levels[0]!);
      if (child !== undefined) this.#match(child, levels, 1, visit);
      return;
    }
    this.#match(this.#root, levels, 0, visit);
  }

  #match(at: Node<Value>, levels: readonly string[], depth: number, visit: (value: Value) => void): void {
    // "a/#" also matches "a" [MQTT-4.7.1-2].
    if (at.rest?.value !== undefined) visit(at.rest.value);
    if (depth === levels.length) {
      if (at.value !== undefined) visit(at.value);
      return;
    }
    const exact = at.get(levels[depth]!);
    if (exact !== undefined) this.#match(exact, levels, depth + 1, visit);
    if (at.any !== undefined) this.#match(at.any, levels, depth + 1, visit);
  }

  /** Visits the values of all stored topic names that a filter matches, until `visit` returns false. */
  search(filter: string, visit: (value: Value) => boolean): void {
    this.#search(this.#root, filter.split("/"), 0, visit);
  }

  #search(
    at: Node<Value>,
    levels: readonly string[],
    depth: number,
    visit: (value: Value) => boolean,
  ): boolean {
    if (depth === levels.length) return at.value === undefined || visit(at.value);
    const level = levels[depth]!;
    if (level === "#") return this.#all(at, depth === 0, visit);
    if (level !== "+") {
      const child = at.get(level);
      return child === undefined || this.#search(child, levels, depth + 1, visit);
    }
    for (const [name, child] of at) {
      if (depth === 0 && name.charCodeAt(0) === 0x24) continue;
      if (!this.#search(child, levels, depth + 1, visit)) return false;
    }
    return true;
  }

  #all(at: Node<Value>, isRoot: boolean, visit: (value: Value) => boolean): boolean {
    if (at.value !== undefined && !visit(at.value)) return false;
    for (const [name, child] of at) {
      if (isRoot && name.charCodeAt(0) === 0x24) continue;
      if (!this.#all(child, false, visit)) return false;
    }
    return true;
  }

  /** As `search`, one after the other as they are asked for: what is added meanwhile may be left out, what stays is not. */
  *found(filter: string): Generator<Value> {
    yield* this.#found(this.#root, filter.split("/"), 0);
  }

  *#found(at: Node<Value>, levels: readonly string[], depth: number): Generator<Value> {
    const level = levels[depth];
    if ((level === undefined || level === "#") && at.value !== undefined) yield at.value;
    if (level === undefined) return;
    if (level !== "+" && level !== "#") {
      const child = at.get(level);
      if (child !== undefined) yield* this.#found(child, levels, depth + 1);
      return;
    }
    for (const [name, child] of at) {
      if (depth === 0 && name.charCodeAt(0) === 0x24) continue;
      yield* this.#found(child, level === "#" ? ALL : levels, level === "#" ? 1 : depth + 1);
    }
  }

  *values(): Generator<Value> {
    const stack: Node<Value>[] = [this.#root];
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (at.value !== undefined) yield at.value;
      if (at.any !== undefined) stack.push(at.any);
      if (at.rest !== undefined) stack.push(at.rest);
      for (const child of at.values()) stack.push(child);
    }
  }
}
