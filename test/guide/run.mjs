/**
 * `npm run test:guide [page ...]`: every command of the README and the guide, literally, in order, page by page, in a copy
 * of this clone. The README's own first command installs it; for single pages `--here` takes over what is installed.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { stepsOf } from "./page.mjs";
import { Shells } from "./shells.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const IN_NAMESPACE = "ISTHMUS_GUIDE_NAMESPACE";

/** Default ports may be taken on this machine: where the system lets us, the pages run in a network of their own. */
function inOwnNetwork() {
  if (process.env[IN_NAMESPACE] !== undefined || process.platform !== "linux") return;
  if (spawnSync("unshare", ["-n", "true"]).status !== 0) return;
  const up = 'ip link set lo up; exec "$@"';
  const self = [process.execPath, ...process.argv.slice(1)];
  const env = { ...process.env, [IN_NAMESPACE]: "1" };
  process.exit(
    spawnSync("unshare", ["-n", "sh", "-c", up, "sh", ...self], { stdio: "inherit", env }).status ?? 1,
  );
}

/** @param {boolean} here */
function copyOfProject(here) {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-guide-"));
  const git = (/** @type {string[]} */ ...args) => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" });
  for (const name of git("ls-files").split("\n")) {
    if (name !== "" && existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(folder, name));
  }
  if (here) {
    cpSync(join(ROOT, "dist"), join(folder, "dist"), { recursive: true });
    cpSync(join(ROOT, "node_modules"), join(folder, "node_modules"), {
      recursive: true,
      verbatimSymlinks: true,
    });
  }
  return folder;
}

/** @param {string} folder */
const pagesOf = (folder) => [
  "README.md",
  ...readdirSync(join(folder, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .toSorted()
    .map((name) => join("docs", name)),
];

/**
 * @param {string} folder
 * @param {string} page
 * @param {NodeJS.ProcessEnv} env
 */
async function follow(folder, page, env) {
  const shells = new Shells(dirname(join(folder, "x")), env);
  rmSync(join(folder, "data"), { recursive: true, force: true });
  let elsewhere = 0;
  let done = 0;
  try {
    for (const step of stepsOf(readFileSync(join(folder, page), "utf8"))) {
      try {
        if (step.kind === "run") await shells.run(step);
        else if (step.kind === "keep") await shells.keep(step);
        else if (step.kind === "printed") await shells.printed(step);
        else if (step.kind === "file") write(folder, step);
        else elsewhere++;
        done++;
      } catch (error) {
        throw new Error(`${page}:${step.line}\n${step.text}${/** @type {Error} */ (error).message}`);
      }
    }
  } finally {
    await shells.stop();
  }
  process.stdout.write(
    `  ${page}: ${done - elsewhere} steps${elsewhere > 0 ? `, ${elsewhere} blocks for other machines not run` : ""}\n`,
  );
}

/**
 * @param {string} folder
 * @param {import("./page.mjs").File} file
 */
function write(folder, { name, language, text, line }) {
  const path = join(folder, name === "" ? `block-${line}.yaml` : name);
  writeFileSync(path, text);
  if (language !== "yaml" || name.endsWith("users.yaml")) return;
  const checked = spawnSync("npx", ["isthmus", "check-config", path], { cwd: folder, encoding: "utf8" });
  if (checked.status !== 0) throw new Error(`${checked.stdout}${checked.stderr}`);
}

inOwnNetwork();
const given = process.argv.slice(2);
const here = given.includes("--here");
const folder = copyOfProject(here);
const env = {
  ...process.env,
  npm_config_audit: "false",
  npm_config_fund: "false",
  npm_config_prefer_offline: "true",
};
let failed = 0;
try {
  const wanted = given.filter((argument) => argument !== "--here");
  for (const page of wanted.length > 0 ? wanted : pagesOf(folder)) {
    try {
      await follow(folder, page, env);
    } catch (error) {
      failed++;
      process.stdout.write(`${/** @type {Error} */ (error).message}\n`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(
  failed === 0 ? "every command of the guide does what the guide says\n" : `${failed} pages failed\n`,
);
process.exitCode = failed === 0 ? 0 : 1;
