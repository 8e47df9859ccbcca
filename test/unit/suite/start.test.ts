import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const VITEST = join(ROOT, "node_modules/vitest/vitest.mjs");
/** A small file whose tests need a foreign program. */
const FILE = "test/conformance/coap/tls.test.ts";

/** A folder as the only place where programs are found: Node, and scripts given by name. */
function programs(scripts: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "isthmus-path-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(process.execPath, join(folder, "node"));
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return folder;
}

interface Run {
  readonly code: number;
  readonly output: string;
}

/** Starts the suite as `npm test` does, for one file. */
function suite(path: string, env: Readonly<Record<string, string>> = {}): Promise<Run> {
  const args = [VITEST, "run", "--config", "test/vitest.config.ts", FILE];
  const { CI: _ci, VITEST: _vitest, VITEST_WORKER_ID: _worker, ...rest } = process.env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      args,
      { cwd: ROOT, env: { ...rest, ...env, PATH: path } },
      (error, out, errors) => {
        resolve({ code: error === null ? 0 : Number(error.code), output: out + errors });
      },
    );
  });
}

describe.concurrent("the suite, on a machine without the foreign programs", { timeout: 60_000 }, () => {
  test("is green where it may not install them, and names each test that was not run and its package", async () => {
    const { code, output } = await suite(programs());
    expect(output).toMatch(
      /not run:\n {2}test\/conformance\/coap\/tls\.test\.ts > speaks CoAP over TLS .*: needs Debian's .*libcoap3-bin/,
    );
    expect(output).toMatch(/\n0 passed, 0 failed, 1 skipped\n/);
    expect(code).toBe(0);
  });

  test("fails with CI=true, naming the packages", async () => {
    const { code, output } = await suite(programs(), { CI: "true" });
    expect(output).toMatch(/Debian packages that tests need are missing: .*mosquitto/);
    expect(code).not.toBe(0);
  });

  test.skipIf(process.platform !== "linux")("says in a line what it installs where it may", async () => {
    const folder = programs({
      sudo: 'shift; [ "$1" = true ] || exec "$@"',
      env: 'shift; exec "$@"',
      "apt-get": 'echo "$@" >&2',
    });
    const { output } = await suite(folder);
    expect(output).toMatch(/installing Debian packages that tests need: .*libcoap3-bin/);
    expect(output).toMatch(/-qq .*update\n-qq .*install -y --no-install-recommends .*libcoap3-bin/);
  });
});
