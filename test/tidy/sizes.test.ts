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
const MEMBERS_MAX = 30;

/**
 * Classes above the limit of members, which may not grow. What stands between the contract and others has the members of
 * both sides, and the steps that hooks may stand in the way of; the rest is to be parted.
 */
const MEMBERS_OF: Readonly<Record<string, number>> = {
  // What it does for tests, and what it asks of itself at its end.
  "src/testing/world.ts": 34,
  "src/door/bus-client.ts": 69,
  "src/drive/channel-loop.ts": 48,
  "gateways/coap/stack/channel.ts": 46,
  "gateways/coap/stack/reliability/datagram-channel.ts": 33,
  "gateways/lwm2m/device.ts": 40,
  "gateways/mqtt-sn/connection.ts": 36,
  "gateways/stomp/connection.ts": 38,
  // The engine port, and what a connection to a server tells.
  "src/session/attendance.ts": 31,
  "src/session/embedded-engine.ts": 33,
  "src/upstream/visit.ts": 33,
  "src/upstream/conversation.ts": 39,
  "src/upstream/engine.ts": 31,
  "src/upstream/uplink.ts": 31,
  "test/support/late-engine.ts": 34,
};

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

/** What others see of a class: not its `#` fields. A pair of get and set is one member. */
const membersOf = (node: ts.ClassLikeDeclaration): number =>
  new Set(
    node.members.flatMap(({ name }) =>
      name === undefined || ts.isPrivateIdentifier(name) ? [] : [name.getText()],
    ),
  ).size;

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

  it(`keeps classes within ${MEMBERS_MAX} members`, () => {
    const found = findings((node, _lines, file) => {
      if (!ts.isClassLike(node)) return undefined;
      const members = membersOf(node);
      const most = MEMBERS_OF[file.fileName] ?? MEMBERS_MAX;
      return members > most ? `${node.name?.text} has ${members} members` : undefined;
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
