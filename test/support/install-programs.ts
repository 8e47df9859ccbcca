/**
 * Before the first test: looks for the foreign programs that the test files name (`lacks(...)`), and installs what is
 * missing where it may, which is on Debian as root or with a sudo that asks for no password.
 */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { isInstalled, missingPackages, programsNamedIn } from "./programs.ts";

/** A script that keeps Debian from starting the servers it installs: tests start their own. */
const NO_SERVICES = "/usr/sbin/policy-rc.d";

const runs = (command: string, ...args: string[]): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0;

/** What must stand before a command so that it runs with root's rights; undefined where nothing helps. */
function asRoot(): readonly string[] | undefined {
  if (!existsSync("/etc/debian_version") || !isInstalled("apt-get")) return undefined;
  if (process.getuid?.() === 0) return [];
  return runs("sudo", "-n", "true") ? ["sudo", "-n"] : undefined;
}

function aptGet(before: readonly string[], ...args: string[]): void {
  const [command = "apt-get", ...rest] = [
    ...before,
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    "-qq",
    // Somebody else may be installing: another run, or the system's own upgrades.
    ...["-o", "DPkg::Lock::Timeout=300"],
    ...args,
  ];
  spawnSync(command, rest, { stdio: ["ignore", "ignore", "inherit"] });
}

function install(packages: readonly string[], before: readonly string[]): void {
  console.log(`installing Debian packages that tests need: ${packages.join(" ")}`);
  const quiet = before.length === 0 && !existsSync(NO_SERVICES);
  if (quiet) writeFileSync(NO_SERVICES, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    aptGet(before, "update");
    aptGet(before, "install", "-y", "--no-install-recommends", ...packages);
  } finally {
    if (quiet) rmSync(NO_SERVICES, { force: true });
  }
}

export async function setup(project: TestProject): Promise<void> {
  const { testFiles } = await project.globTestFiles();
  const programs = testFiles.flatMap(programsNamedIn);
  const missing = missingPackages(programs);
  if (missing.length === 0) return;
  const before = asRoot();
  if (before !== undefined) install(missing, before);
  const still = missingPackages(programs);
  if (still.length === 0) return;
  if (process.env["CI"] === "true")
    throw new Error(`Debian packages that tests need are missing: ${still.join(" ")}`);
  console.log(`tests that need these Debian packages will not run: ${still.join(" ")}`);
}
