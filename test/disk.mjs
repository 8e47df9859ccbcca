/**
 * `npm run test:disk`: the store on real small file systems, which only root can make. What cannot be made here is named,
 * with the reason, and the rest is run.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** Makes one and takes it away; what went wrong, or undefined. */
const ATTEMPTS = {
  tmpfs: (folder) => failure("mount", "-t", "tmpfs", "tmpfs", folder),
  ext4(folder) {
    const image = `${folder}.img`;
    writeFileSync(image, Buffer.alloc(1 << 20));
    return failure("mkfs.ext4", "-q", "-F", image) ?? failure("mount", "-o", "loop", image, folder);
  },
};

function failure(program, ...args) {
  const { status, error, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status === 0) return undefined;
  return `${program}: ${error?.message ?? stderr.trim().split("\n")[0]}`;
}

function attempt(kind) {
  if (process.platform !== "linux") return "only Linux has it";
  if (process.getuid?.() !== 0) return "only root may mount";
  const folder = mkdtempSync(join(tmpdir(), "isthmus-mount-"));
  try {
    const problem = ATTEMPTS[kind](folder);
    if (problem === undefined) spawnSync("umount", [folder]);
    return problem;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(`${folder}.img`, { force: true });
  }
}

const available = [];
for (const kind of Object.keys(ATTEMPTS)) {
  const problem = attempt(kind);
  if (problem === undefined) available.push(kind);
  else console.log(`not run: full disks of the kind ${kind}: ${problem}`);
}
if (available.length > 0) {
  const command = ["vitest", "run", "--config", "test/disk.config.ts", ...process.argv.slice(2)];
  const env = { ...process.env, FILE_SYSTEMS: available.join(" ") };
  process.exit(spawnSync("npx", command, { stdio: "inherit", env }).status ?? 1);
}
