import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";

/** Sizes are a signal: from here on a file is worth a look, */
const FILE_LINES_WARNING = 300;
/** and from here on something is wrong with its plan. */
const FILE_LINES_MAX = 600;
const FUNCTION_LINES_MAX = 100;
const PARAMETERS_MAX = 7;
/** Of a class, beside those of the interfaces that it implements and the class that it extends, */
const MEMBERS_MAX = 30;
/** and of an interface that a class implements: a port is as wide as what both sides say to each other. */
const PORT_MEMBERS_MAX = 40;

function sources(folder: string, ending = ".ts"): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path, ending);
    return entry.name.endsWith(ending) ? [path] : [];
  });
}

/** Everything but the tests themselves, whose cases stand in one function a topic. */
const readAll = (paths: readonly string[]) =>
  paths.map((path) => ({ path, text: readFileSync(path, "utf8") }));
const FILES = readAll([...sources("src"), ...sources("gateways"), ...sources("test/support")]);
/** Markup makes long functions; a file of it holds one idea like any other. */
const PAGES = readAll(sources("src", ".tsx"));

const linesOf = (text: string): number => text.split("\n").length - 1;

/** What `problem` finds in any node of any file. */
function findings(
  problem: (node: ts.Node, lines: number, file: ts.SourceFile) => string | undefined,
): string[] {
  const found: string[] = [];
  for (const { path, text } of FILES) {
    const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
    const visit = (node: ts.Node): void => {
      const start = file.getLineAndCharacterOfPosition(node.getStart()).line;
      const lines = file.getLineAndCharacterOfPosition(node.getEnd()).line - start + 1;
      const why = problem(node, lines, file);
      if (why !== undefined) found.push(`${path}:${start + 1} ${why}`);
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  return found;
}

const isFunction = (node: ts.Node): node is ts.FunctionLikeDeclaration =>
  ts.isFunctionLike(node) && "body" in node && node.body !== undefined;

type Typed = ts.ClassLikeDeclaration | ts.InterfaceDeclaration;

/** What others see of a class: not its `#` fields. A pair of get and set is one member. */
const membersOf = (node: Typed): readonly string[] =>
  [...node.members].flatMap(({ name }) =>
    name === undefined || ts.isPrivateIdentifier(name) ? [] : [name.getText()],
  );

const isTyped = (node: ts.Node): node is Typed => ts.isClassLike(node) || ts.isInterfaceDeclaration(node);

/** All classes and interfaces by name; those of one name stand for each other's members. */
function typesByName(): ReadonlyMap<string, readonly Typed[]> {
  const types = new Map<string, Typed[]>();
  findings((node) => {
    if (isTyped(node) && node.name !== undefined)
      types.set(node.name.text, [...(types.get(node.name.text) ?? []), node]);
    return undefined;
  });
  return types;
}

const namesAbove = (node: Typed): readonly string[] =>
  (node.heritageClauses ?? []).flatMap(({ types }) => types.map(({ expression }) => expression.getText()));

/** The members of what a class extends and implements, near and far. */
function membersAbove(node: Typed, types: ReadonlyMap<string, readonly Typed[]>): ReadonlySet<string> {
  const above = namesAbove(node).flatMap((name) => types.get(name) ?? []);
  return new Set(
    above
      .filter((type) => type !== node)
      .flatMap((type) => [...membersOf(type), ...membersAbove(type, types)]),
  );
}

describe("sizes", () => {
  it(`keeps files within ${FILE_LINES_MAX} lines, and warns above ${FILE_LINES_WARNING}`, () => {
    const long = [...FILES, ...PAGES]
      .map(({ path, text }) => ({ path, lines: linesOf(text) }))
      .filter(({ lines }) => lines > FILE_LINES_WARNING)
      .sort((a, b) => b.lines - a.lines);
    if (long.length > 0) {
      console.warn(`worth a look:\n${long.map(({ path, lines }) => `  ${lines} ${path}`).join("\n")}`);
    }
    expect(long.filter(({ lines }) => lines > FILE_LINES_MAX)).toEqual([]);
  });

  it(`keeps functions within ${FUNCTION_LINES_MAX} lines and ${PARAMETERS_MAX} parameters`, () => {
    const found = findings((node, lines) => {
      if (!isFunction(node)) return undefined;
      if (lines > FUNCTION_LINES_MAX) return `has a function of ${lines} lines`;
      const { length } = node.parameters;
      return length > PARAMETERS_MAX ? `has a function of ${length} parameters` : undefined;
    });
    expect(found).toEqual([]);
  });

  it(`keeps classes within ${MEMBERS_MAX} members of their own, and their ports within ${PORT_MEMBERS_MAX}`, () => {
    const types = typesByName();
    const ports = new Set([...types.values()].flat().filter(ts.isClassLike).flatMap(namesAbove));
    const found = findings((node) => {
      if (!isTyped(node) || node.name === undefined) return undefined;
      const { text } = node.name;
      const isClass = ts.isClassLike(node);
      const above = isClass ? membersAbove(node, types) : new Set();
      const own = new Set(membersOf(node).filter((member) => !above.has(member)));
      const most = isClass ? MEMBERS_MAX : ports.has(text) ? PORT_MEMBERS_MAX : Number.POSITIVE_INFINITY;
      return own.size > most ? `${text} has ${own.size} members` : undefined;
    });
    expect(found).toEqual([]);
  });

  it("leaves no marker of unfinished work behind", () => {
    const marker = /\b(TODO|FIXME|XXX|HACK)\b/;
    const found = [...sources("src"), ...sources("gateways"), ...sources("test")].filter((path) => {
      if (path.endsWith("sizes.test.ts")) return false;
      return marker.test(readFileSync(path, "utf8"));
    });
    expect(found).toEqual([]);
  });
});
