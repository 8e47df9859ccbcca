/**
 * `npm run test:nodes [-- VERSION ...]`: what `npm test` runs, under the other lines of Node that Isthmus runs on, one after
 * the other. What differs in speed and memory is `npm run bench -- nodes`.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { installNode, OTHER_VERSIONS } from "./support/node-versions.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const asked = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
const failed = [];
for (const major of asked.length > 0 ? asked : OTHER_VERSIONS) {
  const { binary, version } = installNode(major);
  console.log(`\nthe suite on Node ${version}`);
  const args = ["node_modules/vitest/vitest.mjs", "run", "--config", "test/vitest.config.ts"];
  const { status } = spawnSync(binary, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) failed.push(version);
}
if (failed.length > 0) {
  console.error(`failed on Node ${failed.join(", ")}`);
  process.exit(1);
}
