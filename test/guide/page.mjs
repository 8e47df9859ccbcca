/**
 * A page of the guide as steps. What the word behind a fence's language says is not shown to readers:
 *
 *     ```sh                    runs to its end, and must succeed
 *     ```sh keep=NAME          a shell of its own, which stays open until the page ends
 *     ```sh elsewhere          needs what no test has (another machine, systemd): named in the report, not run
 *     ```text printed          what the block before prints, line by line; `...` stands for anything
 *     ```text printed=NAME     what the shell of that name prints, now or soon
 *     ```yaml file=NAME        is written to that file, and must be a valid configuration
 *     ```yaml                  must be a valid configuration
 *     ```yaml elsewhere        is somebody else's, and a test of its own reads it
 *
 * `bash` instead of `sh` where it must be bash. Other blocks are for reading.
 */

/**
 * @typedef {{kind: "run" | "keep" | "elsewhere", shell: "sh" | "bash", name: string, text: string, line: number}} Command
 * @typedef {{kind: "printed", name: string, text: string, line: number}} Printed
 * @typedef {{kind: "file", name: string, language: string, text: string, line: number}} File
 * @typedef {Command | Printed | File} Step
 */

const FENCE = /^(\s*)```(\S*)[ ]*(.*)$/;

/**
 * @param {string} markdown
 * @returns {Step[]}
 */
export function stepsOf(markdown) {
  /** @type {Step[]} */
  const steps = [];
  const lines = markdown.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const [, indent = "", language = "", words = ""] = FENCE.exec(lines[at] ?? "") ?? [];
    if (language === "") continue;
    const line = at + 1;
    const body = [];
    for (at++; at < lines.length && lines[at]?.trim() !== "```"; at++)
      body.push((lines[at] ?? "").slice(indent.length));
    const step = stepOf(language, words.trim(), `${body.join("\n")}\n`, line);
    if (step !== undefined) steps.push(step);
  }
  return steps;
}

/**
 * @param {string} language
 * @param {string} words
 * @param {string} text
 * @param {number} line
 * @returns {Step | undefined}
 */
function stepOf(language, words, text, line) {
  const [word = "", name = ""] = words.split("=");
  if (language === "sh" || language === "bash") {
    const kind = word === "" ? "run" : word;
    if (kind !== "run" && kind !== "keep" && kind !== "elsewhere") throw new Error(`line ${line}: ${words}?`);
    return { kind, shell: language, name, text, line };
  }
  if (word === "printed") return { kind: "printed", name, text, line };
  if (word === "file") return { kind: "file", name, language, text, line };
  if (language === "yaml" && words === "elsewhere") return undefined;
  if (language === "yaml") return { kind: "file", name: "", language, text, line };
  return undefined;
}

/**
 * The first line of what is expected that was not printed behind the one before; undefined when all were.
 * @param {string} expected
 * @param {string} output
 */
export function missingLine(expected, output) {
  let from = 0;
  for (const line of expected.split("\n")) {
    const wanted = line.trim();
    if (wanted === "" || wanted === "...") continue;
    const pattern = wanted.split("...").map(escaped).join(".*");
    const found = new RegExp(pattern).exec(output.slice(from));
    if (found === null) return line;
    from += found.index + found[0].length;
  }
  return undefined;
}

/** @param {string} text */
const escaped = (text) =>
  text
    .trim()
    .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replace(/\s+/g, "\\s+");
