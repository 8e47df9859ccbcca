import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("../../dist/src/bin.js", import.meta.url));
const { engines } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
const least = engines.node.replace(">=", "");

/** The command as it would run under that version. */
function underNode(version: string) {
  const claim = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
  return spawnSync(process.execPath, ["--import", `data:text/javascript,${claim}`, MAIN, "--version"], {
    encoding: "utf8",
  });
}

it("a version of Node below that of package.json is told so in one line, before anything else", () => {
  const [major, minor] = least.split(".").map(Number);
  for (const version of ["18.20.0", `${major}.${minor - 1}.0`]) {
    const { status, stderr, stdout } = underNode(version);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toBe(`isthmus: node-too-old: Node ${version} runs this; ${least} or newer is needed\n`);
  }
  expect(underNode(`${least}.0`).status).toBe(0);
});
