/**
 * `npm run test:nodes [-- VERSION ...]`: what `npm test` runs, under the other lines of Node that Isthmus runs on, one after
 * the other. What differs in speed and memory is `npm run bench -- nodes`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { installNode, OTHER_VERSIONS } from "./support/node-versions.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const asked = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));

/** How the closing line of a run without a failure ends (test/support/closing-line.ts). */
const ALL_PASSED = /^\d+ passed, 0 failed\s*$/m;

/** What is wrong with the suite under this binary, or undefined. */
async function suite(/** @type {string} */ binary) {
  const args = ["node_modules/vitest/vitest.mjs", "run", "--config", "test/vitest.config.ts"];
  const child = spawn(binary, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  let end = "";
  child.stdout.on("data", (/** @type {Buffer} */ chunk) => {
    process.stdout.write(chunk);
    end = (end + chunk.toString("latin1")).slice(-1_000);
  });
  const [status, signal] = await once(child, "close");
  if (status === 0) return undefined;
  if (status !== null) return `exit ${status}`;
  // Native modules can crash while the runner ends its worker threads, with every test done. Isthmus loads them in its main
  // thread alone, and tests look at how its process ends: such a crash is told here, and fails nothing.
  if (ALL_PASSED.test(end)) {
    console.log(`the runner was ended by ${signal} behind its last test`);
    return undefined;
  }
  return `${signal}`;
}

const failed = [];
for (const major of asked.length > 0 ? asked : OTHER_VERSIONS) {
  const { binary, version } = installNode(major);
  console.log(`\nthe suite on Node ${version}`);
  const fault = await suite(binary);
  if (fault !== undefined) failed.push(`${version} (${fault})`);
}
if (failed.length > 0) {
  console.error(`failed on Node ${failed.join(", ")}`);
  process.exit(1);
}
