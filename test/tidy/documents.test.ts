import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const documents = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], {
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "" && existsSync(path));

describe("documents", () => {
  it("link only to files that exist", () => {
    const broken = documents.flatMap((path) =>
      [...readFileSync(path, "utf8").matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
        .map((match) => match[1] as string)
        .filter((target) => !existsSync(join(dirname(path), target)))
        .map((target) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it("name only tests that exist", () => {
    const missing = documents.flatMap((path) =>
      [...readFileSync(path, "utf8").matchAll(/`(test\/[\w./-]+\.(?:ts|mjs|json))`/g)]
        .map((match) => match[1] as string)
        .filter((target) => !existsSync(target))
        .map((target) => `${path}: ${target}`),
    );
    expect(missing).toEqual([]);
  });

  it("map each fault that strangers have found to a test", () => {
    const numbers = [
      ...readFileSync("test/strangers.md", "utf8").matchAll(/^\| [A-M](\d+) \| `test\//gm),
    ].map(([, number]) => Number(number));
    expect([...new Set(numbers)].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 66 }, (_, index) => index + 1),
    );
  });

  it("have one title each", () => {
    const odd = documents.filter((path) => {
      const text = readFileSync(path, "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
      return (text.match(/^# /gm) ?? []).length !== 1 && !path.startsWith("test/bench/results/");
    });
    expect(odd).toEqual([]);
  });
});
