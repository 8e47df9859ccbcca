/**
 * `npm run test:dashboard [file ...]`: the dashboard in Chromium, against the built program. `SHOTS=folder` keeps a picture
 * of each page.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";

const run = (command, ...args) => spawnSync(command, args, { stdio: "inherit" }).status ?? 1;

if (!existsSync("dist/src/bin.js")) {
  console.error("the program is not built: npm run build");
  process.exit(1);
}
const built = run("npm", "run", "--silent", "build:dashboard");
process.exit(
  built || run("npx", "vitest", "run", "--config", "test/dashboard.config.ts", ...process.argv.slice(2)),
);
