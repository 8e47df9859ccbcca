import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const FILE_LINES_MAX = 600;
const FUNCTION_LINES_MAX = 100;

/** Files that are tables, in which nothing is decided. */
const TABLES: readonly string[] = [];

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}

function longFunctions(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && "body" in node && node.body !== undefined) {
      const start = file.getLineAndCharacterOfPosition(node.getStart()).line;
      const lines = file.getLineAndCharacterOfPosition(node.getEnd()).line - start + 1;
      if (lines > FUNCTION_LINES_MAX) found.push(`${path}:${start + 1} has a function of ${lines} lines`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

describe("sizes", () => {
  it(`keeps files within ${FILE_LINES_MAX} lines and functions within ${FUNCTION_LINES_MAX}`, () => {
    const found: string[] = [];
    for (const path of [...sources("src"), ...sources("gateways")]) {
      const text = readFileSync(path, "utf8");
      const lines = text.split("\n").length - 1;
      if (lines > FILE_LINES_MAX && !TABLES.includes(path)) found.push(`${path} has ${lines} lines`);
      found.push(...longFunctions(path, text));
    }
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
