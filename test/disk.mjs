/** `npm run test:disk`: the store on real small file systems. Only root can make them; else it is said, and no failure. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

if (process.platform !== "linux" || process.getuid?.() !== 0) {
  process.stdout.write("not run: only root, on Linux, can make the file systems that these tests fill\n");
  process.exit(0);
}
const probe = mkdtempSync(join(tmpdir(), "isthmus-mount-"));
const mountable = spawnSync("mount", ["-t", "tmpfs", "tmpfs", probe]).status === 0;
if (mountable) spawnSync("umount", [probe]);
rmdirSync(probe);
if (!mountable) {
  process.stdout.write("not run: this system lets nobody mount the file systems that these tests fill\n");
  process.exit(0);
}
const command = ["vitest", "run", "--config", "test/disk.config.ts", ...process.argv.slice(2)];
process.exit(spawnSync("npx", command, { stdio: "inherit" }).status ?? 1);
