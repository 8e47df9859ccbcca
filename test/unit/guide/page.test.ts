/** How pages of the guide are read by `npm run test:guide`. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { missingLine, stepsOf } from "../../guide/page.mjs";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const fence = (words: string, ...lines: string[]) => [`\`\`\`${words}`, ...lines, "```"].join("\n");

describe("a page of the guide", () => {
  it("is the commands, outputs and files of its blocks, in order, with their lines", () => {
    const page = [
      "# Title",
      fence("sh keep=gateway", "npm start"),
      fence("text printed=gateway", "listening"),
      fence("bash", "echo a"),
      fence("yaml file=a.yaml", "log: {}"),
      fence("json", "{}"),
      fence("", "a picture"),
      fence("sh elsewhere", "sudo reboot"),
    ].join("\n");
    expect(stepsOf(page)).toEqual([
      { kind: "keep", shell: "sh", name: "gateway", text: "npm start\n", line: 2 },
      { kind: "printed", name: "gateway", text: "listening\n", line: 5 },
      { kind: "run", shell: "bash", name: "", text: "echo a\n", line: 8 },
      { kind: "file", name: "a.yaml", language: "yaml", text: "log: {}\n", line: 11 },
      { kind: "elsewhere", shell: "sh", name: "", text: "sudo reboot\n", line: 20 },
    ]);
  });

  it("is refused when it asks for what nobody knows, so that no block is passed over by a slip", () => {
    expect(() => stepsOf(fence("sh kept=gateway", "npm start"))).toThrow("line 1: kept=gateway?");
  });

  it("names the first line that was not printed behind the one before", () => {
    expect(missingLine("a 1\n  b   2", "x\na 1 y\nb 2\n")).toBeUndefined();
    expect(missingLine("port ... IPv4", "port 1883     IPv4")).toBeUndefined();
    expect(missingLine("b\na", "a\nb\n")).toBe("a");
    expect(missingLine("a.c", "abc")).toBe("a.c");
  });
});

const pages = readdirSync(`${ROOT}/docs`, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".md"))
  .map((name) => `docs/${name}`);

it.each(["README.md", ...pages])(
  "%s can be followed, and its tables and lines are not too wide to read",
  (page) => {
    const text = readFileSync(`${ROOT}/${page}`, "utf8");
    stepsOf(text);
    const wide = text.split("\n").filter((line) => line.length > 230);
    expect(wide).toEqual([]);
  },
);

it("the README is under 120 lines", () => {
  expect(readFileSync(`${ROOT}/README.md`, "utf8").split("\n").length).toBeLessThan(120);
});
